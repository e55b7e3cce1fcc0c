"""One prompt on the emulated board, traced: instructions and modelled cycles of its steps, and of every function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.device.protocol import Answer, Device
from pipeline.emulators.qemu import Qemu
from pipeline.errors import ThimbleError
from pipeline.targets.boards import Board
from pipeline.targets.memories import Flash
from pipeline.timing.costs import Core, Estimate
from pipeline.timing.disassembly import read_code
from pipeline.timing.profile import Profile, Step
from pipeline.timing.trace import OPTIONS, Tracer, dfilter_ranges

__all__ = [
    "Stacks",
    "TracedPrompt",
    "check_instructions_per_tick",
    "counted_instructions_per_tick",
    "measure",
    "steps_differ",
    "with_weights",
]

Stacks = dict[tuple[str, ...], tuple[int, float]]

# Between the two readings of the counter lie, besides the step, its call and half of each reading; and a tick may be
# cut off at both ends.
STEP_OVERHEAD = 120
_INSTRUCTIONS_PER_MICROSECOND = 1000  # QEMU's, with -icount shift=0
_TOLERANCE = 1.02  # by which factor a board.yaml may be off
_SAME = 1e-3  # a round clock explains a count that is as near as this


@dataclass(frozen=True)
class TracedPrompt:
    """Measurements of a traced prompt: its steps in order, the prefill first, and the stacks by kind (prefill,
    decode)."""

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
    """A line for each step whose traced instructions differ from the board's counter."""
    reported = _reported_ticks(measured)
    if len(reported) != len(measured.steps):
        return [f"the trace has {len(measured.steps)} steps, the board reported {len(reported)}"]
    max_overhead = instructions_per_tick + STEP_OVERHEAD
    return [
        f"step {index}: {step.instructions:,} instructions in the trace, {ticks * instructions_per_tick:,.0f} counted"
        for index, (step, ticks) in enumerate(zip(measured.steps, reported, strict=True))
        if not -instructions_per_tick <= ticks * instructions_per_tick - step.instructions <= max_overhead
    ]


def counted_instructions_per_tick(traced: Sequence[TracedPrompt]) -> Estimate | None:
    """How many instructions a tick of the board's counter stands for, by the trace.

    The counter also sees what lies between its two readings and the step (at most `STEP_OVERHEAD`), so `low` and `high`
    are bounds; `likely` is the slope over steps of different lengths, in which that cancels out.

    Args:
        traced: prompts on one board.

    Returns:
        None where the board reported other steps than were traced, or no ticks.
    """
    steps = []
    for measured in traced:
        reported = _reported_ticks(measured)
        if len(reported) != len(measured.steps):
            return None
        steps += [(step.instructions, ticks) for step, ticks in zip(measured.steps, reported, strict=True)]
    instructions, ticks = (sum(values) for values in zip(*steps, strict=True)) if steps else (0, 0)
    if not ticks:
        return None
    low = instructions / ticks
    high = (instructions + len(steps) * (STEP_OVERHEAD + low)) / ticks
    mean_instructions, mean_ticks = instructions / len(steps), ticks / len(steps)
    spread = sum((step_ticks - mean_ticks) ** 2 for _, step_ticks in steps)
    if spread < mean_ticks**2:  # steps alike: a rounded tick would count for too much
        return Estimate(low, low, high)
    covariance = sum((count - mean_instructions) * (step_ticks - mean_ticks) for count, step_ticks in steps)
    return Estimate(low, min(max(covariance / spread, low), high), high)


def check_instructions_per_tick(board: Board, traced: Sequence[TracedPrompt]) -> None:
    """Compares the board's `instructions_per_tick` for QEMU with what was counted.

    Args:
        board: the one that was traced.
        traced: its prompts.

    Raises:
        ThimbleError: they differ by more than 2 %; it says what the file should hold.
    """
    counted = counted_instructions_per_tick(traced)
    value = board.instructions_per_tick("qemu")
    if counted is None or counted.low / _TOLERANCE <= value <= counted.high * _TOLERANCE:
        return
    # QEMU executes 1000 instructions a microsecond, and a machine's clock is a round number of MHz.
    mhz = round(_INSTRUCTIONS_PER_MICROSECOND / counted.likely, 1)
    exact = _INSTRUCTIONS_PER_MICROSECOND / mhz if mhz else counted.likely
    best = exact if abs(exact - counted.likely) < _SAME * counted.likely else counted.likely
    raise ThimbleError(
        f"{board.name}: its board.yaml says {value:g} instructions a tick of the counter, QEMU's machine executes "
        f"{counted.likely:.5g} (its counter runs at {_INSTRUCTIONS_PER_MICROSECOND / counted.likely:.1f} MHz, whatever "
        "`clock_hz` says)",
        f"write `instructions_per_tick: {best:.7g}` under `emulators`, `qemu`",
    )


def _reported_ticks(measured: TracedPrompt) -> list[int]:
    answer = measured.answer
    prefill = [answer.prefill.ticks] if answer.prefill else []
    return prefill + [step.ticks for step in answer.steps]


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
