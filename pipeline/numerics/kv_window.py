"""A KV cache of fewer rows than tokens: what a token sees, and where its K and V go.

With a sliding window the cache holds `rows` tokens: the first `sinks` for good, and the newest of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SlidingWindow", "StridedWindow", "strided_window", "window_from_mask"]


@dataclass(frozen=True)
class SlidingWindow:
    """Sliding window of `rows` cache rows, of which the first `sinks` are never evicted."""

    rows: int
    sinks: int = 0

    def slot(self, position: int) -> int:
        """Row that the token at that position is written to; its old content is not visible to the token."""
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
class StridedWindow:
    """Rows of a cache for a context with an end, of which tokens take `slots`, one a position, as `strided_window` lays
    down.

    Where all rows are taken the row that a token takes is forgotten before it looks around. The mask has a row a
    position, which hides that one, so that the mask determines the whole order.
    """

    rows: int
    slots: tuple[int, ...]

    @property
    def context(self) -> int:
        """Number of positions."""
        return len(self.slots)

    def slot(self, position: int) -> int:
        """Row that the token at that position is written to."""
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


def strided_window(rows: int, sinks: int, stride: int, context: int) -> StridedWindow:
    """The order in which the first `sinks` tokens and those at multiples of `stride` are kept to the end, and a token
    for which no row is free takes that of the oldest one that is not kept (Child et al. 2019, with a window)."""
    slots, held = list(range(rows)), list(range(rows))
    for position in range(rows, context):
        oldest = next(
            slot for slot, token_position in enumerate(held) if token_position >= sinks and token_position % stride
        )
        slots.append(slots[held.pop(oldest)])
        held.append(position)
    return StridedWindow(rows, tuple(slots[:context]))


def window_from_mask(visible: NDArray[np.bool_]) -> StridedWindow | None:
    """The window that a mask's table [context, rows + 1] describes; None where it describes none."""
    rows = visible.shape[1] - 1
    hidden = [np.flatnonzero(~row) for row in visible[rows:]]
    if rows < 1 or any(len(columns) != 1 or columns[0] == rows for columns in hidden):
        return None
    order = StridedWindow(rows, (*range(min(rows, len(visible))), *(int(columns[0]) for columns in hidden)))
    return order if np.array_equal(order.visible(), visible) else None
