"""What the int16 kernels rest on: weights packed without loss, proofs at their limits, multipliers without loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compiler.arithmetic_s16 import reduced
from pipeline.compiler.encodings.int16 import fits_pairs, high_word_multipliers, pack_pairs
from pipeline.compiler.ops.softmax import reciprocal_table_s16
from tests.support.int16_reference import interpolated, requantize
from tests.support.strategies import int8_values, int16_values, some


@given(rows=st.integers(1, 11), depth=st.integers(1, 300), seed=st.integers(0, 10_000))
@some
def test_sums_come_apart(rows: int, depth: int, seed: int) -> None:
    """As the DSP instructions make them: 256·a + b in 64 bits, b in 32 bits."""
    weights = int8_values(seed, (rows, depth), -127)
    x = int16_values(seed + 1, (depth,))
    wide = np.zeros((depth + 3) // 4 * 4, np.int64)
    wide[:depth] = x
    blocks = pack_pairs(weights).reshape(-1, wide.size // 4, 2, 4).astype(np.int64)
    low_weights = (blocks & 0xFF).astype(np.uint8).view(np.int8).reshape(blocks.shape).astype(np.int64)
    columns = wide.reshape(1, -1, 1, 4)
    mixed, low = (blocks * columns).sum((1, 3)), (low_weights * columns).sum((1, 3))
    assert fits_pairs(weights, None) and np.abs(low).max(initial=0) < 1 << 31
    total = np.stack([(mixed - low) >> 8, low], axis=-1).reshape(-1)[:rows]
    assert (total == weights.astype(np.int64) @ x.astype(np.int64)).all()


@pytest.mark.parametrize(("ones", "bias", "agreed"), [(65535, 32767, True), (65535, 32768, False), (65536, 0, False)])
def test_the_limit_of_a_row(ones: int, bias: int, agreed: bool) -> None:
    """65535 · 32768 + 32767 = 2^31 − 1."""
    weights = np.ones((2, ones), np.int8)
    for sign in (1, -1):
        assert fits_pairs(weights, np.array([0, sign * bias], np.int64)) is agreed


def test_minus_128_does_not_fit() -> None:
    assert not fits_pairs(np.array([[-128], [-1]], np.int8), None)


@given(
    total=st.integers(-(2**31), 2**31 - 1) | st.sampled_from([-(2**31), 2**31 - 1, 0, -1]),
    multiplier=st.integers(2**30, 2**31 - 1) | st.sampled_from([2**30, 0x7FFEFFFF, 0x7FFF0000, 2**31 - 1]),
    shift=st.integers(-17, -1),
)
@some
def test_the_high_word_is_the_requantized_sum(total: int, multiplier: int, shift: int) -> None:
    high_words = high_word_multipliers([(multiplier, shift)])
    assert high_words is not None
    high = (total * int(high_words[0]) + (1 << 31)) >> 32
    assert max(-32768, min(32767, high)) == requantize(total, reduced(multiplier), shift)


@pytest.mark.parametrize("shift", [-18, 0])
def test_shifts_without_a_high_word(shift: int) -> None:
    assert high_word_multipliers([(1 << 30, -5), (1 << 30, shift)]) is None


def test_the_shares_of_a_row_leave_room_for_their_sums() -> None:
    """Attention sums p · v in 32 bits: for any sum of exponentials the shares of 1024 columns stay below 2^16."""
    table = reciprocal_table_s16()
    inputs = np.arange(-32768, 32768)
    reciprocals = np.array([interpolated(table, int(value)) for value in inputs])
    largest = (inputs + 32768 + 65536 + 1) / 65536  # of the sums, scaled to 1…2, that are looked up at this place
    shares = (reciprocals * largest).max() + 0.5 * 1024
    assert shares * 32768 < 1 << 31
