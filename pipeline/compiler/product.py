"""A matrix product with constant weights, and what a way to hold these costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.ir.program import WeightEncoding
from pipeline.numerics import fixed_point as fp
from pipeline.targets.cores import WeightLayout

__all__ = ["LARGEST_INPUT", "Choice", "Product", "largest_sums", "normalize_dead_rows", "plain_bytes", "scales_fit"]

LARGEST_INPUT = 255
"""|x − zero point| of an int8 x."""


@dataclass(frozen=True)
class Product:
    """A matrix product as its .tflite has it: int8 weights [rows, depth], int32 biases [rows] or None, and of each row
    the multiplier and the right shift of its scale."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32] | None
    multipliers: NDArray[np.int32]
    right_shifts: NDArray[np.int64]

    @property
    def strips(self) -> int:
        """Blocks of four rows."""
        return (len(self.weights) + 3) // 4


class Choice(NamedTuple):
    """A product, the encoding chosen for its weights, and the plain one."""

    product: Product
    form: WeightEncoding
    plain: WeightEncoding


def normalize_dead_rows(product: Product, zero_point: int) -> Product:
    """Replaces the scales of rows without weights by ones that every kernel supports.

    A pruned row's output is one value, whatever its scale, which the converter sets to anything. With the multiplier
    1/2 and a right shift of 1, four times that value less the zero point, as its bias, gives it.
    """
    dead = ~product.weights.any(axis=1)
    multipliers, right_shifts, bias = product.multipliers.copy(), product.right_shifts.copy(), product.bias
    if bias is not None:
        dead &= np.abs(bias.astype(np.int64)) << np.maximum(-right_shifts, 0) < 1 << 31
        bias = bias.copy()
        for row in np.flatnonzero(dead).tolist():
            value = int(fp.multiply(int(bias[row]), int(multipliers[row]), -int(right_shifts[row])))
            bias[row] = 4 * (min(max(value + zero_point, -128), 127) - zero_point)
    multipliers[dead], right_shifts[dead] = 1 << 30, 1
    return Product(product.weights, bias, multipliers, right_shifts)


def largest_sums(weights: NDArray[np.int8], bias: NDArray[np.int32] | None = None) -> NDArray[np.int64]:
    """What |Σ w·x + bias| of each row cannot exceed, whatever the input: int64 [rows].

    Args:
        weights: int8 [rows, depth].
        bias: int32 [rows] or None.
    """
    reach: NDArray[np.int64] = LARGEST_INPUT * np.abs(weights.astype(np.int64)).sum(axis=1)
    return reach if bias is None else reach + np.abs(bias.astype(np.int64))


def scales_fit(weights: NDArray[np.int8], bias: NDArray[np.int32] | None, right_shifts: NDArray[np.int64]) -> bool:
    """Whether the packed kernels' requantization computes these rows exactly: |Σ + bias| < 2^30, right shifts 1…31.

    Args:
        weights: int8 [rows, depth].
        bias: int32 [rows] or None.
        right_shifts: [rows].
    """
    return bool((largest_sums(weights, bias) < 1 << 30).all() and ((right_shifts >= 1) & (right_shifts <= 31)).all())


def plain_bytes(rows: int, depth: int, kind: WeightLayout) -> int:
    """Of weights of eight bits in that layout; interleaved ones are padded to fours."""
    return rows * depth if kind is WeightLayout.ROW_MAJOR else (rows + 3) // 4 * 4 * ((depth + 3) // 4 * 4)
