"""The ring of the KV cache and rotary positions without end, by their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.errors import ThimbleError
from pipeline.numerics.kv_window import SlidingWindow, strided_window, window_metadata, window_of_metadata
from pipeline.numerics.rope import quantized, rope_matrix_q15, sine
from pipeline.recipes.schema import ModelConfig

kv_windows = st.integers(2, 40).flatmap(lambda rows: st.builds(SlidingWindow, st.just(rows), st.integers(0, rows - 2)))


@given(kv_windows, st.integers(1, 150))
def test_the_cache_holds_the_sinks_and_the_newest(kv_window: SlidingWindow, length: int) -> None:
    held: dict[int, int] = {}
    visible = kv_window.visible()
    sees = kv_window.sees(length)
    for position in range(length):
        held.pop(kv_window.slot(position), None)
        row = visible[kv_window.mask_row(position)]
        assert row[-1]
        assert {slot for slot in range(kv_window.rows) if row[slot]} == set(held)
        assert set(np.flatnonzero(sees[position])) == {*held.values(), position}
        held[kv_window.slot(position)] = position
    newest = set(range(length)[-(kv_window.rows - kv_window.sinks) :])
    assert set(held.values()) == newest | set(range(min(kv_window.sinks, length)))


@given(st.integers(4, 24), st.integers(0, 3), st.integers(2, 9), st.integers(1, 60))
def test_a_strided_cache_holds_the_kept_and_the_newest(rows: int, sinks: int, stride: int, context: int) -> None:
    retained = [position for position in range(context) if position < sinks or position % stride == 0]
    assume(len(retained) <= rows - 2)
    window = strided_window(rows, sinks, stride, context)
    visible, sees = window.visible(), window.sees(context)
    held: dict[int, int] = {}
    for position in range(context):
        assert (window.slot(position) in held) == (position >= rows)
        held.pop(window.slot(position), None)
        assert {slot for slot in range(rows) if visible[position][slot]} == set(held)
        assert visible[position][-1]
        visible_now = {*held.values(), position}
        assert set(np.flatnonzero(sees[position])) == visible_now
        evicted = [candidate for candidate in range(position + 1) if candidate not in retained]
        assert visible_now >= {candidate for candidate in retained if candidate <= position}
        assert sorted(visible_now - set(retained)) == evicted[len(evicted) - len(visible_now - set(retained)) :]
        assert len(visible_now) == min(position + 1, rows)
        held[window.slot(position)] = position


@pytest.mark.parametrize("said", [(9,), (10, 3), (14, 2, 5, 40), (12, 0, 7, 30)])
def test_a_tflite_says_its_window(said: tuple[int, ...]) -> None:
    expected = strided_window(*said) if len(said) > 2 else SlidingWindow(*said)
    assert window_of_metadata(window_metadata(*said)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "7", '{"window": 1}', '{"window": 9, "sinks": 8}', '{"window": 9, "sinks": -1}'),
        *('{"window": 9.0}', '{"window": true}', '{"window": 9, "other": 1}', '{"window": 9, "context": 20}'),
        *('{"window": 9, "stride": 2, "context": 90}', '{"window": 9, "stride": 1, "context": 20}'),
        *('{"window": 9, "stride": 5, "context": 8}', '{"window": 9, "stride": 90000, "context": 99999}'),
        '{"window": 99999999}',
    ],
)
def test_what_says_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # JSON's own among them
        window_of_metadata(text)


def test_a_sine_is_a_sine() -> None:
    phases = np.random.default_rng(1).integers(0, 1 << 32, 20_000).astype(np.uint32)
    edges = np.array([0, 1, (1 << 30) - 1, 1 << 30, (1 << 31) - 1, 1 << 31, 3 << 30, (1 << 32) - 1], np.uint32)
    phases = np.concatenate([phases, edges])
    expected = 32767 * np.sin(phases.astype(np.float64) * (2 * np.pi / 2**32))
    assert np.abs(sine(phases) - expected).max() < 1.6


@pytest.mark.parametrize("position", [0, 1, 5, 511, 100_000])
def test_positions_turn_as_rotary_positions_do(position: int) -> None:
    matrices = rope_matrix_q15(position, 16) / 32767
    assert matrices.shape == (8, 2, 2)
    for pair, matrix in enumerate(matrices):
        angle = position * 10_000.0 ** (-2 * pair / 16)
        cos, sin = math.cos(angle), math.sin(angle)
        np.testing.assert_allclose(matrix, [[cos, sin], [-sin, cos]], atol=3e-4)


def test_quantized_turns_round_and_stay_in_range() -> None:
    values = np.array([-32767, -16384, 0, 16384, 32767])
    assert quantized(values, 1 / 127, 0, np.iinfo(np.int8)).tolist() == [-127, -64, 0, 64, 127]
    assert quantized(values, 2 / 255, -1, np.iinfo(np.int8)).tolist() == [-128, -65, -1, 63, 127]
    assert quantized(values, 2.0**-15, 0, np.iinfo(np.int16)).tolist() == [-32768, -16384, 0, 16385, 32767]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"window": 1}, "model.window"),
        ({"window": 33}, "model.window"),
        ({"window": 8, "sinks": 7}, "model.sinks"),
        ({"sinks": 2}, "model.window"),
        ({"window": -4}, "model.window"),
        ({"window": 8, "sinks": -1}, "model.sinks"),
        ({"window": 8, "positions": "learned"}, "learned positions"),
        ({"stride": 8}, "model.window"),
        ({"window": 8, "stride": 1}, "model.stride"),
        ({"window": 8, "stride": -2}, "model.stride"),
        ({"window": 8, "stride": 4}, "model.stride. 4 keeps 8 of 32"),
        ({"window": 8, "stride": 8, "sinks": 5}, "model.stride. 8 keeps 8 of 32"),
    ],
)
def test_impossible_windows_are_refused(changes: dict[str, object], what: str) -> None:
    with pytest.raises(ThimbleError, match=what):
        ModelConfig.from_mapping({"context": 32, "positions": "rotary", **changes})
