"""One prompt on the emulated board, traced: instructions and modelled cycles of its steps, and of every function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.device.protocol import Answer, Device
from pipeline.emulators.qemu import Qemu
from pipeline.targets.boards import Board
from pipeline.targets.memories import Flash
from pipeline.timing.costs import Core, Estimate
from pipeline.timing.disassembly import read_code
from pipeline.timing.profile import Profile, Step
from pipeline.timing.trace import OPTIONS, Tracer, dfilter_ranges

__all__ = ["Stacks", "TracedPrompt", "measure", "steps_differ", "with_weights"]

Stacks = dict[tuple[str, ...], tuple[int, float]]

# Between the two readings of the counter lie, besides the step, its call and half of each reading; and a tick may be
# cut off at both ends.
STEP_OVERHEAD = 120


@dataclass(frozen=True)
class TracedPrompt:
    """What a traced prompt took: its steps in order, the prefill first, and the stacks by kind (prefill, decode)."""

    prompt: str
    steps: tuple[Step, ...]
    stacks: dict[str, Stacks]
    answer: Answer


_LINE_TIMEOUT = 1200.0
"""Seconds for a line. A prompt is answered in one, and all its instructions are logged: for an interpreter, on a busy
machine, that takes minutes."""


def measure(
    elf: Path,
    board: Board,
    core: Core,
    flash: Flash,
    prompt: str,
    max_new: int,
    progress: Callable[[int], None] | None = None,
) -> TracedPrompt:
    """Runs one prompt in QEMU with an execution trace.

    Args:
        elf: an image for `board`, which QEMU has.
        core: whose cycles are to be counted.
        flash: whose wait states are to be counted; it may be another board's with the same core.
        max_new: the most tokens of the answer.
        progress: called with the number of steps that are done.

    Raises:
        ThimbleError: the emulator ended, or its log is of a form that is not known.
    """
    code = read_code(elf)
    profile = Profile(code, core, flash, progress)
    tracer = Tracer(code, profile)
    failures: list[Exception] = []

    def listen(stream: IO[bytes]) -> None:
        try:
            tracer.read(stream)
        except Exception as error:
            failures.append(error)
            while stream.read(1 << 18):  # or QEMU would wait for a reader
                pass

    options = ["-d", OPTIONS, "-dfilter", dfilter_ranges(code)]
    with Device(Qemu().start_logging(elf, board, options, listen), timeout=_LINE_TIMEOUT) as device:
        answer = device.prompt(prompt, max_new)
    if failures:
        raise failures[0]
    return TracedPrompt(prompt, tuple(profile.steps), {kind: profile.stacks(kind) for kind in profile.roots}, answer)


def steps_differ(measured: TracedPrompt, instructions_per_tick: float) -> list[str]:
    """A line for each step whose traced instructions are not those that the board's counter told."""
    answer = measured.answer
    reported = [answer.prefill.ticks] if answer.prefill else []
    reported += [step.ticks for step in answer.steps]
    if len(reported) != len(measured.steps):
        return [f"the trace has {len(measured.steps)} steps, the board told of {len(reported)}"]
    max_overhead = instructions_per_tick + STEP_OVERHEAD
    return [
        f"step {index}: {step.instructions:,} instructions in the trace, {ticks * instructions_per_tick:,.0f} counted"
        for index, (step, ticks) in enumerate(zip(measured.steps, reported, strict=True))
        if not -instructions_per_tick <= ticks * instructions_per_tick - step.instructions <= max_overhead
    ]


def with_weights(
    steps: Sequence[Step], flash: Flash, weight_bytes: int, prompt_tokens: int, block: int
) -> list[Estimate]:
    """Cycles of each step with the wait states of reading the weights, which a step reads once, a prefill once a block.

    Args:
        weight_bytes: of all layers.
        prompt_tokens: in the prefill.
        block: tokens that it takes at once.
    """
    estimates = []
    for step in steps:
        passes = -(-prompt_tokens // max(block, 1)) if step.kind == "prefill" else 1
        read = weight_bytes * passes
        estimates.append(step.cycles.plus(Estimate(0.0, flash.likely_data(read), flash.worst_data(read))))
    return estimates
