"""A KV cache of fewer rows than tokens: what a token sees, where its K and V go, how far rotary positions have turned.

With a sliding window the cache holds `rows` tokens: the first `sinks` for good, and the newest of the others. Positions
have no end, so no table can hold the angles of all of them: the matrices that turn pairs are an input of the decode
step, and the runtime makes them with the integers written here (`firmware_templates/runtime/kernels/thimble_turn.c` is
the same).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BASE",
    "Ring",
    "Strided",
    "order_of",
    "quantized",
    "rotation",
    "sine",
    "sine_table",
    "strided",
    "turn_multiplier",
    "turn_rates",
]

BASE = 10_000.0
_SEGMENTS = 128  # of a quarter turn
_QUARTER = 1 << 30  # a turn is 2^32


@dataclass(frozen=True)
class Ring:
    """Rows of the cache, of which the first `sinks` are never given up."""

    rows: int
    sinks: int = 0

    def slot(self, position: int) -> int:
        """The row that the token at that position takes; what was there is forgotten before the token looks around."""
        if position < self.rows:
            return position
        return self.sinks + (position - self.rows) % (self.rows - self.sinks)

    def mask_row(self, position: int) -> int:
        """The row of the mask for a token at that position: its slot once all rows are taken, counted from `rows`."""
        if position < self.rows:
            return position
        return self.rows + (position - self.rows) % (self.rows - self.sinks)

    def visible(self) -> NDArray[np.bool_]:
        """bool [2·rows − sinks, rows + 1]: row `mask_row(p)` says which cache rows a token at p sees; last, itself."""
        rows, sinks = self.rows, self.sinks
        table = np.ones((2 * rows - sinks, rows + 1), np.bool_)
        table[:rows, :rows] = np.arange(rows)[None, :] < np.arange(rows)[:, None]
        table[np.arange(rows, 2 * rows - sinks), np.arange(sinks, rows)] = False
        return table

    def sees(self, length: int) -> NDArray[np.bool_]:
        """bool [length, length]: whether the token of the row sees that of the column, all positions at once."""
        query, key = np.arange(length)[:, None], np.arange(length)[None, :]
        return (key <= query) & ((key < self.sinks) | (key > query - (self.rows - self.sinks)))


@dataclass(frozen=True)
class Strided:
    """Rows of a cache for a context with an end, of which tokens take `slots`, one a position, as `strided` lays down.

    Where all rows are taken the row that a token takes is forgotten before it looks around. The mask has a row a
    position, which hides that one, so that it tells the whole order.
    """

    rows: int
    slots: tuple[int, ...]

    @property
    def context(self) -> int:
        """Positions, all told."""
        return len(self.slots)

    def slot(self, position: int) -> int:
        """The row that the token at that position takes."""
        return self.slots[position]

    def mask_row(self, position: int) -> int:
        """The row of the mask for a token at that position."""
        return position

    def visible(self) -> NDArray[np.bool_]:
        """bool [context, rows + 1]: which cache rows a token at the row's position sees; last, itself."""
        table = np.ones((self.context, self.rows + 1), np.bool_)
        for position, slot in enumerate(self.slots):
            if position < self.rows:
                table[position, position : self.rows] = False
            else:
                table[position, slot] = False
        return table

    def sees(self, length: int) -> NDArray[np.bool_]:
        """bool [length, length]: whether the token of the row sees that of the column, all positions at once."""
        table = np.zeros((length, length), np.bool_)
        held: dict[int, int] = {}
        for position in range(length):
            held[self.slots[position]] = position
            table[position, list(held.values())] = True
        return table


def strided(rows: int, sinks: int, stride: int, context: int) -> Strided:
    """The order in which the first `sinks` tokens and those at multiples of `stride` are kept to the end, and a token
    for which no row is free takes that of the oldest one that is not kept (Child et al. 2019, with a window)."""
    slots, held = list(range(rows)), list(range(rows))
    for position in range(rows, context):
        oldest = next(place for place, other in enumerate(held) if other >= sinks and other % stride)
        slots.append(slots[held.pop(oldest)])
        held.append(position)
    return Strided(rows, tuple(slots[:context]))


def order_of(visible: NDArray[np.bool_]) -> Strided | None:
    """The order that a mask's table [context, rows + 1] tells, None where it tells none."""
    rows = visible.shape[1] - 1
    hidden = [np.flatnonzero(~row) for row in visible[rows:]]
    if rows < 1 or any(len(columns) != 1 or columns[0] == rows for columns in hidden):
        return None
    order = Strided(rows, (*range(min(rows, len(visible))), *(int(columns[0]) for columns in hidden)))
    return order if np.array_equal(order.visible(), visible) else None


def turn_rates(head_dim: int) -> NDArray[np.uint32]:
    """uint32 [head_dim / 2]: how far a pair turns a position, in 2^-32 turns (Su et al. 2021, base 10,000)."""
    frequencies = BASE ** (-np.arange(0, head_dim, 2) / head_dim)
    return np.floor(frequencies / (2 * np.pi) * 2.0**32 + 0.5).astype(np.uint32)


def sine_table() -> NDArray[np.int16]:
    """int16 [129]: a quarter of a sine at equal steps, in 1/32767."""
    return np.round(32767 * np.sin(np.pi / 2 * np.arange(_SEGMENTS + 1) / _SEGMENTS)).astype(np.int16)


def sine(phase: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The sine of a phase in 2^-32 turns, in 1/32767: the table, and straight lines between its entries."""
    wide = phase.astype(np.int64)
    within = wide % _QUARTER
    within = np.where(wide // _QUARTER % 2 == 1, _QUARTER - within, within)
    table = np.append(sine_table(), np.int16(0)).astype(np.int64)  # one more, times 0, where within is a whole quarter
    place, part = within >> 23, within >> 7 & 0xFFFF
    value = table[place] + ((table[place + 1] - table[place]) * part + 0x8000 >> 16)
    signed: NDArray[np.int64] = np.where(wide >= 2 * _QUARTER, -value, value)
    return signed


def rotation(position: int, head_dim: int) -> NDArray[np.int64]:
    """int64 [head_dim / 2, 2, 2] in 1/32767: what each pair is multiplied with at a position, (cos, sin; −sin, cos)."""
    phases = (turn_rates(head_dim).astype(np.uint64) * np.uint64(position) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    cos, sin = sine(phases + np.uint32(_QUARTER)), sine(phases)
    return np.stack([cos, sin, -sin, cos], axis=-1).reshape(-1, 2, 2)


def turn_multiplier(scale: float) -> int:
    """What takes 1/32767 to integers of that scale, in 2^-24."""
    return int(2.0**24 / (32767 * scale) + 0.5)


def quantized(values: NDArray[np.int64], scale: float, zero_point: int, limits: np.iinfo) -> NDArray[np.signedinteger]:
    """1/32767ths as a tensor's integers: the value over the scale, rounded half up, plus the zero point, in the type's
    range."""
    scaled = zero_point + (values * turn_multiplier(scale) + (1 << 23) >> 24)
    integers: NDArray[np.signedinteger] = np.clip(scaled, limits.min, limits.max).astype(limits.dtype)
    return integers
