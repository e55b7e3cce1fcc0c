"""What int8 operators share: the range of an activation, and the scale of a product.

The formulas are those of TensorFlow Lite Micro's reference kernels; multipliers are prepared with the same order of
float and double operations, since a difference in the last bit is a difference in a byte.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.ir.graph import Tensor
from pipeline.numerics import fixed_point as fp

__all__ = [
    "FUSED_SHIFTS",
    "MAX_SHIFT_S8",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "activation_range",
    "product_multiplier",
    "to_int8",
    "to_real",
]

RELU, RELU_N1_TO_1, RELU6 = 1, 2, 3
"""Activations that are fused into an operator, as the schema numbers them."""
MAX_SHIFT_S8 = 22
"""The largest left shift of an int8 value less its zero point that 32 bits hold."""
FUSED_SHIFTS = range(-22, 0)
"""By which the fused kernels' scales round: to the right by 1 to 22."""


def activation_range(out: Tensor, activation: int) -> tuple[int, int]:
    """Output range (min, max) after the fused activation."""

    def quantized(real: float) -> int:
        ratio = float(np.float32(real) / np.float32(out.scale))
        return out.zero_point + int(np.floor(abs(ratio) + 0.5)) * (1 if ratio >= 0 else -1)

    low, high = -128, 127
    if activation in (RELU, RELU6):
        low = max(low, quantized(0.0))
    if activation == RELU6:
        high = min(high, quantized(6.0))
    if activation == RELU_N1_TO_1:
        low, high = max(low, quantized(-1.0)), min(high, quantized(1.0))
    return low, high


def product_multiplier(a: Tensor, b: Tensor, out: Tensor) -> tuple[int, int]:
    """Of a per-tensor matrix product."""
    return fp.quantize_multiplier(a.scale * b.scale / out.scale)


def to_real(tensor: Tensor, values: fp.Int) -> NDArray[np.float32]:
    """DEQUANTIZE of a tensor's values: a product in double, rounded once."""
    return (tensor.scale * (values - tensor.zero_point)).astype(np.float32)


def to_int8(tensor: Tensor, reals: NDArray[np.float32]) -> fp.Int:
    """QUANTIZE of float32 to a tensor's int8 values, halves away from zero."""
    ratio = reals / np.float32(tensor.scale)
    rounded = np.copysign(np.floor(np.abs(ratio).astype(np.float64) + 0.5), ratio).astype(np.int64)
    return np.asarray(np.clip(rounded + tensor.zero_point, -128, 127), np.int64)
