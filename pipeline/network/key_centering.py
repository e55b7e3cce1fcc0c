"""Keys less their mean: the same attention, in integers a finer one.

Pairs that turn slowly hardly turn within a context, so that a head's keys may have a large part there that is always
the same. It costs all of them the steps of their integers. A vector taken from every turned key of a head takes the
same number from all scores of a query, and a softmax does not see it (SageAttention, Zhang et al. 2024). Before they
are turned keys shall be small too, so the mean c is taken from the product, as its bias, and what turning it would have
given is made good: R·k − c = R·(k − c) + (R − 1)·c. With (R − 1)·c as two more terms of the product with R there is one
rounding for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.network.decoder import rope_matrices

__all__ = ["RopeOffset", "rope_offset"]

_MIN_MOVEMENT = 1 / 8  # of what a pair is said to move: a larger factor would leave a mean few integers


class RopeOffset(NamedTuple):
    """Offset of slowly rotating pairs: `matrices` float32 [context, head_dim / 2, 2, 2] are factor · (R − 1), within
    −1..1, and zero for pairs that are not `slow`, bool [head_dim / 2]; `factor` float32 [head_dim / 2]."""

    matrices: np.ndarray
    factor: np.ndarray
    slow: np.ndarray


def rope_offset(context: int, frequencies: Sequence[float]) -> RopeOffset:
    """Of a model that sees `context` positions; a pair is slow if it turns by a quarter at most.

    Args:
        context: positions.
        frequencies: [head_dim / 2] radians a position, `ModelConfig.rope_frequencies`.
    """
    moved = rope_matrices(context, frequencies) - np.eye(2, dtype=np.float32)
    farthest = np.abs(moved).max(axis=(0, 2, 3))
    slow = farthest <= 1
    factor = (1 / np.maximum(farthest, _MIN_MOVEMENT)).astype(np.float32)
    return RopeOffset(np.where(slow[:, None, None], moved * factor[:, None, None], np.float32(0)), factor, slow)
