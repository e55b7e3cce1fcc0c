"""Packed weights: within `columns_at_once` the sums come apart exactly, and little flash is lost."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.compiler.encodings.plain import (
    columns_at_once,
    outputs_fit,
    pack,
    pack_pairs,
    pack_quads,
    row_constants,
    weights_fit,
)
from pipeline.compiler.product import scales_fit
from pipeline.targets.cores import WeightLayout
from tests.support.strategies import int8_values, some

_SHIFT = 7  # any that the kernel takes
_OFFSET = {WeightLayout.INTERLEAVED_2: (3,), WeightLayout.INTERLEAVED_4: (1, 2, 3)}


def _shapes(d_model: int, kv: int, hidden: int, vocabulary: int, gated: bool) -> list[tuple[int, int]]:
    """[rows, depth] of the products of one layer and of the logits."""
    into = [(hidden, d_model)] * (2 if gated else 1)
    return [(d_model, d_model)] * 2 + [(kv, d_model)] * 2 + into + [(d_model, hidden), (vocabulary, d_model)]


_SHAPES = {
    "stories260K": _shapes(64, 32, 172, 512, gated=True),
    "nano": _shapes(48, 48, 96, 512, gated=False),
    "small": _shapes(64, 32, 128, 768, gated=True),
    "base": _shapes(96, 48, 192, 768, gated=True),
}


def unpacked_sums(
    weights: NDArray[np.int8], x: NDArray[np.int16], packing: WeightLayout, whole: bool
) -> NDArray[np.int64]:
    """The rows' sums as the kernels make them: three sums modulo 2^32 for four rows, taken apart.

    whole: the sum of x is known, as it is where the depth is not split; else what the packing added stays in the sums.
    """
    wide = np.zeros((x.size + 3) // 4 * 4, np.int64)
    wide[: x.size] = x
    excess = 128 * wide.sum()
    known = excess if whole else 0
    if packing is WeightLayout.INTERLEAVED_2:
        halves = pack_pairs(weights).reshape(-1, wide.size // 2, 2, 2).astype(np.int64)
        ab, cd = halves[:, :, 0].reshape(-1, wide.size), halves[:, :, 1].reshape(-1, wide.size)
        bc = int16(ab.astype(np.int8).astype(np.int64) * 256 + (cd >> 8))
        sums = [ab @ wide, bc @ wide, cd @ wide - known]
        offsets = [0, 0, 0, excess]
    else:
        words = pack_quads(weights).reshape(-1, wide.size).astype(np.int64)
        upper = (words >> 16) @ wide - known
        every = words @ wide - 0x10101 * known
        sums = [upper, (words >> 8 & 0xFFFF) @ wide - 0x101 * known, every - (upper << 16)]
        offsets = [0, excess, excess, excess]
    ab, bc, cd = (wrapped(part) for part in sums)
    d = wrapped(cd - (bc - (ab << 8) << 8) << 8) >> 8
    c = wrapped(cd - d) >> 8
    b = wrapped(bc - c) >> 8
    sums_by_row = np.stack([wrapped(ab - b) >> 8, b, c, d], axis=-1)
    if not whole:
        sums_by_row -= np.array(offsets)
    return sums_by_row.reshape(-1)[: len(weights)]


def int16(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same: they fit."""
    assert (np.abs(values + 0.5) < 1 << 15).all()
    return values


def wrapped(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """As int32."""
    return (values + 2**31) % 2**32 - 2**31


packings = pytest.mark.parametrize("packing", [WeightLayout.INTERLEAVED_2, WeightLayout.INTERLEAVED_4])


@packings
@given(
    rows=st.integers(1, 11),
    depth=st.integers(1, 300),
    zero_point=st.sampled_from([-128, 0, 127, 31]),
    seed=st.integers(0, 10_000),
)
@some
def test_sums_come_apart(packing: WeightLayout, rows: int, depth: int, zero_point: int, seed: int) -> None:
    weights = int8_values(seed, (rows, depth), -128)
    if not weights_fit(weights, packing):
        weights = np.maximum(weights, -127)
    x = (int8_values(seed + 1, (depth,)).astype(np.int16) - zero_point).astype(np.int16)
    assert pack(weights, packing).nbytes == (rows + 3) // 4 * 4 * ((depth + 3) // 4 * 4)
    step = columns_at_once(weights, packing)
    starts = range(0, depth, step)
    parts = [unpacked_sums(weights[:, i : i + step], x[i : i + step], packing, step >= depth) for i in starts]
    np.testing.assert_array_equal(np.sum(parts, axis=0), weights.astype(np.int64) @ x.astype(np.int64))


@packings
@pytest.mark.parametrize("row", range(4))
@pytest.mark.parametrize("sign", [1, -1])
def test_the_limit_is_where_the_sums_stop_coming_apart(packing: WeightLayout, row: int, sign: int) -> None:
    """255 · 127 · 259 < 2^23 ≤ 255 · 127 · 260; beyond it the row's sum is wrong."""
    x = np.full(260, 255, np.int16)
    weights = np.zeros((4, 260), np.int8)
    weights[row] = sign * 127
    assert columns_at_once(weights[:, :259], packing) == 260
    assert columns_at_once(weights, packing) == (128 if row in _OFFSET[packing] and sign > 0 else 256)
    assert unpacked_sums(weights[:, :259], x[:259], packing, True)[row] == sign * 127 * 255 * 259
    assert unpacked_sums(weights, x, packing, True)[row] != sign * 127 * 255 * 260


@packings
def test_one_large_row_decides_for_all(packing: WeightLayout) -> None:
    weights = np.ones((9, 1000), np.int8)
    assert columns_at_once(weights, packing) == 1000
    weights[4, 100:400] = 127
    assert columns_at_once(weights, packing) < 400


@pytest.mark.parametrize(("row", "held"), [(0, False), (1, False), (2, True), (3, True)])
def test_minus_128_over_a_negative_weight(row: int, held: bool) -> None:
    weights = np.full((8, 5), -1, np.int8)
    weights[4 + row, 2] = -128
    assert weights_fit(weights, WeightLayout.INTERLEAVED_2) is held
    assert weights_fit(weights, WeightLayout.INTERLEAVED_4)
    weights[5 + row if row < 3 else 0, 2] = 0
    assert weights_fit(weights, WeightLayout.INTERLEAVED_2)


def test_constants_of_rows() -> None:
    shifts = np.array([1, 31, 3, 4, 5])
    multipliers = np.arange(1 << 30, (1 << 30) + 5, dtype=np.int32)
    bias = np.array([-1, 2, -(1 << 29), 4, 5], np.int32)
    scales = [*multipliers[:4], 0x03021E00, multipliers[4], 0, 0, 0, 4]
    assert row_constants(None, multipliers, shifts).tolist() == scales
    biased = [-2, 4, -(1 << 30), 8, *scales[:5], 10, 0, 0, 0, *scales[5:]]
    assert row_constants(bias, multipliers, shifts).tolist() == biased


@packings
@pytest.mark.parametrize("shapes", _SHAPES)
def test_little_flash_is_lost(packing: WeightLayout, shapes: str) -> None:
    """At most 2 % over the raw bytes, for the products of the models that ship and of stories260K."""
    packed = sum(pack(np.zeros(shape, np.int8), packing).nbytes for shape in _SHAPES[shapes])
    assert packed <= 1.02 * sum(rows * depth for rows, depth in _SHAPES[shapes])


def fits(weights: NDArray[np.int8], bias: NDArray[np.int32] | None = None, shift: int = _SHIFT) -> bool:
    return scales_fit(weights, bias, np.full(len(weights), shift, np.int64))


@pytest.mark.parametrize(("bias", "agreed"), [(0, True), (1 << 29, True), (1 << 30, False), (-(2**31), False)])
def test_a_bias_counts(bias: int, agreed: bool) -> None:
    assert fits(np.ones((4, 4), np.int8), np.full(4, bias, np.int32)) is agreed


@pytest.mark.parametrize(("shift", "agreed"), [(-1, False), (0, False), (1, True), (31, True), (32, False)])
def test_shifts_that_the_kernel_takes(shift: int, agreed: bool) -> None:
    assert fits(np.ones((4, 4), np.int8), shift=shift) is agreed


@pytest.mark.parametrize(("bias", "held"), [(0, True), (1500, True), (1600, False), (-1600, False)])
def test_two_outputs_fit_a_word(bias: int, held: bool) -> None:
    """(4 · 127 · 255 + 1500) / 8 is below 2^14 − 1, with 1600 it is not."""
    weights = np.zeros((5, 4), np.int8)
    weights[3] = -127
    biases = np.array([0, 0, 0, bias, 0], np.int32)
    multipliers = np.full(5, 1 << 30, np.int32)
    assert outputs_fit(weights, biases, multipliers, np.full(5, 2)) is held
    assert outputs_fit(weights, None, multipliers, np.full(5, 2))
    assert not outputs_fit(weights, None, multipliers, np.full(5, 1))


def test_the_compiler_imports_no_tensorflow() -> None:
    program = "import sys, pipeline.compiler; sys.exit('tensorflow' in sys.modules or 'tf_keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
