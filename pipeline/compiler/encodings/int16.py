"""Weights in the order in which the fully-connected kernels of int16 activations read them, and what these need."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.arithmetic_s16 import reduced

__all__ = ["by_fours", "fits_pairs", "fits_rows", "high_word_multipliers", "pack_pairs", "reach"]

_LARGEST_INPUT = 32768
_T = TypeVar("_T", bound=np.generic)


def reach(weights: NDArray[np.int8], biases: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The largest |sum| of each row, with its bias, for any int16 inputs."""
    sums = _LARGEST_INPUT * np.abs(weights.astype(np.int64)).sum(axis=1)
    return np.asarray(sums if biases is None else sums + np.abs(biases))


def fits_pairs(weights: NDArray[np.int8], biases: NDArray[np.int64] | None) -> bool:
    """Whether the packed kernel sums these rows exactly.

    It sums 256·a + b in 64 bits, exact for any depth, and b in 32 bits: right where Σ|w| · 32768, with the bias,
    stays below 2^31. An a of −128 with a negative b does not fit a halfword.

    Args:
        weights: int8 [rows, depth].
        biases: int64 [rows] or None.
    """
    return bool((weights > -128).all()) and fits_rows(weights, biases)


def fits_rows(weights: NDArray[np.int8], biases: NDArray[np.int64] | None) -> bool:
    """Whether plain rows can be summed in 32 bits, for any int16 inputs."""
    return bool((reach(weights, biases) < 1 << 31).all())


def by_fours(values: NDArray[_T]) -> NDArray[_T]:
    """Whole blocks of four rows: what is missing along the first axis is zero."""
    missing = -values.shape[0] % 4
    return np.pad(values, [(0, missing), *[(0, 0)] * (values.ndim - 1)])


def high_word_multipliers(pairs: list[tuple[int, int]]) -> NDArray[np.int32] | None:
    """The rows' 16-bit multipliers, shifted so that their product's high word is the result; None if one does not fit.

    The result is (sum · m + half) >> (15 − shift), so m goes left by 32 − (15 − shift) = 17 + shift bits, 0 to 16.
    """
    if not all(-17 <= shift <= -1 for _, shift in pairs):
        return None
    return np.array([reduced(multiplier) << (17 + shift) for multiplier, shift in pairs], np.int32)


def pack_pairs(weights: NDArray[np.int8]) -> NDArray[np.int16]:
    """Blocks of four rows and columns: halfwords 256·w[r] + w[r+1], rows 0 and 1 at columns 0…3, then rows 2 and 3.

    The low byte is signed: with the offset that int8's packing has, a row's sum of int16 inputs would need 33 bits.

    Args:
        weights: int8 [rows, depth] without −128.

    Returns:
        int16, flat; missing rows and columns are zero.
    """
    rows, depth = weights.shape
    padded = np.zeros(((rows + 3) // 4 * 4, (depth + 3) // 4 * 4), np.int16)
    padded[:rows, :depth] = weights
    pairs = padded[0::2] * np.int16(256) + padded[1::2]
    blocks = pairs.reshape(padded.shape[0] // 4, 2, padded.shape[1] // 4, 4)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3)).reshape(-1)
