"""A KV cache of fewer rows than tokens: what a token sees, and where its K and V go.

With a sliding window the cache holds `rows` tokens: the first `sinks` for good, and the newest of the others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "METADATA",
    "SlidingWindow",
    "StridedWindow",
    "strided_window",
    "window_metadata",
    "window_of_metadata",
]

METADATA = "thimble.kv_window"
"""The name of a .tflite's metadata that says its window."""
_MAX_ROWS, _MAX_CONTEXT = 1 << 10, 1 << 16


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
    position, which hides that one.
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


def window_metadata(window: int, sinks: int = 0, stride: int = 0, context: int = 0) -> str:
    """What a .tflite says of its window, as JSON: `window_of_metadata` reads it.

    Args:
        window: rows of the cache.
        sinks: the first tokens, which are kept.
        stride: at whose multiples tokens are kept too; 0: none.
        context: positions in all where there is a stride.
    """
    said = {"window": window, "sinks": sinks, **({"stride": stride, "context": context} if stride else {})}
    return json.dumps(said)


def window_of_metadata(text: str) -> SlidingWindow | StridedWindow:
    """The window that a .tflite says.

    Raises:
        ValueError: the text is none of `window_metadata`.
    """
    said = json.loads(text)
    if not isinstance(said, dict) or not all(type(value) is int for value in said.values()):
        raise ValueError("not numbers by name")
    window, sinks, stride, context = (said.pop(name, 0) for name in ("window", "sinks", "stride", "context"))
    if said or not 2 <= window <= _MAX_ROWS or not 0 <= sinks < window - 1:
        raise ValueError("no window of 2 rows or more with fewer sinks")
    if not stride and not context:
        return SlidingWindow(window, sinks)
    kept = sum(position < sinks or position % stride == 0 for position in range(context)) if stride > 1 else window
    if not window <= context <= _MAX_CONTEXT or kept > window - 2:
        raise ValueError("a stride that keeps more than the window holds")
    return strided_window(window, sinks, stride, context)
