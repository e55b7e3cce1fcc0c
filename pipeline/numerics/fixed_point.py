"""Fixed-point arithmetic exactly as TensorFlow Lite Micro (and gemmlowp below it) does it, on numpy int64 arrays.

A Qm.n number has m integer bits and n = 31 − m fractional bits in an int32. Products of fixed-point numbers are
rounding, doubling high products; see gemmlowp's fixedpoint.h for the formulas and their constants.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Int",
    "doubling_high_multiply",
    "exp_on_negative_values",
    "input_radius",
    "inverse_sqrt_multiplier",
    "logistic",
    "multiply",
    "one_over_one_plus",
    "quantize_multiplier",
    "rounding_divide",
    "tanh",
]

Int = NDArray[np.int64]
_INT32_MAX = 2**31 - 1


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real ≈ multiplier · 2^(shift − 31), multiplier in [2^30, 2^31) or 0; shift ≥ −31."""
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = _round(fraction * 2**31)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def doubling_high_multiply(a: Int | int, b: Int | int) -> Int:
    """round(a·b / 2^31), halves towards +∞ (which equals gemmlowp's nudge and truncating division)."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.asarray(np.minimum((product + (1 << 30)) >> 31, _INT32_MAX))


def rounding_divide(x: Int | int, exponent: int) -> Int:
    """round(x / 2^exponent), halves away from zero."""
    values = np.asarray(x, np.int64)
    if exponent == 0:
        return values
    return (values + (1 << (exponent - 1)) + (values >> 63)) >> exponent


def multiply(x: Int | int, multiplier: int, shift: int) -> Int:
    """MultiplyByQuantizedMultiplier with double rounding: x · multiplier · 2^(shift − 31)."""
    left, right = max(shift, 0), max(-shift, 0)
    return rounding_divide(doubling_high_multiply(np.asarray(x, np.int64) << left, multiplier), right)


def input_radius(integer_bits: int, left_shift: int, signed_bits: int = 31) -> int:
    """Largest |input| whose rescaled value still fits `integer_bits`."""
    largest = 1.0 * ((1 << integer_bits) - 1) * (1 << (signed_bits - integer_bits)) / (1 << left_shift)
    return math.floor(largest)


def exp_on_negative_values(a: Int, integer_bits: int) -> Int:
    """e^a in Q0.31 for a ≤ 0 in Q(integer_bits)."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    part = (a & (quarter - 1)) - quarter
    result = _exp_near_zero(_saturate(part << integer_bits))
    remainder = part - a
    constants = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for exponent, constant in zip(range(-2, integer_bits), constants, strict=False):
        bit = 1 << (fraction_bits + exponent)
        result = np.where(remainder & bit != 0, doubling_high_multiply(result, constant), result)
    return np.where(a == 0, _INT32_MAX, result)


def logistic(a: Int, integer_bits: int) -> Int:
    """1 / (1 + e^−a) in Q0.31."""
    positive = one_over_one_plus(exp_on_negative_values(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, _INT32_MAX - positive))


def tanh(a: Int, integer_bits: int) -> Int:
    """tanh(a) in Q0.31."""
    # e^−2|a|: twice the value is the same bits with one more integer bit.
    exp = exp_on_negative_values(-np.abs(a), integer_bits + 1)
    half_denominator = _half_sum_with_one(exp)
    magnitude = _saturate((_reciprocal(half_denominator) - (1 << 29)) << 2)
    return np.where(a == 0, 0, np.where(a < 0, -magnitude, magnitude))


def inverse_sqrt_multiplier(value: int) -> tuple[int, int]:
    """(multiplier, shift) of 1 / √value for an integer value ≥ 0, by five Newton steps from 1."""
    if value <= 1:
        return _INT32_MAX, 0
    shift = 11
    while value >= 1 << 29:
        value //= 4
        shift += 1
    pairs = (32 - value.bit_length() - 1) // 2 - 1
    shift -= pairs
    value <<= 2 * pairs
    half_input = int(rounding_divide(value >> 1, 1))
    half_three = (1 << 28) + (1 << 27)
    x = 1 << 28
    for _ in range(5):
        square = int(doubling_high_multiply(x, x))
        cube = int(_saturate(doubling_high_multiply(square, x) << 6))
        difference = int(doubling_high_multiply(half_three, x)) - int(doubling_high_multiply(half_input, cube))
        x = int(_saturate(np.asarray(difference) << 3))
    x = int(doubling_high_multiply(x, 1518500250))
    if shift < 0:
        x <<= -shift
        shift = 0
    return x, -shift


def _exp_near_zero(a: Int) -> Int:
    """e^a in Q0.31 for a in [−1/4, 0), by a Taylor series around −1/8."""
    x = a + (1 << 28)
    x2 = doubling_high_multiply(x, x)
    x3 = doubling_high_multiply(x2, x)
    x4_over_4 = rounding_divide(doubling_high_multiply(x2, x2), 2)
    series = rounding_divide(doubling_high_multiply(x4_over_4 + x3, 715827883) + x2, 1)
    return np.asarray(1895147668 + doubling_high_multiply(1895147668, x + series))


def one_over_one_plus(a: Int) -> Int:
    """1 / (1 + a) in Q0.31 for a in [0, 1]."""
    return _saturate(_reciprocal(_half_sum_with_one(a)) << 1)


def _reciprocal(half_denominator: Int) -> Int:
    """1 / half_denominator in Q2.29 for a Q0.31 number in [1/2, 1], by three Newton steps."""
    x = 1515870810 + doubling_high_multiply(half_denominator, -1010580540)  # 48/17 − 32/17 · h
    for _ in range(3):
        error = (1 << 29) - doubling_high_multiply(half_denominator, x)
        x = x + _saturate(doubling_high_multiply(x, error) << 2)
    return np.asarray(x)


def _half_sum_with_one(a: Int) -> Int:
    return np.asarray((a + _INT32_MAX + 1) // 2)


def _saturate(x: Int) -> Int:
    return np.clip(x, -(2**31), _INT32_MAX)


def _round(x: float) -> int:
    """C's round: halves away from zero."""
    return math.floor(x + 0.5) if x >= 0 else math.ceil(x - 0.5)
