"""The lowered form of a graph: kernel calls in order, the constants and buffers that they use.

Nothing here is C text: a call has its kernel and typed arguments, and `printer` writes them at the end, for one token,
for a block of tokens, or for each token of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.kv_window import SlidingWindow, StridedWindow
from pipeline.targets.cores import WeightLayout

__all__ = [
    "SLOTS",
    "Address",
    "Argument",
    "BlockSize",
    "CachePart",
    "Call",
    "Constant",
    "Float",
    "Index",
    "Leaf",
    "LoopField",
    "Number",
    "Offset",
    "Operand",
    "Parameters",
    "Place",
    "Pointer",
    "Program",
    "Record",
    "Scaled",
    "Table",
    "Term",
    "Value",
    "View",
    "WeightEncoding",
    "leaves",
    "sum_of",
    "with_leaves",
]

SLOTS = "slots"
"""The constant that holds the rows that tokens take, one a position, where they are not simply a ring."""


class Index(StrEnum):
    """What a call knows of its token: its id, and its position. With a window, `POSITION` is the number of rows that it
    sees besides its own, `SLOT` the row of the cache that it takes, and `TIME` how many tokens came before it; else
    these three are one. In a call that takes a whole block of tokens they are the first token's."""

    TOKEN = "token"
    POSITION = "position"
    SLOT = "slot"
    TIME = "time"


# --- what may differ between layers that are alike


@dataclass(frozen=True)
class Number:
    """An integer; `label` says what it is where it becomes a field of the loop over layers."""

    value: int
    label: str = "number"


@dataclass(frozen=True)
class Place:
    """The start of a buffer of the arena, or of a part of the cache, by its name."""

    space: str
    name: str


@dataclass(frozen=True)
class Table:
    """A constant, by its name."""

    name: str


@dataclass(frozen=True)
class LoopField:
    """What differs between layers, as the field of a layer's parameters that holds it."""

    name: str


@dataclass(frozen=True)
class Address:
    """The address of constant parameters, by their name."""

    name: str | LoopField


Leaf = Number | Place | Table | Address
"""What two calls that are alike may differ in."""


# --- arguments


@dataclass(frozen=True)
class Scaled:
    """An index times a factor, in elements."""

    index: Index
    factor: int | LoopField


Term = int | LoopField | Scaled
Offset = tuple[Term, ...]
"""Elements from a buffer's start: the sum of these."""


@dataclass(frozen=True)
class View:
    """Location of a tensor: `rows` of `columns` elements of type `element`, `stride` apart.

    `space` is `arena`, `cache` or `constant`; `buffer` names the buffer, part or constant.
    """

    space: str
    buffer: str | LoopField
    rows: int
    columns: int
    stride: int
    offset: Offset = ()
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
    def name(self) -> str:
        """Of its buffer, part or constant."""
        assert isinstance(self.buffer, str), "a place that differs between layers"
        return self.buffer

    def moved(self, elements: int) -> Offset:
        """Its offset, so many elements further."""
        return (*self.offset, elements) if self.offset or elements else ()


def sum_of(offset: Offset) -> int:
    """The elements of an offset that depends on no token.

    Raises:
        TypeError: it depends on one.
    """
    numbers = [term for term in offset if isinstance(term, int)]
    if len(numbers) < len(offset):
        raise TypeError(f"{offset} is no number")
    return sum(numbers)


@dataclass(frozen=True)
class Pointer:
    """The address of a view's first element, as `ctype` where the kernel wants another type than the view's."""

    view: View
    ctype: str = ""


@dataclass(frozen=True)
class Operand:
    """A view with the elements from one row to the next and from one column to the next, either 0 to repeat one."""

    view: View
    row_stride: int | LoopField
    step: int | LoopField


@dataclass(frozen=True)
class BlockSize:
    """How many tokens the block has."""


@dataclass(frozen=True)
class Float:
    """A float32."""

    value: float


Argument = Leaf | LoopField | Pointer | Operand | BlockSize | Index | Float


# --- parameters


@dataclass(frozen=True)
class Record:
    """A structure within parameters: its values, by name or in order."""

    values: tuple[Value, ...]
    names: tuple[str, ...] = ()


Value = int | Table | Address | Record | None
"""Of a field; None is the null pointer."""


@dataclass(frozen=True)
class Parameters:
    """The constant parameters of a kernel: a C structure's type, its name, and the values of its fields."""

    ctype: str
    name: str
    fields: tuple[tuple[str, Value], ...]


# --- leaves

_Change = Callable[[Leaf], Leaf | LoopField]


def leaves(argument: Argument) -> tuple[Argument, list[Leaf]]:
    """What may differ between layers, in the order of the C text, and the argument without it: two arguments are alike
    if the latter are equal and the former of the same kinds."""
    seen: list[Leaf] = []

    def record(leaf: Leaf) -> LoopField:
        seen.append(leaf)
        return LoopField(type(leaf).__name__)

    return _changed(argument, record), seen


def with_leaves(argument: Argument, replacements: Iterator[Leaf | LoopField]) -> Argument:
    """The argument with others in their place, in the same order."""
    return _changed(argument, lambda _: next(replacements))


def _changed(argument: Argument, change: _Change) -> Argument:
    match argument:
        case Address(name=LoopField()):
            return argument
        case Number() | Place() | Table() | Address():
            return change(argument)
        case Pointer():
            return Pointer(_changed_view(argument.view, change), argument.ctype)
        case Operand():
            view = _changed_view(argument.view, change)
            return Operand(view, _changed_number(argument.row_stride, change), _changed_number(argument.step, change))
    return argument


def _changed_view(view: View, change: _Change) -> View:
    """Rows, columns and stride stand in no C text, and are left out."""
    buffer: str | LoopField = view.buffer
    if isinstance(buffer, str):
        start = change(Table(buffer) if view.space == "constant" else Place(view.space, buffer))
        assert isinstance(start, Table | Place | LoopField)
        buffer = start if isinstance(start, LoopField) else start.name
    offset = tuple(
        Scaled(term.index, _changed_number(term.factor, change))
        if isinstance(term, Scaled)
        else _changed_number(term, change)
        for term in view.offset
    )
    return View(view.space, buffer, 0, 0, 0, offset, view.element)


def _changed_number(number: int | LoopField, change: _Change) -> int | LoopField:
    if isinstance(number, LoopField):
        return number
    result = change(Number(number))
    assert isinstance(result, Number | LoopField)
    return result if isinstance(result, LoopField) else result.value


# --- the program


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
class WeightEncoding:
    """`name`: pairs, quads or rows, where weights stay as they are in that `packing`; blocks4 and blocks8, with the
    `columns` of a block; nibbles; 1:4 and 2:4, where `nonzeros` of four columns are. `weight_bytes` include indices,
    but not scales and biases."""

    name: str
    weight_bytes: int
    instructions: int
    packing: WeightLayout | None = None
    columns: int = 0
    nonzeros: int = 0

    @property
    def kernel(self) -> str:
        """The middle of its kernel's name."""
        return "picked" if self.nonzeros else self.name


@dataclass(frozen=True)
class Call:
    """One kernel call, the arena buffers that it reads and writes, and its costs for a token.

    `parameters` are those that the call brings with it, `product` the name of a matrix product, whose weights are held
    in `form` where `plain` was the alternative. `block`: the call takes a whole block of tokens; `interleaved`: its
    output interleaves the tokens' words; `recomputed_for_tail`: it is repeated for one token in the tail. `appends`: it
    writes new rows to the KV cache. `some_rows`: the C function that makes parameters of a product those of some of its
    rows, where its weights allow that. `group` names the layer function in which it stands, `kind` what that function
    does, `logits_only` says that only a block's last token needs it.
    """

    kernel: str
    arguments: tuple[Argument, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    parameters: tuple[Parameters, ...] = ()
    product: str = ""
    form: WeightEncoding | None = None
    plain: WeightEncoding | None = None
    block: bool = False
    interleaved: bool = False
    recomputed_for_tail: bool = False
    appends: bool = False
    logits_only: bool = False
    some_rows: str = ""
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
