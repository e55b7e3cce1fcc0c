"""Two weights a halfword: the packing holds all weights, and within `columns_at_once` the sums come apart exactly."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from draws import int8_values, some
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.compiler.packing import columns_at_once, pack_pairs, scales_fit

_SHIFT = 7  # any that the kernel takes


def unpacked_sums(packed: NDArray[np.int16], rows: int, x: NDArray[np.int16]) -> NDArray[np.int64]:
    """The rows' sums as the DSP instructions make them modulo 2^32: of 256·a + b + 128, and of b + 128."""
    wide = np.zeros((x.size + 3) // 4 * 4, np.int64)
    wide[: x.size] = x
    blocks = packed.reshape(-1, wide.size // 4, 2, 4).astype(np.int64)
    columns = wide.reshape(1, -1, 1, 4)
    mixed, low = wrapped((blocks * columns).sum((1, 3))), wrapped(((blocks & 0xFF) * columns).sum((1, 3)))
    return np.stack([wrapped(mixed - low) >> 8, low - 128 * wide.sum()], axis=-1).reshape(-1)[:rows]


def wrapped(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """As int32."""
    return (values + 2**31) % 2**32 - 2**31


@given(
    rows=st.integers(1, 11),
    depth=st.integers(1, 300),
    zero_point=st.sampled_from([-128, 0, 127, 31]),
    seed=st.integers(0, 10_000),
)
@some
def test_sums_come_apart(rows: int, depth: int, zero_point: int, seed: int) -> None:
    weights = int8_values(seed, (rows, depth), -128)
    x = (int8_values(seed + 1, (depth,)).astype(np.int16) - zero_point).astype(np.int16)
    packed = pack_pairs(weights)
    assert packed.size == (rows + 3) // 4 * 2 * ((depth + 3) // 4 * 4)
    step = columns_at_once(weights)
    starts = range(0, depth, step)
    found = sum(unpacked_sums(pack_pairs(weights[:, i : i + step]), rows, x[i : i + step]) for i in starts)
    assert (found == weights.astype(np.int64) @ x.astype(np.int64)).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_the_limit_is_where_the_sums_stop_coming_apart(sign: int) -> None:
    """255 · 127 · 259 < 2^23 ≤ 255 · 127 · 260; beyond it the high row's sum is wrong."""
    x = np.full(260, 255, np.int16)
    inside = np.full((2, 259), sign * 127, np.int8)
    beyond = np.full((2, 260), sign * 127, np.int8)
    assert columns_at_once(inside) == 260
    assert columns_at_once(beyond) == 256
    assert (unpacked_sums(pack_pairs(inside), 2, x[:259]) == sign * 127 * 255 * 259).all()
    assert unpacked_sums(pack_pairs(beyond), 2, x)[0] != sign * 127 * 255 * 260


def test_one_large_row_decides_for_all() -> None:
    weights = np.ones((9, 1000), np.int8)
    assert columns_at_once(weights) == 1000
    weights[4, 100:400] = 127
    assert columns_at_once(weights) < 400


def fits(weights: NDArray[np.int8], bias: NDArray[np.int32] | None = None, shift: int = _SHIFT) -> bool:
    return scales_fit(weights, bias, np.full(len(weights), shift, np.int64))


@pytest.mark.parametrize("bias, agreed", [(0, True), (1 << 29, True), (1 << 30, False), (-(2**31), False)])
def test_a_bias_counts(bias: int, agreed: bool) -> None:
    assert fits(np.ones((4, 4), np.int8), np.full(4, bias, np.int32)) is agreed


@pytest.mark.parametrize("shift, agreed", [(-1, False), (0, False), (1, True), (31, True), (32, False)])
def test_shifts_that_the_kernel_takes(shift: int, agreed: bool) -> None:
    assert fits(np.ones((4, 4), np.int8), shift=shift) is agreed


def test_the_compiler_imports_no_tensorflow() -> None:
    program = "import sys, pipeline.compiler; sys.exit('tensorflow' in sys.modules or 'tf_keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
