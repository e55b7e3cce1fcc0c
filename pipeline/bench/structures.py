"""Weights with structure: what pruning in blocks, N:M pruning and 4-bit weights leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["STRUCTURES", "Weights", "prune_blocks", "prune_to_n_of_four"]

Weights = NDArray[np.int8]


def prune_blocks(weights: Weights, columns: int, density: float, seed: int) -> Weights:
    """Prunes random blocks of 4 rows × `columns`: the share `density` of the blocks is kept, in each strip of rows the
    same number."""
    random = np.random.default_rng(seed)
    rows, depth = weights.shape
    strips, blocks = -(-rows // 4), -(-depth // columns)
    mask = np.zeros((strips, blocks), bool)
    for strip in mask:
        strip[random.choice(blocks, round(density * blocks), replace=False)] = True
    return np.asarray(weights * mask.repeat(4, 0).repeat(columns, 1)[:rows, :depth], np.int8)


def prune_to_n_of_four(weights: Weights, nonzeros: int, seed: int) -> Weights:
    """Keeps `nonzeros` random weights of every four columns of a row."""
    rows, depth = weights.shape
    order = np.random.default_rng(seed).random((rows, -(-depth // 4), 4)).argsort(axis=2)
    return np.asarray(weights * (order < nonzeros).reshape(rows, -1)[:, :depth], np.int8)


STRUCTURES: Mapping[str, Callable[[Weights], Weights]] = {
    "dense": lambda weights: np.where(weights == 0, np.int8(1), weights),
    "blocks of 4 × 4, 50 %": lambda weights: prune_blocks(weights, 4, 0.5, 1),
    "blocks of 4 × 8, 50 %": lambda weights: prune_blocks(weights, 8, 0.5, 1),
    "blocks of 4 × 4, 75 %": lambda weights: prune_blocks(weights, 4, 0.25, 1),
    "blocks of 4 × 8, 75 %": lambda weights: prune_blocks(weights, 8, 0.25, 1),
    "2:4": lambda weights: prune_to_n_of_four(weights, 2, 1),
    "1:4": lambda weights: prune_to_n_of_four(weights, 1, 1),
    "4 bits": lambda weights: weights >> 4,
}
"""By name, with the share that is zero."""
