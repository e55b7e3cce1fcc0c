"""The Robot suites without Renode: dry, with its keywords' arguments, and run on QEMU through a mirror of them."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from rich.console import Console

from pipeline import tools
from pipeline.commands import renode_suites
from pipeline.commands.main import main
from pipeline.commands.renode_suites import stage_suite_files, variables
from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.emulators.renode.files import FOLDER as SUITES
from pipeline.emulators.renode.launcher import Renode, find_renode
from pipeline.errors import DeviceError, ThimbleError
from pipeline.firmware.build import build_project
from pipeline.firmware.project import write_project
from pipeline.recipes.load import load_recipe
from pipeline.resources import ROOT
from pipeline.targets.boards import Board, all_boards
from pipeline.text.codec import PlainCodec
from pipeline.verification.agreement import disagreements, with_counts
from pipeline.verification.checks import reference_run, verify, write_expectations
from pipeline.verification.result import RESULT, EmulatorVersion, RunResult
from pipeline.workflow.workspace import Workspace
from tests.support.run_results import made_result
from tests.support.standin import CONTEXT, FOLDER, MACS, Standin, standin_tokenizer

HERE = Path(__file__).parent
NAMES: dict[str, Any] = yaml.safe_load((HERE / "renode_names.yaml").read_text())
PROMPTS = ("turn on the lights", "große lampe 50 %", "a")
ON_BOTH = [board for board in all_boards() if {"qemu", "renode"} <= set(board.emulators)]


@dataclass(frozen=True)
class Gathered:
    """A folder as `renode_tests` fills it, and what QEMU's run of the same image gave."""

    folder: Path
    board: Board
    result: RunResult


def gathered(board: Board, folder: Path) -> Gathered:
    """Builds the stand-in model for the board, and runs it under QEMU for the counts."""
    tokenizer = standin_tokenizer()
    project = folder / "project"
    write_project(FOLDER, PlainCodec(tokenizer), board, "stand-in", project)
    image = build_project(project, folder / "build")
    tested = build_project(project, folder / "build-test", test_commands=True)
    expectations = [reference_run(Standin(), PlainCodec(tokenizer), CONTEXT, text, CONTEXT) for text in PROMPTS]
    write_expectations(folder / "written.json", expectations)
    per_tick = board.instructions_per_tick("qemu")
    with Device(Qemu().start(image.elf, board)) as device:
        verification = verify(device, expectations, macs_per_step=MACS, instructions_per_tick=per_tick)
    assert verification.ok, verification.failures
    result = made_result(
        recipe="stand-in",
        board=board.name,
        emulator=EmulatorVersion(name="qemu", version=Qemu().version),
        prompts=verification.prompts,
    )
    inside = folder / "gathered"
    inside.mkdir()
    expected = with_counts(json.loads((folder / "written.json").read_text()), result)
    stage_suite_files(inside, board, image.elf, tested.elf, expected)
    return Gathered(inside, board, result)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Gathered:
    tools.require("qemu-system-arm")
    return gathered(ON_BOTH[0], tmp_path_factory.mktemp("suites"))


def robot(folder: Path, board: Board, keywords: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    variables_of_run = {**variables(folder, board), "RENODEKEYWORDS": str(keywords), **more}
    return subprocess.run(
        [sys.executable, "-m", "robot", "--output", "NONE", "--log", "NONE", "--report", "NONE", *options]
        + [part for pair in variables_of_run.items() for part in ("--variable", ":".join(pair))]
        + [str(folder / name) for name in renode_suites.SUITES],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


def mirrored(folder: Path, board: Board, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    return robot(folder, board, HERE / "qemu_mirror.resource", *options, **more)


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("board", ON_BOTH, ids=[board.name for board in ON_BOTH])
def test_the_suites_pass_on_qemu_through_the_mirror(board: Board, first: Gathered, tmp_path: Path) -> None:
    suite = first if board is first.board else gathered(board, tmp_path)
    result = mirrored(suite.folder, board)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr
    assert "6 tests, 6 passed, 0 failed" in result.stdout


EMULATED = [board for board in all_boards() if "renode" in board.emulators]


@pytest.mark.parametrize("board", EMULATED, ids=[board.name for board in EMULATED])
def test_the_image_lies_where_the_platform_has_memory(board: Board, tmp_path: Path) -> None:
    """What the linker script and the driver made of the board's addresses, in the image that Renode loads."""
    write_project(FOLDER, PlainCodec(standin_tokenizer()), board, "stand-in", tmp_path / "project")
    image = build_project(tmp_path / "project", tmp_path / "build").elf
    start = board.vectors or board.flash
    with image.open("rb") as file:
        elf = ELFFile(file)
        table = elf.get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        symbols = {symbol.name: int(symbol["st_value"]) for symbol in table.iter_symbols()}
        for segment in elf.iter_segments("PT_LOAD"):
            if segment["p_filesz"]:
                first, last = int(segment["p_paddr"]), int(segment["p_paddr"]) + int(segment["p_filesz"])
                assert any(r.origin <= first and last <= r.origin + r.size for r in (board.flash, start))
        loaded = next(s for s in elf.iter_segments("PT_LOAD") if s["p_paddr"] == start.origin).data()
    assert symbols["vectors"] == start.origin
    vectors = [int.from_bytes(loaded[4 * i : 4 * i + 4], "little") for i in range(16 + board.uart.rx_irq + 1)]
    assert vectors[0] == symbols["stack_top"] == symbols["stack_bottom"] + board.stack_bytes
    assert symbols["stack_bottom"] == board.ram.origin  # an overflow leaves RAM
    assert vectors[1] & ~1 == symbols["reset_handler"] & ~1
    handlers = {vectors[i] for i in (3, 15)}
    assert vectors[16 + board.uart.rx_irq] not in {0, *handlers}, "no handler of its own for the UART's interrupt"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_the_pipeline_talks_to_renode(first: Gathered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the mirror, by a script as a distribution's `renode` is one, under a TMPDIR with a space."""
    script = tmp_path / "renode"
    script.write_text(f'#!/bin/sh\n"{sys.executable}" "{HERE / "renode_mirror.py"}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("RENODE", str(script))
    (tmp_path / "a space").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a space"))
    with Device(Renode().start(first.folder / "firmware.elf", first.board), timeout=20) as device:
        assert device.info().board == first.board.name
        assert device.ask("turn on the lights", 4).tokens_out
        with pytest.raises(DeviceError, match="too-long"):  # said of the prompt: the line came whole
            device.ask("light " * 60, 4)
    assert not list((tmp_path / "a space").iterdir())


def wrong_token(expected: dict[str, Any]) -> None:
    expected["prompts"][0]["steps"][2]["next"] += 1


def wrong_crc(expected: dict[str, Any]) -> None:
    expected["prompts"][1]["steps"][-1]["crc"] = "00000000"


def wrong_count(expected: dict[str, Any]) -> None:
    step = expected["prompts"][0]["steps"][1]
    step["instructions"] = round(step["instructions"] * 1.002) + 200


def wrong_end(expected: dict[str, Any]) -> None:
    expected["prompts"][0]["end"] = "never"


def a_step_less(expected: dict[str, Any]) -> None:
    expected["prompts"][0]["steps"].pop()


def no_prompt(expected: dict[str, Any]) -> None:
    expected["prompts"].clear()


@pytest.mark.parametrize("change", [wrong_token, wrong_crc, wrong_count, wrong_end, a_step_less, no_prompt])
def test_a_suite_fails_on_what_is_not_expected(
    first: Gathered, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    expected = json.loads((first.folder / "expected.json").read_text())
    change(expected)
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    only = ("--test", "Should Answer Every Prompt As Expected")
    result = mirrored(first.folder, first.board, *only, EXPECTED=str(tmp_path / "expected.json"))
    assert "1 test, 0 passed, 1 failed" in result.stdout, result.stdout


def test_a_suite_fails_on_another_board_counter_or_image(first: Gathered) -> None:
    for test, more in (
        ("Should Tell What It Runs", {"BOARD": "another", "SCRIPT": f"{first.folder}/{first.board.name}.resc"}),
        ("Should Answer Every Prompt As Expected", {"INSTRUCTIONS_PER_TICK": "39"}),
        ("Should Report An Undefined Instruction", {"TEST_ELF": f"{first.folder}/firmware.elf"}),
        ("Should Report An Undefined Instruction", {"USAGE": "bus"}),
    ):
        result = mirrored(first.folder, first.board, "--test", test, **more)
        assert "1 test, 0 passed, 1 failed" in result.stdout, (test, result.stdout)


def test_the_suites_run_dry_with_renodes_keywords(first: Gathered, tmp_path: Path) -> None:
    stub = tmp_path / "renode-keywords.resource"
    lines = ["*** Keywords ***"]
    for keyword, arguments in NAMES["keywords"].items():
        lines += [keyword, *([f"    [Arguments]    {'    '.join(arguments)}"] if arguments else []), "    No Operation"]
    stub.write_text("\n".join(lines) + "\n")
    result = robot(first.folder, first.board, stub, "--dryrun")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_mirror_has_the_arguments_of_renodes_keywords() -> None:
    import inspect

    from tests.renode.qemu_mirror import qemu_mirror

    for keyword, arguments in NAMES["keywords"].items():
        method = getattr(qemu_mirror, keyword.lower().replace(" ", "_"))
        parameters = [name for name in inspect.signature(method).parameters if name != "self"]
        assert parameters == [argument.partition("}")[0].removeprefix("${") for argument in arguments], keyword


def test_results_agree_or_say_where_not(first: Gathered) -> None:
    def other(change: Callable[[dict[str, Any]], None]) -> list[str]:
        copy = first.result.as_data()
        copy["emulator"]["name"] = "renode"
        change(copy)
        return disagreements(first.result, RunResult.from_data(copy, "copy"))

    def slower(copy: dict[str, Any]) -> None:
        ticks = copy["prompts"][0]["ticks"]
        ticks[1] = round(ticks[1] * 1.002) + 3

    def odd_tick(copy: dict[str, Any]) -> None:
        copy["prompts"][0]["ticks"][1] += 1

    assert other(lambda copy: None) == other(odd_tick) == []
    assert "step 1 takes" in other(slower)[0]
    assert "logits_crc" in other(lambda copy: copy["prompts"][1]["logits_crc"].reverse())[0]
    assert "tokens_out" in other(lambda copy: copy["prompts"][1]["tokens_out"].append(1))[0]
    assert "not the same prompts" in other(lambda copy: copy["prompts"].pop())[0]
    assert "steps on" in other(lambda copy: copy["prompts"][0]["ticks"].pop())[0]
    assert "different runs" in other(lambda copy: copy.update(recipe="x"))[0]


FAKE = """#!{python}
import json, os, sys
json.dump([sys.argv[1:], os.getcwd(), os.environ["PATH"]], open("asked.json", "w"))
sys.exit({status})
"""


def fake(folder: Path, status: int = 0) -> Path:
    for name in ("renode", "renode-test"):
        (folder / name).write_text(FAKE.format(python=sys.executable, status=status))
        (folder / name).chmod(0o755)
    return folder / "renode"


def test_renode_test_is_given_the_suites_and_their_variables(first: Gathered, tmp_path: Path) -> None:
    runner = renode_suites.renode_test(fake(tmp_path))
    results = tmp_path / "results"
    renode_suites.run_suites(runner, first.folder, first.board, results)
    arguments, where, path = json.loads((results / "asked.json").read_text())
    assert Path(where) == results
    assert path.split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert arguments[:2] == [f"{first.folder}/prompts.robot", f"{first.folder}/faults.robot"]
    passed = dict(value.split(":", 1) for value in arguments[3::2])
    assert set(arguments[2::2]) == {"--variable"}
    for name in ("ELF", "TEST_ELF", "EXPECTED"):
        assert Path(passed[name]).is_file()
    assert passed["BOARD"] == first.board.name
    # every variable that a suite uses and does not set is given, besides those of Robot and of renode-test
    for name in (*renode_suites.SUITES, "thimble.resource"):
        text = (SUITES / name).read_text()
        used = set(re.findall(r"\$\{?([A-Z_]{3,})\b", text))
        own = set(re.findall(r"^\$\{([A-Z_]+)\}", (SUITES / "thimble.resource").read_text() + text, re.MULTILINE))
        assert used - own - {"CURDIR", "EMPTY", "RENODEKEYWORDS"} <= set(passed), name


def test_a_failed_or_missing_renode_test_is_an_error(first: Gathered, tmp_path: Path) -> None:
    runner = renode_suites.renode_test(fake(tmp_path, status=3))
    with pytest.raises(ThimbleError, match=r"renode-test failed \(exit status 3\)") as caught:
        renode_suites.run_suites(runner, first.folder, first.board, tmp_path / "results")
    assert "log.html" in caught.value.remedy
    with pytest.raises(ThimbleError, match="cannot start"):
        renode_suites.run_suites(tmp_path / "none", first.folder, first.board, tmp_path / "results")


def test_without_renode_the_command_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RENODE", raising=False)
    monkeypatch.setattr("pipeline.emulators.renode.launcher.PORTABLE", tmp_path / "portable")
    assert find_renode() is None
    recipe = ROOT / "models" / "home-en-nano" / "recipe.yaml"
    assert main(["renode", "suites", str(recipe), "--build", str(tmp_path / "build")]) == 1
    assert "thimble renode fetch" in capsys.readouterr().err
    assert not (tmp_path / "build").exists()
    monkeypatch.setenv("RENODE", str(tmp_path / "renode"))
    (tmp_path / "renode").touch()
    assert main(["renode", "suites", str(recipe)]) == 1
    assert "renode-test" in capsys.readouterr().err


def test_the_suites_are_not_run_where_the_probe_sent_the_image_to_qemu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for mps3_an547 under Renode 1.16.1."""
    board = next(board for board in EMULATED if board.name == "mps3_an547")
    workspace = Workspace(tmp_path / "build", "stand-in")
    result = made_result(recipe="x", board=board.name, emulator=EmulatorVersion(name="qemu", version="7.2"))
    RESULT.save(workspace.stage("emulate", f"{board.name}-aot"), result)
    monkeypatch.setattr("pipeline.stages.registry.run_recipe", lambda *_: workspace)
    recipe = load_recipe(ROOT / "models" / "home-en-nano" / "recipe.yaml")
    out = io.StringIO()
    runner = tmp_path / "no-renode-test"
    renode_suites._on_board(board, recipe, tmp_path / "build", runner, Console(file=out, width=200))
    assert f"{board.name}: Renode cannot verify it; its suites are not run" in out.getvalue()


def test_a_board_that_fails_keeps_no_other_from_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[str] = []

    def on_board(board: Board, *_: Any) -> None:
        tried.append(board.name)
        if board.name == "mps2_an385":
            raise ThimbleError("mps2_an385: it failed", "mend it")

    monkeypatch.setattr(renode_suites, "_on_board", on_board)
    monkeypatch.setenv("RENODE", str(fake(tmp_path)))
    recipe = str(ROOT / "models" / "home-en-nano" / "recipe.yaml")
    assert main(["renode", "suites", recipe, "--all"]) == 1
    assert tried == [board.name for board in EMULATED] and len(tried) > 5
    assert f"mps2_an385: it failed\n  fix: mend it\nerror: 1 of {len(tried)} boards failed" in capsys.readouterr().err
    assert main(["renode", "suites", recipe, "--board", "mps2_an386"]) == 0
