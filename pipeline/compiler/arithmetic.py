"""What each element-wise int8 op computes, exactly: prepared constants, and the op itself on numpy arrays.

The formulas are those of TensorFlow Lite Micro's reference kernels; multipliers are prepared with the same order of
float and double operations, since a difference in the last bit is a difference in a byte.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.graph import Op, Tensor
from pipeline.numerics import fixed_point as fp

__all__ = [
    "AddConstants",
    "MulConstants",
    "activation_range",
    "add",
    "mul",
    "product_multiplier",
    "softmax_exp",
    "unary",
]

_RELU, _RELU_N1_TO_1, _RELU6 = 1, 2, 3


@dataclass(frozen=True)
class AddConstants:
    """ADD or SUB; `a` and `b` are (offset, multiplier, shift), `out` is (zero point, multiplier, shift)."""

    a: tuple[int, int, int]
    b: tuple[int, int, int]
    b_sign: int
    out: tuple[int, int, int]
    range: tuple[int, int]

    @property
    def swapped(self) -> bool:
        """Whether b has the larger scale: that one's multiplier is exactly 1/2."""
        return self.a[1:] != (1 << 30, 0)

    @classmethod
    def prepare(cls, a: Tensor, b: Tensor, out: Tensor, activation: int, b_sign: int) -> AddConstants:
        """Rescales both inputs to twice the larger scale, shifted left by 20."""
        twice = 2.0 * max(a.scale, b.scale)
        return cls(
            (-a.zero_point, *fp.quantize_multiplier(a.scale / twice)),
            (-b.zero_point, *fp.quantize_multiplier(b.scale / twice)),
            b_sign,
            (out.zero_point, *fp.quantize_multiplier(twice / ((1 << 20) * out.scale))),
            activation_range(out, activation),
        )


@dataclass(frozen=True)
class MulConstants:
    """MUL: offsets of the inputs; `out` is (zero point, multiplier, shift)."""

    a_offset: int
    b_offset: int
    out: tuple[int, int, int]
    range: tuple[int, int]

    @classmethod
    def prepare(cls, a: Tensor, b: Tensor, out: Tensor, activation: int) -> MulConstants:
        """The real multiplier is the product of the input scales over the output's."""
        return cls(
            -a.zero_point,
            -b.zero_point,
            (out.zero_point, *fp.quantize_multiplier(a.scale * b.scale / out.scale)),
            activation_range(out, activation),
        )


def activation_range(out: Tensor, activation: int) -> tuple[int, int]:
    """Output range (min, max) after the fused activation."""

    def quantized(real: float) -> int:
        ratio = float(np.float32(real) / np.float32(out.scale))
        return out.zero_point + int(np.floor(abs(ratio) + 0.5)) * (1 if ratio >= 0 else -1)

    low, high = -128, 127
    if activation in (_RELU, _RELU6):
        low = max(low, quantized(0.0))
    if activation == _RELU6:
        high = min(high, quantized(6.0))
    if activation == _RELU_N1_TO_1:
        low, high = max(low, quantized(-1.0)), min(high, quantized(1.0))
    return low, high


def product_multiplier(a: Tensor, b: Tensor, out: Tensor) -> tuple[int, int]:
    """Of a per-tensor matrix product."""
    return fp.quantize_multiplier(a.scale * b.scale / out.scale)


def add(c: AddConstants, a: fp.Int, b: fp.Int) -> fp.Int:
    """ADD or SUB of int8 values."""
    left = fp.multiply((a + c.a[0]) << 20, c.a[1], c.a[2])
    right = fp.multiply((b + c.b[0]) << 20, c.b[1], c.b[2])
    return np.clip(fp.multiply(left + c.b_sign * right, c.out[1], c.out[2]) + c.out[0], *c.range)


def mul(c: MulConstants, a: fp.Int, b: fp.Int) -> fp.Int:
    """MUL of int8 values."""
    return np.clip(fp.multiply((a + c.a_offset) * (b + c.b_offset), c.out[1], c.out[2]) + c.out[0], *c.range)


def unary(op: Op, tensor: Tensor, out: Tensor, x: fp.Int) -> fp.Int:
    """LOGISTIC, TANH, RSQRT, RELU, RELU6 or QUANTIZE of int8 values."""
    if op.kind in ("LOGISTIC", "TANH"):
        return _sigmoidal(op.kind, tensor, x)
    if op.kind == "RSQRT":
        return _rsqrt(tensor, out, x)
    if op.kind == "RELU6":  # clamps and does not rescale
        return np.clip(x, *activation_range(tensor, _RELU6))
    multiplier, shift = fp.quantize_multiplier(tensor.scale / out.scale)
    low, high = -128, 127
    if op.kind == "RELU":  # divides floats
        multiplier, shift = fp.quantize_multiplier(float(np.float32(tensor.scales[0]) / np.float32(out.scales[0])))
        low, high = activation_range(out, _RELU)
    return np.clip(fp.multiply(x - tensor.zero_point, multiplier, shift) + out.zero_point, low, high)


def softmax_exp(scale: float, beta: float) -> NDArray[np.int32]:
    """int32 [256]: e^(−d·scale·beta) in Q0.31 for d = 0…255 steps below the row's largest value; 0 beyond the range
    that the op counts."""
    real = min(beta * scale * (1 << 26), 2.0**31 - 1.0)
    multiplier, shift = fp.quantize_multiplier(real)
    difference = -np.arange(256, dtype=np.int64)
    exp = fp.exp_on_negative_values(fp.multiply(difference, multiplier, shift), 5)
    return np.where(difference >= -fp.input_radius(5, shift), exp, 0).astype(np.int32)


def _sigmoidal(kind: str, tensor: Tensor, x: fp.Int) -> fp.Int:
    multiplier, shift = fp.quantize_multiplier(tensor.scale * (1 << 27))
    radius = fp.input_radius(4, shift)
    centred = x - tensor.zero_point
    q4 = fp.multiply(np.clip(centred, -radius, radius), multiplier, shift)
    if kind == "LOGISTIC":
        inside = np.clip(fp.rounding_divide(fp.logistic(q4, 4), 23) - 128, -128, 127)
    else:
        inside = np.clip(fp.rounding_divide(fp.tanh(q4, 4), 24), -128, 127)
    return np.where(centred <= -radius, -128, np.where(centred >= radius, 127, inside))


def _rsqrt(tensor: Tensor, out: Tensor, x: fp.Int) -> fp.Int:
    root = np.sqrt(np.float32(tensor.scales[0])) * np.float32(out.scales[0])
    multiplier, shift = fp.quantize_multiplier(1.0 / float(root))
    result = np.full(x.shape, 127, np.int64)
    for index, value in enumerate((x - tensor.zero_point).tolist()):
        if value > 0:
            inverse, inverse_shift = fp.inverse_sqrt_multiplier(value)
            data = int(fp.multiply(1, inverse, inverse_shift + 20))
            result[index] = np.clip(int(fp.multiply(data, multiplier, shift - 20)) + out.zero_point, -128, 127)
    return result
