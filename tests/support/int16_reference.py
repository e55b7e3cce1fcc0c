"""What single int16 kernels compute, in plain integers: a reference for the compiler's tables and constants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.arithmetic_s16 import HIGH, LOW

__all__ = ["interpolated", "requantize"]


def requantize(x: int, multiplier: int, shift: int) -> int:
    """x · multiplier · 2^(shift − 15), rounded once, limited to int16; the multiplier has 16 bits."""
    right = 15 - shift
    return max(LOW, min(HIGH, (x * multiplier + (1 << (right - 1))) >> right))


def interpolated(table: NDArray[np.int16], x: int) -> int:
    """The value of a table of 513 entries at an int16 x."""
    index = 256 + (x >> 7)
    slope = int(table[index + 1]) - int(table[index])
    return int(table[index]) + ((slope * (x & 127) + 64) >> 7)
