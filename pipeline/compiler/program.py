"""The lowered form of a graph: kernel calls in order, the constants and buffers that they use."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["CachePart", "Call", "Constant", "Program", "View"]


@dataclass(frozen=True)
class View:
    """Where a tensor lies, as `rows` of `columns` elements, `stride` apart.

    `space` is `arena`, `cache` or `constant`; `buffer` names the buffer, part or constant, `offset` is a C expression
    of elements from its start.
    """

    space: str
    buffer: str
    rows: int
    columns: int
    stride: int
    offset: str = "0"

    @property
    def contiguous(self) -> bool:
        """Whether no gaps lie between the rows."""
        return self.rows == 1 or self.stride == self.columns

    @property
    def pointer(self) -> str:
        """The C expression of its first element."""
        start = self.buffer if self.space == "constant" else f"{self.space} + at_{self.buffer}"
        return start if self.offset == "0" else f"{start} + {self.offset}"


@dataclass(frozen=True)
class Constant:
    """An array in flash; `weights` lie in the weights section, all else is a table."""

    name: str
    ctype: str
    values: NDArray[np.generic]
    weights: bool = False


@dataclass(frozen=True)
class Call:
    """One kernel call as C text, the arena buffers that it reads and writes, and what it costs.

    `group` names the layer function in which it stands, `kind` what that function does.
    """

    text: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    macs: int = 0
    weight_bytes: int = 0
    group: str = ""
    kind: str = "elementwise"


@dataclass(frozen=True)
class CachePart:
    """One K or V cache of a layer."""

    name: str
    bytes: int
    zero_point: int


@dataclass
class Program:
    """All of it; `logits` is the view of the step's result, None where the graph is no decode step."""

    calls: list[Call] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)
    buffers: dict[str, int] = field(default_factory=dict)
    cache: list[CachePart] = field(default_factory=list)
    inputs: dict[str, View] = field(default_factory=dict)
    outputs: dict[str, View] = field(default_factory=dict)
