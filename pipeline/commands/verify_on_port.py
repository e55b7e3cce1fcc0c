"""`serial`: the verification of `emulate` on a real board, over its serial port."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.device.protocol import Device, Info
from pipeline.device.serial_port import connect
from pipeline.errors import ThimbleError, VerificationFailed
from pipeline.files import read_json
from pipeline.program import command
from pipeline.recipes.load import Recipe
from pipeline.targets.boards import Board, load_board
from pipeline.tasks.registry import load_task
from pipeline.tasks.text_path import known_texts, recipe_codec
from pipeline.verification.assemble import assemble_result
from pipeline.verification.checks import reference_full_context, reference_runs, verify
from pipeline.verification.oracle import Oracle
from pipeline.verification.result import (
    RESULT,
    CycleCounts,
    EmulatedCounts,
    EmulatorVersion,
    Estimate,
    RunResult,
    StepEstimates,
)
from pipeline.verification.slow_texts import slow_texts
from pipeline.workflow.artifacts import COMPILED, SIZES, TFLITE
from pipeline.workflow.workspace import Workspace, target_key

__all__ = ["verify_on_port"]

# A dual-issue core does two instructions a cycle, each two multiply-accumulates; Helium's 8 a cycle.
MIN_CYCLES_PER_MAC = 1 / 16
# Caches and flash are not in the same state each time: by how much a step's count may differ when it is asked again.
REPEAT_TOLERANCE = 0.1
LINE_CHARACTERS = 80  # of a STEP line, at most


def verify_on_port(
    recipe: Recipe,
    workspace: Workspace,
    port: str,
    console: Console,
    baud: int | None = None,
    instructions_per_tick: float | None = None,
) -> RunResult:
    """Verifies the board on the port as the stage `emulate` does; writes `<board>-<engine>-serial/result.json`.

    Args:
        recipe: built before; its first board is the one on the port.
        baud: instead of the board's.
        instructions_per_tick: for an emulator behind a pseudo-terminal, whose ticks are no cycles.

    Raises:
        ThimbleError: nothing is built, the port or the board does not answer, it runs another image, or a check
            failed; the result is written in the last case, and an earlier one stays in the others.
    """
    board = load_board(recipe.boards[0])
    key = target_key(board.name, recipe.engine)
    sizes = _read(workspace.path(SIZES.of("firmware"), key), recipe, board)
    compiled = _read(workspace.path(COMPILED.of("firmware"), key), recipe, board)
    codec = recipe_codec(recipe, workspace.stage("data"))
    baud = baud or board.uart.baud
    with console.status(f"waiting for {board.name} on {port}"):
        link = connect(port, baud)
    with Device(link, booted=True, has_ids=link.has_ids) as device:
        info = device.info()
        _check_image(info, board, sizes, port)
        text = load_task(recipe).text(workspace.stage("data"), recipe.model.context, recipe.evaluate.host_sentences)
        texts = None if text is None else text.sequences
        expectations = reference_runs(recipe, workspace.path(TFLITE.of("quantize")), codec, texts)
        oracle = Oracle(workspace.path(TFLITE.of("quantize")).read_bytes())
        with console.status(f"verifying {len(expectations)} prompts on {board.name}"):
            per_tick = instructions_per_tick or 1.0
            verification = verify(
                device,
                expectations,
                macs_per_step=int(compiled["macs"]),
                kv_cache_bytes=int(compiled["kv_cache_bytes"]),
                instructions_per_tick=per_tick,
                weights_crc=int(sizes["weights_crc"]),
                build_id=str(sizes["build_id"]),
                min_per_mac=MIN_CYCLES_PER_MAC,
                repeat_tolerance=REPEAT_TOLERANCE,
                line_ticks=info.tick_hz * 10 * LINE_CHARACTERS / baud,
                longest=reference_full_context(oracle, oracle.context, oracle.vocab),
                slow_texts=slow_texts(codec.tokenizer, known_texts(workspace.stage("data"))),
            )
    counts = verification.instructions.model_dump(include=set(StepEstimates.model_fields))
    # An emulator's count is of instructions: taken for cycles here, since nothing better is known of it.
    milliseconds = {key: round(1000 * count / info.tick_hz, 3) for key, count in counts.items()}
    result = assemble_result(
        recipe,
        board,
        EmulatorVersion(name="serial", version=f"{port} at {baud} baud"),
        verification,
        sizes=sizes,
        compiled=compiled,
        clock_hz=info.tick_hz,
        instructions=verification.instructions if instructions_per_tick else None,
        cycles=None
        if instructions_per_tick
        else CycleCounts.model_validate({**_steps(counts), "model": f"measured by the board's {info.counter}"}),
        milliseconds=StepEstimates(**_steps(milliseconds)),
        emulated=_emulated(workspace, board, recipe),
    )
    written = RESULT.save(workspace.folder / f"{key}-serial", result)
    if not result.ok:
        raise VerificationFailed(f"{board.name} on {port}: {result.failure()}", f"see {written}")
    return result


def _check_image(info: Info, board: Board, sizes: dict[str, Any], port: str) -> None:
    if info.board != board.name:
        raise ThimbleError(f"the board on {port} is a {info.board}, not a {board.name}", f"use --board {info.board}")
    if info.build != sizes["build_id"]:
        raise ThimbleError(
            f"the board on {port} runs build {info.build} of {info.model!r}, this recipe's is {sizes['build_id']}",
            "put the recipe's firmware.elf on it (docs/serial.md)",
        )


def _steps(values: Mapping[str, float]) -> dict[str, Estimate]:
    """Measured figures in the form of modelled ones."""
    return {key: Estimate.exactly(value) for key, value in values.items()}


def _emulated(workspace: Workspace, board: Board, recipe: Recipe) -> EmulatedCounts | None:
    """What the last run under an emulator counted and modelled, to compare with; None where there was none, or none
    that this version reads."""
    try:
        result = RESULT.load(workspace.folder / target_key(board.name, recipe.engine))
    except ThimbleError:
        return None
    return EmulatedCounts(emulator=result.emulator, instructions=result.instructions, cycles=result.cycles)


def _read(path: Path, recipe: Recipe, board: Board) -> dict[str, Any]:
    try:
        return read_json(
            path,
            f"run `{command(f'firmware {recipe.path} --board {board.name}')}`, and put its image on the board",
        )
    except ThimbleError as error:
        raise ThimbleError(f"no firmware of {recipe.name} is built for {board.name}", error.remedy) from None
