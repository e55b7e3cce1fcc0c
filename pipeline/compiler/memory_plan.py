"""Where activations lie: one offset a buffer, so that buffers alive at the same time do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Buffer", "MemoryPlan", "plan_memory"]

_ALIGNMENT = 4


@dataclass(frozen=True)
class Buffer:
    """`size` bytes that are alive from step `first` to step `last`, both included."""

    name: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets by buffer name, the bytes in all, and the largest sum of buffers alive at one step."""

    offsets: dict[str, int]
    bytes: int
    largest_live_set: int


def plan_memory(buffers: Sequence[Buffer]) -> MemoryPlan:
    """Places the largest buffers first, each at the lowest offset that is free for its whole life."""
    placed: list[tuple[Buffer, int]] = []
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first, b.name)):
        taken = sorted(
            (offset, offset + _aligned(other.size))
            for other, offset in placed
            if other.first <= buffer.last and buffer.first <= other.last
        )
        offset = 0
        for begin, end in taken:
            if offset + _aligned(buffer.size) <= begin:
                break
            offset = max(offset, end)
        placed.append((buffer, offset))
    steps = {step for buffer in buffers for step in (buffer.first, buffer.last)}
    live = [sum(b.size for b in buffers if b.first <= step <= b.last) for step in steps]
    return MemoryPlan(
        {buffer.name: offset for buffer, offset in placed},
        max((offset + _aligned(buffer.size) for buffer, offset in placed), default=0),
        max(live, default=0),
    )


def _aligned(size: int) -> int:
    return (size + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT
