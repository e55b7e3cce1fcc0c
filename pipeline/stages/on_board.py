"""What a recipe's image and that of a decode step without a recipe go through on an emulated board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import metadata as packages
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from pipeline import tools
from pipeline.device.protocol import Device
from pipeline.emulators.select import Emulator, pick
from pipeline.targets.boards import Board
from pipeline.timing.model import TimingModel, board_to_trace, trace_prompts, untraced
from pipeline.verification.checks import Expectation, FullContext, Verification, min_per_mac, verify
from pipeline.verification.probe import trusted_emulator

__all__ = ["emulator_for", "time_prompts", "tool_versions", "verify_image"]


def emulator_for(board: Board, wanted: str | None, elf: Path, console: Console) -> tuple[Emulator, str]:
    """What runs the image, and what to say of it where that is another than was picked; a doubt is printed.

    Args:
        board: to emulate.
        wanted: the emulator's name; None: the first that is present.
        elf: the image.
        console: where the doubt is printed.

    Raises:
        ThimbleError: there is no such emulator, or its probe does not run.
    """
    emulator, doubt = pick(board, wanted), ""
    if emulator.name == "renode":
        with console.status(f"asking Renode whether it computes as {board.core} does"):
            emulator, doubt = trusted_emulator(emulator, board, elf)
        if doubt:
            console.print(f"[yellow]![/] {board.name}: {doubt}", highlight=False)
    return emulator, doubt


def verify_image(
    emulator: Emulator,
    board: Board,
    elf: Path,
    expectations: Sequence[Expectation],
    sizes: Mapping[str, Any],
    compiled: Mapping[str, Any],
    console: Console,
    longest: FullContext,
    slow_texts: Sequence[str] = (),
) -> Verification:
    """Verifies every expectation on the emulated board.

    Args:
        emulator: what runs it.
        board: whose image it is.
        elf: the image.
        expectations: of the oracle.
        sizes: the content of the firmware's `sizes.json`.
        compiled: the content of its `compiled.json`.
        console: where progress is shown.
        longest: what a full context gives.
        slow_texts: to read, for the most that reading takes.

    Raises:
        ThimbleError: the device stopped answering, or reported a fault.
    """
    with (
        console.status(f"verifying {len(expectations)} prompts on {board.name}"),
        Device(emulator.start(elf, board)) as device,
    ):
        return verify(
            device,
            expectations,
            macs_per_step=int(compiled["macs"]),
            kv_cache_bytes=int(compiled["kv_cache_bytes"]),
            instructions_per_tick=board.instructions_per_tick(emulator.name),
            weights_crc=int(sizes["weights_crc"]),
            build_id=str(sizes["build_id"]),
            min_per_mac=min_per_mac(board.core),
            longest=longest,
            slow_texts=slow_texts,
        )


def time_prompts(
    board: Board,
    elf: Path,
    compiled: Mapping[str, Any],
    verification: Verification,
    build_for: Callable[[Board], Path],
    console: Console,
) -> TimingModel:
    """Traces the longest prompt and the one with the last, slowest position.

    Args:
        board: whose cycles are modelled.
        elf: its image.
        compiled: the content of its `compiled.json`.
        verification: what the board answered.
        build_for: builds the same sources for another board, whose image it gives: QEMU has not every board.
        console: where progress is shown.
    """
    answered = [prompt for prompt in verification.prompts if prompt.ticks]
    tracing = board_to_trace(board) if tools.find("qemu-system-arm") else None
    if not answered or tracing is None:
        return untraced(board)
    longest = max(answered, key=lambda prompt: len(prompt.tokens_in))
    # A step costs the more the more rows its cache has. Ticks vary by one from run to run, and would not choose alike.
    furthest = max(answered, key=lambda prompt: len(prompt.ticks))
    prompts = list(dict.fromkeys((longest.text, furthest.text)))
    traced = elf if tracing is board else build_for(tracing)
    with console.status("") as status:

        def progress(text: str, done: int) -> None:
            status.update(escape(f"tracing {text!r} on {tracing.name}: {done} steps"))

        return trace_prompts(traced, tracing, board, prompts, compiled, progress)


def tool_versions(emulator: Emulator, distributions: Sequence[str]) -> dict[str, str]:
    """The versions of the compiler, the emulator and some Python distributions."""
    return {
        "arm-none-eabi-gcc": tools.version("arm-none-eabi-gcc"),
        emulator.name: emulator.version,
        **{name: packages.version(name) for name in distributions},
    }
