"""Rotary positions in integers (Su et al. 2021): the matrices that rotate pairs, for positions without an end.

No table can hold the angles of all positions: the matrices are an input of the decode step, and the runtime makes them
with the integers written here (`firmware_templates/runtime/kernels/thimble_turn.c` is the same).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BASE",
    "quantized",
    "rope_frequencies",
    "rope_frequencies_q32",
    "rope_matrix_q15",
    "rope_scale_q24",
    "sine",
    "sine_table",
]

BASE = 10_000.0

_SEGMENTS = 128  # of a quarter turn

_QUARTER = 1 << 30  # a turn is 2^32


def rope_frequencies(head_dim: int, base: float = BASE) -> NDArray[np.float64]:
    """float64 [head_dim / 2]: radians that each pair turns by from one position to the next (Su et al. 2021)."""
    frequencies: NDArray[np.float64] = float(base) ** (-np.arange(0, head_dim, 2) / head_dim)
    return frequencies


def rope_frequencies_q32(head_dim: int) -> NDArray[np.uint32]:
    """uint32 [head_dim / 2]: rotation of each pair per position, in units of 2^-32 turns (Su et al. 2021, base
    10,000)."""
    return np.floor(rope_frequencies(head_dim) / (2 * np.pi) * 2.0**32 + 0.5).astype(np.uint32)


def sine_table() -> NDArray[np.int16]:
    """int16 [129]: a quarter period of a sine at equal steps, in units of 1/32767."""
    return np.round(32767 * np.sin(np.pi / 2 * np.arange(_SEGMENTS + 1) / _SEGMENTS)).astype(np.int16)


def sine(phase: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The sine of a phase in 2^-32 turns, in 1/32767: the table, and straight lines between its entries."""
    wide = phase.astype(np.int64)
    within = wide % _QUARTER
    within = np.where(wide // _QUARTER % 2 == 1, _QUARTER - within, within)
    table = np.append(sine_table(), np.int16(0)).astype(np.int64)  # one more, times 0, where within is a whole quarter
    index, part = within >> 23, within >> 7 & 0xFFFF
    value = table[index] + ((table[index + 1] - table[index]) * part + 0x8000 >> 16)
    signed: NDArray[np.int64] = np.where(wide >= 2 * _QUARTER, -value, value)
    return signed


def rope_matrix_q15(position: int, head_dim: int) -> NDArray[np.int64]:
    """int64 [head_dim / 2, 2, 2] in 1/32767: what each pair is multiplied with at a position, (cos, sin; −sin, cos)."""
    phases = (rope_frequencies_q32(head_dim).astype(np.uint64) * np.uint64(position) & np.uint64(0xFFFFFFFF)).astype(
        np.uint32
    )
    cos, sin = sine(phases + np.uint32(_QUARTER)), sine(phases)
    return np.stack([cos, sin, -sin, cos], axis=-1).reshape(-1, 2, 2)


def rope_scale_q24(scale: float) -> int:
    """Multiplier from 1/32767 to integers of that scale, in units of 2^-24."""
    return int(2.0**24 / (32767 * scale) + 0.5)


def quantized(values: NDArray[np.int64], scale: float, zero_point: int, limits: np.iinfo) -> NDArray[np.signedinteger]:
    """1/32767ths as a tensor's integers: the value over the scale, rounded half up, plus the zero point, in the type's
    range."""
    scaled = zero_point + (values * rope_scale_q24(scale) + (1 << 23) >> 24)
    integers: NDArray[np.signedinteger] = np.clip(scaled, limits.min, limits.max).astype(limits.dtype)
    return integers
