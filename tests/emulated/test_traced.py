"""A traced prompt on the emulated board: what the trace holds, against the board's own counter."""

from __future__ import annotations

import pytest

from pipeline.firmware.build import Firmware
from pipeline.targets.boards import Board
from pipeline.targets.memories import Flash
from pipeline.timing.costs import load_core
from pipeline.timing.measure import TracedPrompt, measure, steps_differ


@pytest.fixture(scope="module")
def traced(firmware: Firmware, board: Board) -> TracedPrompt:
    return measure(firmware.elf, board, load_core(board.core), board.flash_timing, "turn on", 12)


def test_each_steps_instructions_are_the_counters(traced: TracedPrompt) -> None:
    """To the few between the readings of the counter, and the 40 of a tick."""
    assert steps_differ(traced, 40) == []
    assert [step.kind for step in traced.steps] == ["prefill", *["decode"] * len(traced.answer.steps)]
    reported = [traced.answer.prefill, *traced.answer.steps]
    overhead = [
        ticks.ticks * 40 - step.instructions for ticks, step in zip(reported, traced.steps, strict=True) if ticks
    ]
    assert max(overhead) - min(overhead) < 80, "always the same code around a step; both readings are whole ticks of 40"


def test_the_same_prompt_gives_the_same_trace(traced: TracedPrompt, firmware: Firmware, board: Board) -> None:
    repeated = measure(firmware.elf, board, load_core(board.core), board.flash_timing, "turn on", 12)
    assert repeated.steps == traced.steps and repeated.stacks == traced.stacks


def test_stacks_add_up_to_the_steps(traced: TracedPrompt) -> None:
    for kind, stacks in traced.stacks.items():
        steps = [step for step in traced.steps if step.kind == kind]
        assert sum(count for count, _ in stacks.values()) == sum(step.instructions for step in steps) > 0
        assert sum(cycles for _, cycles in stacks.values()) == pytest.approx(sum(s.cycles.likely for s in steps))
        assert all(stack[0] in ("thimble_step", "thimble_prefill") for stack in stacks)
        assert any("standin_step" in stack for stack in stacks)


def test_flash_that_waits_costs_more_and_a_cache_saves(firmware: Firmware, board: Board, traced: TracedPrompt) -> None:
    core = load_core(board.core)
    bare = measure(firmware.elf, board, core, Flash(5, 16), "turn on", 12).steps[-1]
    cached = measure(firmware.elf, board, core, Flash(5, 16, 64, 8, prefetch=True), "turn on", 12).steps[-1]
    none = traced.steps[-1]
    assert none.instructions == cached.instructions == bare.instructions
    assert none.cycles.likely <= cached.cycles.likely < bare.cycles.likely <= bare.cycles.high
    assert none.cycles.low == cached.cycles.low == bare.cycles.low
