"""Weights in the order in which a core's fully-connected kernel reads them."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["Packing", "columns_at_once", "pack_pairs", "packing_of_core", "scales_fit"]

_LARGEST_INPUT = 255  # |x − zero point| of an int8 x
_COLUMNS = 4  # of a block


class Packing(StrEnum):
    """How weights lie in flash, and K and V in the cache: what suits the core's multiply instructions.

    PAIRS: two rows in a halfword, for SMLAD (cores with the DSP extension: Cortex-M4, M7, M33).
    QUADS: four rows in a word, for SMLAL (Cortex-M3).
    ROWS: plain int8 rows, for Helium (Cortex-M55) and as the form that holds any weights on every core.
    """

    PAIRS = "pairs"
    QUADS = "quads"
    ROWS = "rows"


_OF_CORE = {
    "cortex-m3": Packing.QUADS,
    "cortex-m4": Packing.PAIRS,
    "cortex-m7": Packing.PAIRS,
    "cortex-m33": Packing.PAIRS,
}


def packing_of_core(core: str) -> Packing:
    """The packing for a core as board.yaml names it (`cortex-m4`)."""
    return _OF_CORE.get(core, Packing.ROWS)


def scales_fit(weights: NDArray[np.int8], bias: NDArray[np.int32] | None, right_shifts: NDArray[np.int64]) -> bool:
    """Whether the packed kernels' requantization computes these rows exactly: |Σ + bias| < 2^30, right shifts 1…31.

    Args:
        weights: int8 [rows, depth]. bias: int32 [rows] or None. right_shifts: [rows].
    """
    reach = _LARGEST_INPUT * np.abs(weights.astype(np.int64)).sum(axis=1)
    total = reach if bias is None else reach + np.abs(bias.astype(np.int64))
    return bool((total < 1 << 30).all() and ((right_shifts >= 1) & (right_shifts <= 31)).all())


def columns_at_once(weights: NDArray[np.int8]) -> int:
    """How many columns the PAIRS kernel may sum before it takes the two rows of a halfword apart.

    The sums of 256·a + b and of b, modulo 2^32, give Σ a·x while |Σ a·x| < 2^23. This is the depth, rounded up to whole
    blocks, where that holds for every row; else the most columns, a multiple of 4, for which it holds in every part.

    Args:
        weights: int8 [rows, depth].
    """
    rows, depth = int(weights.shape[0]), int(weights.shape[1])
    whole = (depth + _COLUMNS - 1) // _COLUMNS * _COLUMNS
    padded = np.zeros((rows, whole), np.int64)
    padded[:, :depth] = np.abs(weights.astype(np.int64))
    sums = np.concatenate([np.zeros((rows, 1), np.int64), padded.cumsum(axis=1)], axis=1)
    columns = whole
    while columns > _COLUMNS:
        starts = np.arange(0, whole, columns)
        parts = sums[:, np.minimum(starts + columns, whole)] - sums[:, starts]
        if (_LARGEST_INPUT * parts < 1 << 23).all():
            break
        columns -= _COLUMNS
    return columns


def pack_pairs(weights: NDArray[np.int8]) -> NDArray[np.int16]:
    """Blocks of four rows and columns: halfwords 256·w[r] + (w[r+1] + 128), rows 0 and 1 at columns 0…3, then rows 2
    and 3.

    The low byte is offset so that every pair fits; the kernel takes 128·Σx off again.

    Args:
        weights: int8 [rows, depth].
    Returns:
        int16, flat; missing rows and columns are zero weights.
    """
    rows, depth = weights.shape
    padded = np.zeros(((rows + 3) // 4 * 4, (depth + _COLUMNS - 1) // _COLUMNS * _COLUMNS), np.int16)
    padded[:rows, :depth] = weights
    pairs = padded[0::2] * np.int16(256) + (padded[1::2] + np.int16(128))
    blocks = pairs.reshape(padded.shape[0] // 4, 2, padded.shape[1] // 4, 4)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3), np.int16).reshape(-1)
