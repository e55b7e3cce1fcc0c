"""The cycle model of a run: two traced prompts, and what they say of all counted instructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.targets.boards import Board, all_boards
from pipeline.timing.costs import load_core
from pipeline.timing.estimate import Rates, assumptions_of, layers_of, merge_stacks, rates_of, times_of
from pipeline.timing.measure import check_instructions_per_tick, measure, steps_differ

__all__ = ["TimingModel", "board_to_trace", "trace_prompts", "untraced"]


@dataclass(frozen=True)
class TimingModel:
    """Cycles an instruction, the cost of each layer, and what both rest on.

    `traced_on` is the board that the traced prompts ran on, None where none could be traced; `differences` has a line
    for each step whose traced instructions are not those that the board's counter reported. `stacks` holds, for
    `instructions` and `cycles`, how many each call stack took; a stack begins with `prefill` or `decode`.
    """

    rates: Rates
    layers: list[dict[str, Any]]
    traced_on: str | None
    prompts: tuple[str, ...]
    differences: tuple[str, ...]
    stacks: Mapping[str, Mapping[tuple[str, ...], float]]

    def cycles(self, board: Board, instructions: Mapping[str, float]) -> dict[str, Any]:
        """The content of a result's `cycles`, from its instruction counts."""
        core = load_core(board.core)
        cycles, _ = times_of(instructions, self.rates, board.clock_hz)
        traced = {"board": self.traced_on, "prompts": self.prompts} if self.traced_on else None
        return {
            **cycles,
            "per_instruction": self.rates.decode.rounded(4),
            "model": f"{core.name}, {board.flash_timing.wait_states} wait states",
            "assumptions": tuple(assumptions_of(board, core, self.traced_on)),
            "sources": (core.source, board.timing_source),
            "traced": traced,
        }

    def milliseconds(self, board: Board, instructions: Mapping[str, float]) -> dict[str, Any]:
        """The content of a result's `milliseconds`, from its instruction counts."""
        return times_of(instructions, self.rates, board.clock_hz)[1]


def untraced(board: Board) -> TimingModel:
    """The model where nothing was traced: the core's own mean."""
    return TimingModel(Rates.of_core(load_core(board.core)), [], None, (), (), {})


def board_to_trace(board: Board) -> Board | None:
    """The board that QEMU traces in the place of `board`: itself where QEMU has it, else one with the same core and
    compiler flags; None where there is neither."""
    if "qemu" in board.emulators:
        return board
    return next(
        (
            candidate
            for candidate in all_boards()
            if "qemu" in candidate.emulators and (candidate.core, candidate.flags) == (board.core, board.flags)
        ),
        None,
    )


def trace_prompts(
    elf: Path,
    tracing: Board,
    board: Board,
    prompts: Sequence[str],
    compiled: Mapping[str, Any],
    progress: Callable[[str, int], None],
) -> TimingModel:
    """Traces prompts in QEMU and models the cycles of `board`.

    Args:
        elf: an image for `tracing`.
        tracing: the board that QEMU runs.
        board: whose core and flash are modelled.
        prompts: texts to trace.
        compiled: the content of the firmware's `compiled.json`.
        progress: called with a prompt and the number of its steps that are done.

    Raises:
        ThimbleError: the emulator ended, its log is of a form that is not known, or the `instructions_per_tick` of
            `tracing` is not what the trace counts.
    """
    core, flash, weight_bytes = load_core(board.core), board.flash_timing, int(compiled["weight_bytes"])
    traced = []
    for text in prompts:
        progress(text, 0)
        traced.append(measure(elf, tracing, core, flash, text, int(compiled["context"]), partial(progress, text)))
    check_instructions_per_tick(tracing, traced)
    stacks = merge_stacks(traced)
    steps = sum(step.kind == "decode" for measured in traced for step in measured.steps)
    per_tick = float(tracing.emulators["qemu"]["instructions_per_tick"])
    return TimingModel(
        rates=rates_of(traced, flash, weight_bytes, int(compiled.get("block", 1))),
        layers=layers_of(compiled["layers"], stacks["decode"], steps, flash, weight_bytes),
        traced_on=tracing.name,
        prompts=tuple(measured.prompt for measured in traced),
        differences=tuple(line for measured in traced for line in steps_differ(measured, per_tick)),
        stacks={
            name: {
                (kind, *stack): values[column] for kind, counts in stacks.items() for stack, values in counts.items()
            }
            for column, name in enumerate(("instructions", "cycles"))
        },
    )
