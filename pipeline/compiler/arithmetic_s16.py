"""What int16 operators share: the range of an activation, and multipliers of 16 bits.

The formulas are those of TensorFlow Lite Micro's reference kernels. Element-wise operators round twice, as with int8;
sums of 64 bits are rounded once, with a multiplier of 16 bits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.arithmetic import RELU, RELU6, RELU_N1_TO_1
from pipeline.compiler.ir.graph import Tensor
from pipeline.numerics import fixed_point as fp

__all__ = ["HIGH", "LOW", "MAX_SHIFT", "activation_range", "interpolated", "reduced", "requantized"]

LOW, HIGH = -32768, 32767
MAX_SHIFT = 7
"""The largest left shift of a sum of 64 bits."""


def activation_range(out: Tensor, activation: int) -> tuple[int, int]:
    """Output range (min, max) after the fused activation."""

    def quantized(real: float) -> int:
        ratio = float(np.float32(real) / np.float32(out.scales[0]))
        return math.floor(abs(ratio) + 0.5) * (1 if ratio >= 0 else -1)

    low, high = LOW, HIGH
    if activation in (RELU, RELU6):
        low = 0
    if activation == RELU6:
        high = min(high, quantized(6.0))
    if activation == RELU_N1_TO_1:
        low, high = max(low, quantized(-1.0)), min(high, quantized(1.0))
    return low, high


def reduced(multiplier: int) -> int:
    """The upper 16 bits of a multiplier, rounded."""
    return (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF


def requantized(sums: fp.Int, multiplier: int, shift: int) -> fp.Int:
    """Sums of 64 bits · multiplier · 2^(shift − 31), rounded once with the upper 16 bits of the multiplier, halves
    towards +∞; kept in 32 bits, beyond which TensorFlow Lite Micro's wrap as well."""
    right = 15 - shift
    return np.asarray((sums * reduced(multiplier) + (1 << (right - 1))) >> right).astype(np.int32).astype(np.int64)


def interpolated(table: NDArray[np.int16], x: fp.Int) -> fp.Int:
    """The values between a table's 513, at int16 x."""
    index, values = 256 + (x >> 7), table.astype(np.int64)
    return np.asarray(values[index] + (((values[index + 1] - values[index]) * (x & 127) + 64) >> 7))
