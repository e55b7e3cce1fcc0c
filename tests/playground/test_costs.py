"""What a page knows of a board's steps."""

from __future__ import annotations

import pytest

from pipeline.playground.costs import board_facts, step_table
from pipeline.targets.boards import load_board
from pipeline.verification.result import Estimate, InstructionCounts, StepEstimates
from tests.support.run_results import made_prompt, made_result

PROMPTS = (made_prompt(ticks=(100, 110, 120, 130)), made_prompt(ticks=(102, 112)))


def test_a_step_costs_the_mean_of_its_position() -> None:
    assert step_table(made_result(prompts=PROMPTS), 40) == [4040, 4440, 4800, 5200]
    assert step_table(made_result(prompts=(made_prompt(ticks=()),)), 40) == []


def test_positions_behind_the_last_are_on_a_line_through_the_others() -> None:
    facts = board_facts(made_result(prompts=(made_prompt(ticks=(100, 110, 120)),)), load_board("mps2_an386"))
    assert facts is not None
    start, slope = facts["line"]
    assert (start, slope) == (pytest.approx(4000), pytest.approx(400))


def test_milliseconds_an_instruction_are_the_results_own() -> None:
    counts = InstructionCounts(
        prefill_per_token=1000, prompt_max=9000, decode_mean=2000, decode_max=2500, per_mac=1.0, steps=6
    )
    span = Estimate(low=1.0, likely=1.5, high=2.0)
    wide = Estimate(low=4.0, likely=5.0, high=6.0)
    times = StepEstimates(prefill_per_token=span, prompt_max=span, decode_mean=wide, decode_max=wide)
    facts = board_facts(made_result(prompts=PROMPTS, instructions=counts, milliseconds=times), load_board("mps2_an386"))
    assert facts is not None
    assert facts["msPerInstruction"] == {
        "prompt": pytest.approx([0.001, 0.0015, 0.002]),
        "answer": pytest.approx([0.002, 0.0025, 0.003]),
    }


def test_a_board_that_counted_no_instructions_is_not_on_the_page() -> None:
    assert board_facts(made_result(instructions=None), load_board("mps2_an386")) is None
