"""From traced steps to a result's cycles, milliseconds, layers and files."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pipeline.device.protocol import Answer, Prefill
from pipeline.device.protocol import Step as ReportedStep
from pipeline.errors import ThimbleError
from pipeline.report.flame import flame_graph
from pipeline.targets.memories import Flash
from pipeline.timing.costs import Estimate, load_core
from pipeline.timing.estimate import Rates, layers_of, merge_stacks, rates_of, times_of
from pipeline.timing.folded import read_folded, write_folded
from pipeline.timing.measure import TracedPrompt, steps_differ
from pipeline.timing.profile import Step


def measured(*steps: Step, ticks: tuple[int, ...] = (100, 10, 20)) -> TracedPrompt:
    answer = Answer(
        steps=tuple(ReportedStep(i, 1, 0, count, 2) for i, count in enumerate(ticks[1:])),
        tokens_in=(),
        tokens_out=(1, 2, 3),
        ticks=sum(ticks),
        end="eos",
        text="",
        prefill=Prefill(5, 0, ticks[0], 1),
    )
    stacks: dict[str, dict[tuple[str, ...], tuple[int, float]]] = {
        "prefill": {("thimble_prefill",): (4000, 5000.0)},
        "decode": {("thimble_step", "run_one"): (900, 1300.0), ("thimble_step",): (300, 500.0)},
    }
    return TracedPrompt("a prompt", steps, stacks, answer)


STEPS = (
    Step("prefill", 4000, Estimate(4000, 5000, 8000), 0),
    Step("decode", 400, Estimate(400, 600, 1000), 0),
    Step("decode", 800, Estimate(900, 1200, 1200), 0),
)


def test_rates_are_means_and_the_worst_of_each_level() -> None:
    rates = rates_of([measured(*STEPS)], Flash(), weight_bytes=0, block=2)
    assert rates.decode == Estimate(1300 / 1200, 1.5, 2200 / 1200)
    assert rates.decode_worst == Estimate(1.125, 1.5, 2.5)
    assert rates.prefill == rates.prefill_worst == Estimate(1, 1.25, 2)


def test_weights_are_read_once_a_step_and_once_a_block_of_a_prompt() -> None:
    flash = Flash(wait_states=5, line_bytes=16, data_lines=8)
    with_data, without = (rates_of([measured(*STEPS)], kind, 1600, block=2) for kind in (flash, Flash()))
    assert with_data.decode.likely - without.decode.likely == pytest.approx(2 * 500 / 1200)
    assert with_data.prefill.likely - without.prefill.likely == pytest.approx(3 * 500 / 4000), "5 tokens: 3 blocks"
    assert with_data.prefill.high - without.prefill.high == pytest.approx(3 * 2000 / 4000)
    assert with_data.decode.low == without.decode.low


def test_cycles_and_milliseconds_follow_from_counts_and_rates() -> None:
    counts = {"prefill_per_token": 100.0, "prompt_max": 1000.0, "decode_mean": 500.0, "decode_max": 800.0}
    rates = Rates(Estimate(1, 2, 3), Estimate(1, 2, 4), Estimate(2, 3, 4), Estimate(2, 3, 5))
    cycles, times = times_of(counts, rates, 1_000_000)
    assert cycles["decode_max"] == {"low": 1600, "likely": 2400, "high": 4000}
    assert times["decode_max"] == {"low": 1.6, "likely": 2.4, "high": 4.0}
    assert times["prompt_max"]["high"] == 4.0 and times["prefill_per_token"]["high"] == 0.3
    assert Rates.of_core(load_core("cortex-m4")).decode.low > 1


def test_the_trace_must_match_the_counter() -> None:
    assert steps_differ(measured(*STEPS), 40) == []
    assert steps_differ(measured(*STEPS, ticks=(102, 12, 20)), 40) == []
    assert len(steps_differ(measured(*STEPS, ticks=(105, 10, 18)), 40)) == 2
    assert "3 steps" in steps_differ(measured(*STEPS, ticks=(100, 10)), 40)[0]


def test_layers_are_the_functions_that_run_them() -> None:
    first_layer = {"name": "one", "function": "run_one", "weight_bytes": 160}
    gone = {"name": "gone", "function": "run_gone", "weight_bytes": 0}
    stacks = merge_stacks([measured(*STEPS), measured(*STEPS)])["decode"]
    flash = Flash(wait_states=5, line_bytes=16, instruction_lines=64, data_lines=8)
    assert layers_of([first_layer, gone], stacks, 4, flash, weight_bytes=320) == [
        {**first_layer, "instructions": 450.0, "cycles": 750},
        {**gone, "instructions": 0.0, "cycles": 0},
    ]
    second_layer = {"name": "two", "function": "run_one", "weight_bytes": 0}  # one function, two layers
    assert layers_of([first_layer, second_layer], stacks, 4, flash, weight_bytes=160) == [
        {**first_layer, "instructions": 225.0, "cycles": 375},
        {**second_layer, "instructions": 225.0, "cycles": 325},
    ]


def test_folded_stacks_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "cycles.folded"
    write_folded(path, {("a", "b c"): 7.4, ("a",): 3, ("none",): 0.2})
    assert path.read_text() == "a 3\na;b c 7\n"
    assert read_folded(path) == {("a", "b c"): 7, ("a",): 3}
    path.write_text("a;b many\n")
    with pytest.raises(ThimbleError, match="no collapsed stack"):
        read_folded(path)


def test_the_flame_graph_is_one_svg_with_a_box_a_frame() -> None:
    svg = flame_graph(
        {("decode", "run_<one>"): 60, ("decode",): 30, ("prefill",): 10, ("tiny",): 0.001}, "T & C", "cycles"
    )
    document = ET.fromstring(svg)
    titles = [title.text for title in document.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["decode: 90 cycles, 90.0%", "run_<one>: 60 cycles, 60.0%", "prefill: 10 cycles, 10.0%"]
    assert ET.fromstring(flame_graph({}, "nothing", "cycles")).tag.endswith("svg")


def test_a_narrow_frame_shows_what_tells_it_from_its_neighbours() -> None:
    counts = {"run_layer0_ffn_up": 80, "run_layer1_ffn_up": 80, "thimble_fully_connected_s8": 100, "x": 800}
    document = ET.fromstring(flame_graph({(name,): count for name, count in counts.items()}, "", "cycles"))
    texts = [text.text for text in document.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[1:] == ["x", "fully_conn…", "0 ffn_up", "1 ffn_up"]
