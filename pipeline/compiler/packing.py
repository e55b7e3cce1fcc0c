"""Weights in the order in which the fully-connected kernel reads them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["fits_pairs", "pack_pairs"]

_LARGEST_INPUT = 255  # |x − zero point| of an int8 x


def fits_pairs(weights: NDArray[np.int8], bias: NDArray[np.int32] | None, right_shifts: NDArray[np.int64]) -> bool:
    """Whether the packed kernel computes these rows exactly.

    It sums 256·a + b and b modulo 2^32 and takes the difference for a: right while |Σ a·x| < 2^23. An a of −128 with a
    negative b does not fit a halfword. The requantization wants |Σ + bias| < 2^30 and a right shift of 1 to 31.

    Args:
        weights: int8 [rows, depth]. bias: int32 [rows] or None. right_shifts: [rows].
    """
    reach = _LARGEST_INPUT * np.abs(weights.astype(np.int64)).sum(axis=1)
    total = reach if bias is None else reach + np.abs(bias.astype(np.int64))
    return bool(
        (weights > -128).all()
        and (reach < 1 << 23).all()
        and (total < 1 << 30).all()
        and ((right_shifts >= 1) & (right_shifts <= 31)).all()
    )


def pack_pairs(weights: NDArray[np.int8]) -> NDArray[np.int16]:
    """Blocks of four rows and columns: halfwords 256·w[r] + w[r+1], rows 0 and 1 at columns 0…3, then rows 2 and 3.

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
