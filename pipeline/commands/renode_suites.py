"""The Robot suites of `renode/` on Renode: `thimble renode suites RECIPE` (`nox -s renode_tests`).

A recipe's stages come first, on QEMU where the board has it and it is installed, then on Renode; both results must
agree. The suites then run the same image through `renode-test`, and the image with test commands for the faults.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline import tools
from pipeline.commands.command import print_error
from pipeline.emulators.renode.files import FOLDER, entry_of
from pipeline.emulators.renode.launcher import Renode, private_folder, stage_renode_files
from pipeline.errors import MissingTool, ThimbleError, VerificationFailed
from pipeline.program import command
from pipeline.recipes.load import Recipe
from pipeline.targets.boards import Board, all_boards, load_board
from pipeline.verification.agreement import disagreements, with_counts
from pipeline.verification.result import RESULT, RunResult

__all__ = ["SUITES", "renode_test", "run_on_boards", "run_suites", "stage_suite_files", "variables"]

SUITES = ("prompts.robot", "faults.robot")
_NO_USAGE_FAULT = ("cortex-m0",)


def renode_test(program: Path) -> Path:
    """The `renode-test` that belongs to a Renode.

    Raises:
        ThimbleError: it is not beside it and not on the PATH.
    """
    beside = program.resolve().parent / "renode-test"
    script = beside if beside.is_file() else shutil.which("renode-test")
    if script is None:
        raise MissingTool(
            f"no `renode-test` beside {program}",
            f"use the portable release: `{command('renode fetch')}`, with RENODE not set",
        )
    return Path(script)


def stage_suite_files(folder: Path, board: Board, elf: Path, test_elf: Path, expected: Mapping[str, Any]) -> None:
    """Copies the files that a board's suites read into one folder, whose path has no space.

    Args:
        elf, test_elf: the image, and the one with test commands.
        expected: the content of `expected.json`.
    """
    stage_renode_files(folder, board)
    for name in (*SUITES, "thimble.resource"):
        shutil.copyfile(FOLDER / name, folder / name)
    shutil.copyfile(elf, folder / "firmware.elf")
    shutil.copyfile(test_elf, folder / "test.elf")
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")


def variables(folder: Path, board: Board) -> dict[str, str]:
    """The suites' variables for a folder that `stage_suite_files` filled."""
    entry = entry_of(board)
    return {
        "BOARD": board.name,
        "UART": entry.uart,
        "INSTRUCTIONS_PER_TICK": repr(entry.instructions_per_tick),
        "ELF": f"{folder}/firmware.elf",
        "TEST_ELF": f"{folder}/test.elf",
        "EXPECTED": f"{folder}/expected.json",
        "USAGE": "hard" if board.core in _NO_USAGE_FAULT else "usage",
    }


def run_suites(runner: Path, folder: Path, board: Board, results: Path) -> None:
    """Runs `renode-test`; what it writes goes to `results`.

    Raises:
        ThimbleError: a test failed, or it did not run.
    """
    results.mkdir(parents=True, exist_ok=True)
    options = [part for pair in variables(folder, board).items() for part in ("--variable", ":".join(pair))]
    # It starts the `python3` of the PATH, which must have robotframework and psutil, and writes where it is run.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    try:
        result = subprocess.run(
            [runner, *(folder / name for name in SUITES), *options],
            cwd=results,
            env={**os.environ, "PATH": path},
            check=False,
        )
    except OSError as error:
        again = f"fetch Renode again: `{command('renode fetch')}`"
        raise ThimbleError(f"cannot start {runner}: {error}", again) from None
    if result.returncode:
        raise VerificationFailed(
            f"{board.name}: renode-test failed (exit status {result.returncode})", f"see {results / 'log.html'}"
        )


def _on_board(board: Board, recipe: Recipe, build: Path, runner: Path, console: Console) -> None:
    from pipeline.firmware.build import build_project
    from pipeline.stages.registry import run_recipe
    from pipeline.workflow.artifacts import EXPECTATIONS, FIRMWARE, PROJECT
    from pipeline.workflow.runner import RunOptions
    from pipeline.workflow.workspace import target_key

    recipe = recipe.with_boards([board.name])
    key = target_key(board.name, recipe.engine)
    results: dict[str, RunResult] = {}
    with_qemu = "qemu" in board.emulators and tools.find("qemu-system-arm") is not None
    for emulator in ("qemu", "renode") if with_qemu else ("renode",):
        workspace = run_recipe(recipe, RunOptions(build, "emulate", emulator=emulator), console)
        results[emulator] = RESULT.load(workspace.stage("emulate", key))
    if results["renode"].emulator.name != "renode":
        console.print(f"[yellow]![/] {board.name}: Renode cannot verify it; its suites are not run")
        return
    expected = EXPECTATIONS.load(workspace.stage("emulate", key))
    if with_qemu:
        different = disagreements(results["qemu"], results["renode"])
        if different:
            more = f" (and {len(different) - 1} more)" if len(different) > 1 else ""
            raise VerificationFailed(
                f"{board.name}: {different[0]}{more}", "the emulators must agree; see docs/renode.md"
            )
        console.print(f"[green]✓[/] {board.name}: Renode's result equals QEMU's, counts within 0.1 %")
        expected = with_counts(expected, results["qemu"])
    firmware = workspace.stage("firmware", key)
    folder = private_folder()
    try:
        shutil.copytree(PROJECT.path(firmware), folder / "project")
        tested = build_project(folder / "project", folder / "build", test_commands=True)
        stage_suite_files(folder, board, FIRMWARE.path(firmware), tested.elf, expected)
        run_suites(runner, folder, board, workspace.folder / "renode" / key)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    console.print(f"[green]✓[/] {board.name}: the suites passed; {workspace.folder / 'renode' / key / 'log.html'}")


def run_on_boards(path: Path, names: Sequence[str], every: bool, build: Path, console: Console) -> int:
    """Runs the suites for boards that Renode emulates; one that fails keeps no other from being tried.

    Args:
        path: the recipe's file.
        names: of boards, instead of the recipe's.
        every: all boards that Renode emulates, instead.
        build: where artifacts go.
        console: gets what passed.

    Returns:
        The exit status: 0 if all passed.

    Raises:
        ThimbleError: no board, no Renode, or no `renode-test`.
    """
    from pipeline.recipes.load import load_recipe

    recipe = load_recipe(path)
    candidates = all_boards() if every else map(load_board, names or recipe.boards)
    boards = [board for board in candidates if names or "renode" in board.emulators]
    for board in boards:
        entry_of(board)
    if not boards:
        raise ThimbleError(f"Renode emulates no board of {path}", "name one with --board")
    runner = renode_test(Renode().program)
    failed = 0
    for board in boards:
        try:
            _on_board(board, recipe, build, runner, console)
        except ThimbleError as error:
            failed += 1
            print_error(error)
    if failed and len(boards) > 1:
        print_error(ThimbleError(f"{failed} of {len(boards)} boards failed", "see what is said of each"))
    return 1 if failed else 0
