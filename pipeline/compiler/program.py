"""The lowered form of a graph: kernel calls in order, the constants and buffers that they use."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.forms import WeightEncoding
from pipeline.numerics.kv_window import SlidingWindow, StridedWindow

__all__ = [
    "ARENA",
    "POSITION",
    "SLOT",
    "SLOTS",
    "TIME",
    "TOKEN",
    "TOKENS",
    "CachePart",
    "Call",
    "Constant",
    "Program",
    "View",
]


ARENA, TOKEN, POSITION, TOKENS = "@arena", "@token", "@position", "@tokens"
"""In the text of a call: the arena, before the name of a buffer there; its token and that one's position; in a call
that takes a whole block of tokens: the position of the first, and how many they are."""
SLOT, TIME = "@slot", "@time"
"""The row of the cache that a token takes, and how many tokens came before it: with a window POSITION is the number of
rows that it sees besides its own, else all three are one."""
SLOTS = "slots"
"""The constant that holds the rows that tokens take, one a position, where they are not simply a ring."""


@dataclass(frozen=True)
class View:
    """Location of a tensor: `rows` of `columns` elements, `stride` apart.

    `space` is `arena`, `cache` or `constant`; `buffer` names the buffer, part or constant, `offset` is a C expression
    of elements, of type `element`, from its start.
    """

    space: str
    buffer: str
    rows: int
    columns: int
    stride: int
    offset: str = "0"
    element: str = "int8_t"

    @property
    def contiguous(self) -> bool:
        """Whether no gaps lie between the rows."""
        return self.rows == 1 or self.stride == self.columns

    @property
    def bytes(self) -> int:
        """Of its elements, gaps left out."""
        return self.rows * self.columns * (2 if self.element == "int16_t" else 1)

    @property
    def pointer(self) -> str:
        """The C expression of its first element."""
        if self.space == "constant":
            start = self.buffer
        else:
            start = f"{ARENA if self.space == 'arena' else 'cache'} + at_{self.buffer}"
            if self.element != "int8_t":
                start = f"({self.element} *)(void *)({start})"
        return start if self.offset == "0" else f"{start} + {self.offset}"


@dataclass(frozen=True)
class Constant:
    """An array in flash; `weights` lie in the weights section, all else is a table. `raw`: of weights that are packed
    or padded, the bytes that they have in the .tflite."""

    name: str
    ctype: str
    values: NDArray[np.generic]
    weights: bool = False
    raw: int | None = None

    @property
    def raw_bytes(self) -> int:
        """Its bytes without packing and padding."""
        return self.values.nbytes if self.raw is None else self.raw


@dataclass(frozen=True)
class Call:
    """One kernel call as C text, the arena buffers that it reads and writes, and its costs for a token.

    `declaration` is the C of its constant parameters, `product` the name of a matrix product, whose weights are held in
    `form` where `plain` was the alternative. `block`: the call takes a whole block of tokens; `interleaved`: its output
    interleaves the tokens' words; `recomputed_for_tail`: it is repeated for one token in the tail. `appends`: it writes
    new rows to the KV cache. `group` names the layer function in which it stands, `kind` what that function does,
    `logits_only` says that only a block's last token needs it.
    """

    text: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    declaration: str = ""
    product: str = ""
    form: WeightEncoding | None = None
    plain: WeightEncoding | None = None
    block: bool = False
    interleaved: bool = False
    recomputed_for_tail: bool = False
    appends: bool = False
    logits_only: bool = False
    macs: int = 0
    weight_bytes: int = 0
    group: str = ""
    kind: str = "elementwise"


@dataclass(frozen=True)
class CachePart:
    """One K or V cache of a layer; `read_empty`: rows are read before any token has written them, and must hold the
    zero point."""

    name: str
    bytes: int
    zero_point: int
    read_empty: bool


@dataclass
class Program:
    """The lowered program. `block`: how many tokens the calls can take at once. `split_logits_tail`: whether the calls
    that no cache needs may come last. Neither holds where the cache is read before the new row is written, as the
    .tflite does. `kv_window`: the sliding window of the cache, if there is one. `buffers`: the arena's, bytes a token
    by name; those in `scratch` serve one token after the other."""

    block: int = 1
    split_logits_tail: bool = False
    kv_window: SlidingWindow | StridedWindow | None = None
    calls: list[Call] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)
    buffers: dict[str, int] = field(default_factory=dict)
    scratch: set[str] = field(default_factory=set)
    cache: list[CachePart] = field(default_factory=list)
    inputs: dict[str, View] = field(default_factory=dict)
    outputs: dict[str, View] = field(default_factory=dict)
