"""Weights in the order in which a core's fully-connected kernel reads them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.targets.cores import WeightLayout

__all__ = [
    "columns_at_once",
    "outputs_fit",
    "pack",
    "pack_pairs",
    "pack_quads",
    "row_constants",
    "scales_fit",
    "weights_fit",
]


_LARGEST_INPUT = 255  # |x − zero point| of an int8 x
_COLUMNS = 4  # of a block
_OUTPUT_LIMIT = (1 << 14) - 1
_LIMIT = 1 << 23  # sums below it come apart
_OFFSET_ROWS = {
    WeightLayout.INTERLEAVED_2: (3,),
    WeightLayout.INTERLEAVED_4: (1, 2, 3),
}  # of a block; stored as w + 128


def scales_fit(weights: NDArray[np.int8], bias: NDArray[np.int32] | None, right_shifts: NDArray[np.int64]) -> bool:
    """Whether the packed kernels' requantization computes these rows exactly: |Σ + bias| < 2^30, right shifts 1…31.

    Args:
        weights: int8 [rows, depth].
        bias: int32 [rows] or None.
        right_shifts: [rows].
    """
    reach = _LARGEST_INPUT * np.abs(weights.astype(np.int64)).sum(axis=1)
    total = reach if bias is None else reach + np.abs(bias.astype(np.int64))
    return bool((total < 1 << 30).all() and ((right_shifts >= 1) & (right_shifts <= 31)).all())


def outputs_fit(
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    multipliers: NDArray[np.int32],
    right_shifts: NDArray[np.int64],
) -> bool:
    """Whether outputs stay below 2^14 before they are limited, so that two, doubled, fit a word: the kernel of two
    tokens with INTERLEAVED_2 limits two rows at once.

    Args:
        weights: int8 [rows, depth].
        bias: int32 [rows] or None.
        multipliers: [rows].
        right_shifts: [rows].
    """
    reach = _LARGEST_INPUT * np.abs(weights.astype(np.int64)).sum(axis=1)
    if bias is not None:
        reach += np.abs(bias.astype(np.int64))
    return bool((reach * multipliers.astype(np.float64) / 2.0 ** (31 + right_shifts) < _OUTPUT_LIMIT).all())


def weights_fit(weights: NDArray[np.int8], packing: WeightLayout) -> bool:
    """Whether the packing holds these weights.

    Halfwords of INTERLEAVED_2 are 256·a + b, and 256·b + c once the kernel has made them: an a or b of −128 fits if the
    row after it is not negative there.
    """
    if packing is not WeightLayout.INTERLEAVED_2:
        return True
    blocks = _blocks(weights)
    return not bool(((blocks[:, :2] == -128) & (blocks[:, 1:3] < 0)).any())


def columns_at_once(weights: NDArray[np.int8], packing: WeightLayout) -> int:
    """How many columns a packed kernel may sum before it takes the four rows of a block apart.

    Its three sums modulo 2^32 give each row's Σ w·x while |Σ w·x| < 2^23. This is the depth, rounded up to whole
    blocks, where that holds for every row; else the most columns, a multiple of 4, for which it holds in every part. In
    parts it must hold for w + 128 where the packing adds that, since only the whole Σ x is known.

    Args:
        weights: int8 [rows, depth].
        packing: INTERLEAVED_2 or INTERLEAVED_4.
    """
    rows, depth = int(weights.shape[0]), int(weights.shape[1])
    whole = (depth + _COLUMNS - 1) // _COLUMNS * _COLUMNS
    padded = np.zeros(((rows + 3) // 4 * 4, whole), np.int64)
    padded[:rows, :depth] = weights
    if (_LARGEST_INPUT * np.abs(padded).sum(axis=1) < _LIMIT).all():
        return whole
    for row in _OFFSET_ROWS[packing]:
        padded[row::4] += 128
    sums = np.concatenate([np.zeros((len(padded), 1), np.int64), np.abs(padded).cumsum(axis=1)], axis=1)
    columns = whole - _COLUMNS
    while columns > _COLUMNS:
        starts = np.arange(0, whole, columns)
        parts = sums[:, np.minimum(starts + columns, whole)] - sums[:, starts]
        if (_LARGEST_INPUT * parts < _LIMIT).all():
            break
        columns -= _COLUMNS
    return columns


def _blocks(weights: NDArray[np.int8]) -> NDArray[np.int64]:
    """[blocks, 4, depth rounded up to 4], with zero weights where there are none."""
    rows, depth = weights.shape
    padded = np.zeros(((rows + 3) // 4 * 4, (depth + _COLUMNS - 1) // _COLUMNS * _COLUMNS), np.int64)
    padded[:rows, :depth] = weights
    return padded.reshape(len(padded) // 4, 4, padded.shape[1])


def pack_pairs(weights: NDArray[np.int8]) -> NDArray[np.int16]:
    """Four rows a, b, c, d: for every two columns the halfwords 256·a + b of both, then 256·c + (d + 128) of both.

    Args:
        weights: int8 [rows, depth], of which `weights_fit` holds.

    Returns:
        int16, flat; missing rows and columns are zero weights.
    """
    a, b, c, d = _blocks(weights).transpose(1, 0, 2)
    pairs = np.stack([256 * a + b, 256 * c + d + 128], axis=1)  # [blocks, 2, columns]
    columns = pairs.reshape(len(pairs), 2, pairs.shape[2] // 2, 2)
    return np.ascontiguousarray(columns.transpose(0, 2, 1, 3)).astype(np.int16).reshape(-1)


def pack_quads(weights: NDArray[np.int8]) -> NDArray[np.int32]:
    """Four rows a, b, c, d: for every column the word of the bytes d + 128, c + 128, b + 128 and a, the lowest first.

    Args:
        weights: int8 [rows, depth].

    Returns:
        int32, flat; missing rows and columns are zero weights.
    """
    a, b, c, d = _blocks(weights).transpose(1, 0, 2)
    words: NDArray[np.int64] = (a << 24) + (b + 128 << 16) + (c + 128 << 8) + d + 128
    return words.astype(np.int32).reshape(-1)


def pack(weights: NDArray[np.int8], packing: WeightLayout) -> NDArray[np.generic]:
    """The weights in that order, flat."""
    if packing is WeightLayout.INTERLEAVED_2:
        return pack_pairs(weights)
    return pack_quads(weights) if packing is WeightLayout.INTERLEAVED_4 else weights.reshape(-1)


def row_constants(
    bias: NDArray[np.int32] | None, multipliers: NDArray[np.int32], right_shifts: NDArray[np.int64]
) -> NDArray[np.int32]:
    """What the packed kernels requantize with: for each four rows twice the biases (if any), the multipliers, and a
    word of the right shifts less one, the first row's in its lowest byte.

    Args:
        bias: [rows].
        multipliers: [rows].
        right_shifts: [rows], 1…31.

    Returns:
        int32, flat; zeros for missing rows.
    """
    rows = len(multipliers)
    biases = [] if bias is None else [2 * bias.astype(np.int64)]
    kinds = np.stack([*biases, multipliers.astype(np.int64), right_shifts - 1])
    padded = np.zeros((len(kinds), (rows + 3) // 4 * 4), np.int64)
    padded[:, :rows] = kinds
    blocks = padded.reshape(len(padded), padded.shape[1] // 4, 4).transpose(1, 0, 2)
    shifts = (blocks[:, -1] << np.array([0, 8, 16, 24])).sum(axis=1, keepdims=True)
    words = np.concatenate([blocks[:, :-1].reshape(len(blocks), -1), shifts], axis=1)
    return np.ascontiguousarray(words).astype(np.int32).reshape(-1)
