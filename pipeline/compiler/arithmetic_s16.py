"""What each int16 op computes, exactly: prepared constants, and what the compiler itself evaluates, on numpy arrays.

The formulas are those of TensorFlow Lite Micro's reference kernels. Element-wise ops round twice, as with int8; sums of
64 bits are rounded once, with a multiplier of 16 bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.graph import Tensor
from pipeline.numerics import fixed_point as fp

__all__ = [
    "AddConstants",
    "activation_range",
    "add",
    "exp_table",
    "quantize",
    "reciprocal_table",
    "reduced",
    "sigmoid_scale",
    "sigmoid_table",
    "softmax_multiplier",
]

LOW, HIGH = -32768, 32767
_RELU, _RELU_N1_TO_1, _RELU6 = 1, 2, 3


@dataclass(frozen=True)
class AddConstants:
    """ADD or SUB; `a`, `b` and `out` are (multiplier, shift)."""

    a: tuple[int, int]
    b: tuple[int, int]
    b_sign: int
    out: tuple[int, int]
    range: tuple[int, int]

    @classmethod
    def prepare(cls, a: Tensor, b: Tensor, out: Tensor, activation: int, b_sign: int) -> AddConstants:
        """Rescales both inputs to twice the larger scale, shifted left by 15."""
        twice = 2.0 * max(a.scale, b.scale)
        return cls(
            fp.quantize_multiplier(a.scale / twice),
            fp.quantize_multiplier(b.scale / twice),
            b_sign,
            fp.quantize_multiplier(twice / ((1 << 15) * out.scale)),
            activation_range(out, activation),
        )

    @property
    def swapped(self) -> bool:
        """Whether b is the operand of the larger scale, which is halved."""
        return self.a != (1 << 30, 0)

    @property
    def fields(self) -> dict[str, int]:
        """Of thimble_add_s16_params."""
        y_multiplier, y_shift = self.a if self.swapped else self.b
        y_factor, y_right = (2, 1) if y_shift == 0 else (1, -y_shift)
        x_sign, y_sign = (self.b_sign, 1) if self.swapped else (1, self.b_sign)
        return {
            "x_factor": x_sign << 14,
            "y_multiplier": y_multiplier,
            "y_right": y_right,
            "y_factor": y_sign * y_factor,
            "out_multiplier": self.out[0],
            "out_right": -self.out[1],
            "out_min": self.range[0],
            "out_max": self.range[1],
        }

    @property
    def keeps_a(self) -> bool:
        """Whether a + 0 is a for every a."""
        return self.a == (1 << 30, 0) and self.out == (1 << 30, -13) and self.range == (LOW, HIGH)


def activation_range(out: Tensor, activation: int) -> tuple[int, int]:
    """Output range (min, max) after the fused activation."""

    def quantized(real: float) -> int:
        ratio = float(np.float32(real) / np.float32(out.scales[0]))
        return math.floor(abs(ratio) + 0.5) * (1 if ratio >= 0 else -1)

    low, high = LOW, HIGH
    if activation in (_RELU, _RELU6):
        low = 0
    if activation == _RELU6:
        high = min(high, quantized(6.0))
    if activation == _RELU_N1_TO_1:
        low, high = max(low, quantized(-1.0)), min(high, quantized(1.0))
    return low, high


def add(c: AddConstants, a: fp.Int, b: fp.Int) -> fp.Int:
    """ADD or SUB of int16 values."""
    left, right = fp.multiply(a << 15, *c.a), fp.multiply(b << 15, *c.b)
    return np.clip(fp.multiply(left + c.b_sign * right, *c.out), *c.range)


def quantize(tensor: Tensor, out: Tensor, x: fp.Int) -> fp.Int:
    """QUANTIZE to int16 of int8 or int16 values."""
    multiplier, shift = fp.quantize_multiplier(tensor.scale / out.scale)
    return np.clip(fp.multiply(x - tensor.zero_point, multiplier, shift), LOW, HIGH)


def reduced(multiplier: int) -> int:
    """The upper 16 bits of a multiplier, rounded."""
    return (multiplier + (1 << 15)) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF


def softmax_multiplier(scale: float, beta: float) -> tuple[int, int]:
    """(multiplier, shift) from steps of a score to steps of 10 / 65535."""
    return fp.quantize_multiplier(scale * beta / (10.0 / 65535.0))


def exp_table() -> NDArray[np.int16]:
    """int16 [513]: e^x in Q0.15 for x in −10…0."""
    return _table(10.0, HIGH, np.exp)


def reciprocal_table() -> NDArray[np.int16]:
    """int16 [513]: 1 / (1 + x) in Q0.15 for x in 0…1."""
    return _table(1.0, LOW, lambda x: np.float32(1) / (np.float32(1) + x))


def sigmoid_table() -> NDArray[np.uint16]:
    """uint16 [256]: 1 / (1 + e^(−i/24)) in Q0.16, plus half of what a straight line between two entries lacks."""

    def exact(index: float) -> float:
        return 65536 / (1 + math.exp(-index / 24))

    values = [exact(i) + (exact(i + 0.5) - (exact(i) + exact(i + 1)) / 2) / 2 for i in range(256)]
    rounded = [math.floor(value + 0.5) for value in values]
    rounded[255] = 65535
    return np.array(rounded, np.uint16)


def sigmoid_scale(kind: str, scale: float) -> tuple[int, int]:
    """(multiplier, shift) of LOGISTIC's or TANH's input: to steps of 1 / (3 · 4096)."""
    fraction, exponent = math.frexp(scale)
    if fraction == 0.5 and exponent - 1 + 12 in ((0,) if kind == "LOGISTIC" else (0, 1)):
        return 3 << (exponent - 1 + 12), 0
    multiplier, shift = scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = multiplier * 2.0, shift + 1
    return int(multiplier), shift


def _table(
    span: float, zero_point: int, function: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> NDArray[np.int16]:
    """513 values of a function over int16 inputs of scale span/65535, output scale 2/65535, in float32: an entry is
    lowered by half of the linear interpolation's excess at the midpoint."""
    f32 = np.float32
    in_scale, out_scale = f32(span) / f32(65535), f32(2) / f32(65535)
    low, high = in_scale * f32(LOW - zero_point), in_scale * f32(HIGH - zero_point)
    step = (high - low) / f32(512)
    inverse = f32(65536) / (out_scale * f32(HIGH) - out_scale * f32(LOW))
    indices = np.arange(512, dtype=np.float32)
    value = function(low + indices * step)
    middle = function(low + indices * step + step / f32(2))
    following = function(low + (indices + f32(1)) * step)
    sample = _round(value * inverse)
    line = _round((following * inverse + sample) / f32(2))
    error = line - _round(middle * inverse)
    entries = np.append(sample - _round(error / f32(2)), _round(function(np.array([high], np.float32)) * inverse))
    return np.clip(entries, LOW, HIGH).astype(np.int16)


def _round(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """C's round: halves away from zero."""
    return np.asarray(np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x), np.float32)
