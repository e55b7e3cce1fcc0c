"""Where activations lie: one offset a buffer, so that buffers alive at the same time do not overlap."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Buffer", "MemoryPlan", "aligned", "plan_memory"]

_ALIGNMENT = 4
_ATTEMPTS = 1000


@dataclass(frozen=True)
class Buffer:
    """`size` bytes that are alive in each of the spans, from a first step to a last one, both included."""

    name: str
    size: int
    spans: tuple[tuple[int, int], ...]

    def alive(self, step: int) -> bool:
        """Whether it is alive at the step."""
        return any(first <= step <= last for first, last in self.spans)

    def meets(self, other: Buffer) -> bool:
        """Whether both are alive at some step."""
        return any(
            first <= its_last and its_first <= last for first, last in self.spans for its_first, its_last in other.spans
        )


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets by buffer name, the bytes in all, and the largest sum of buffers alive at one step."""

    offsets: dict[str, int]
    bytes: int
    largest_live_set: int


def plan_memory(buffers: Sequence[Buffer], fixed: Mapping[str, int] | None = None) -> MemoryPlan:
    """The smallest of several greedy plans, each of which places buffers one by one at the lowest offset that is free
    for their lifetime: the largest first, then in changed orders, until the plan is as small as what is alive at once.

    Args:
        fixed: offsets of buffers that are placed already.
    """
    done = [(buffer, fixed[buffer.name]) for buffer in buffers if fixed and buffer.name in fixed]
    names = {buffer.name for buffer, _ in done}
    order = sorted((b for b in buffers if b.name not in names), key=lambda b: (-b.size, b.spans, b.name))
    steps = {step for buffer in buffers for span in buffer.spans for step in span}
    live = max((sum(aligned(b.size) for b in buffers if b.alive(step)) for step in steps), default=0)
    best = _place(order, done)
    draw = random.Random(0)
    for attempt in range(_ATTEMPTS):
        if _end(best) <= live or not order:
            break
        # Small changes of the best order, now and then a larger one.
        changed = list(order)
        for _ in range(1 + attempt % 4):
            buffer = changed.pop(draw.randrange(len(changed)))
            changed.insert(draw.randrange(len(changed) + 1), buffer)
        plan = _place(changed, done)
        if _end(plan) <= _end(best):
            best, order = plan, changed
    largest = max((sum(b.size for b in buffers if b.alive(step)) for step in steps), default=0)
    return MemoryPlan({buffer.name: offset for buffer, offset in best}, _end(best), largest)


def _place(order: Sequence[Buffer], done: Sequence[tuple[Buffer, int]]) -> list[tuple[Buffer, int]]:
    """Each buffer with its offset, including the fixed ones."""
    placed = list(done)
    for buffer in order:
        occupied = sorted(
            (offset, offset + aligned(neighbour.size)) for neighbour, offset in placed if neighbour.meets(buffer)
        )
        offset = 0
        for begin, end in occupied:
            if offset + aligned(buffer.size) <= begin:
                break
            offset = max(offset, end)
        placed.append((buffer, offset))
    return placed


def _end(placed: Sequence[tuple[Buffer, int]]) -> int:
    return max((offset + aligned(buffer.size) for buffer, offset in placed), default=0)


def aligned(size: int) -> int:
    """The size rounded up to a buffer's alignment."""
    return (size + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT
