"""A whole cache as a step's output: the cache with the token's own row put in, as others write it.

`cache * (1 − onehot) + onehot * new`, `where(range == position, new, cache)` or a DYNAMIC_UPDATE_SLICE become one
operator, which gives the cache with the row written in its place; the step's output is then the row alone. That holds
only where all other rows stay as they are, to the bit: what is computed is evaluated for every value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.arithmetic import to_int8, to_real
from pipeline.compiler.fusions.table import KIND as TABLE
from pipeline.compiler.fusions.table import Unary
from pipeline.compiler.ir.graph import RESHAPE_OPS, Graph, Op, Tensor, is_int8
from pipeline.compiler.ir.names import layer_part
from pipeline.compiler.ir.program import Index, Scaled, View
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.operator import Operator
from pipeline.compiler.ops.registry import ELEMENTWISE

__all__ = ["KIND", "OPERATORS", "fuse_cache_updates", "missed_updates", "updates"]

KIND = "cache_update"
_ALL = np.arange(-128, 128, dtype=np.int64)
_Values = NDArray[np.int64]
_EVALUATED = {"ADD": 2, "SUB": 2, "MUL": 2, "QUANTIZE": 1}
"""Operators between a cache and what is made of it, and how many inputs each has: nothing was checked yet."""
_MAX_ROWS = 1 << 12
_MAX_AXES = 6
_MAX_STEPS = 100  # of an evaluation, so that it has an end whatever the file holds
_SHOWN = (
    "give cache, kept rows and sum one quantization: show the converter each whole cache too, at the first and at the "
    "last position; or return the new row alone"
)


@dataclass(frozen=True)
class _Update:
    """The token's own row, [heads, 1, width], and what becomes of its values in the cache."""

    row: int
    table: NDArray[np.int8]


def updates(graph: Graph) -> dict[str, int]:
    """The outputs that are whole caches, by name: `k_new_0` → the cache's tensor."""
    found: dict[str, int] = {}
    for name, cache in graph.inputs.items():
        new = name.replace("_cache_", "_new_")
        out, shape = graph.outputs.get(new), graph.tensors[cache].shape
        is_cache = "_cache_" in name and len(shape) == 3 and shape[1] > 1
        if is_cache and out is not None and graph.tensors[out].shape == shape:
            found[new] = cache
    return found


def fuse_cache_updates(graph: Graph) -> Graph:
    """Makes one operator of each update, and the row alone the step's output."""
    tensors, ops = list(graph.tensors), list(graph.ops)
    outputs, order = dict(graph.outputs), list(graph.output_order)
    made: list[tuple[Op, Op]] = []
    for name, cache in updates(graph).items():
        out = graph.outputs[name]
        found, producer = _update(graph, cache, out), graph.producer(out)
        if isinstance(found, str) or producer is None:
            continue
        held, row = tensors[cache], found.row
        is_kept = np.array_equal(found.table, _ALL)
        if not is_kept or (tensors[row].scale, tensors[row].zero_point) != (held.scale, held.zero_point):
            rounded = dataclasses.replace(
                tensors[row], index=len(tensors), scales=held.scales, zero_points=held.zero_points
            )
            tensors.append(rounded)
            table = Op(TABLE, (row,), (rounded.index,), fusion=Unary(row, found.table))
            view = Op("RESHAPE", (row,), (rounded.index,))  # the same integers
            ops.insert(next(place for place, op in enumerate(ops) if op is producer), view if is_kept else table)
            row = rounded.index
        made.append((producer, Op(KIND, (cache, row), (out,))))
        outputs[name] = row
        order = [row if index == out else index for index in order]
    changed = dataclasses.replace(
        graph, tensors=tuple(tensors), ops=tuple(ops), outputs=outputs, output_order=tuple(order)
    )
    return changed.rewritten({changed.place(producer): update for producer, update in made})


def missed_updates(graph: Graph) -> dict[str, tuple[str, str]]:
    """By its name each output that is a whole cache and is no update, with why not and what mends it; the graph is one
    whose updates are fused."""
    missed: dict[str, tuple[str, str]] = {}
    for name, cache in updates(graph).items():
        found = _update(graph, cache, graph.outputs[name])
        missed[name] = (found, _SHOWN) if isinstance(found, str) else ("nothing makes it", _SHOWN)
    return missed


def _update(graph: Graph, cache: int, out: int) -> _Update | str:
    """The update that an output is, or why it is none."""
    held, made = graph.tensors[cache], graph.tensors[out]
    if held.dtype != made.dtype or held.scales.size != 1 or not _alike(held, made):
        return (
            f"it is the whole cache with scale {_scale(made)} and zero point {_zero(made)}, and the cache that comes "
            f"in has {_scale(held)} and {_zero(held)}"
        )
    if len(graph.consumers(cache)) > 1:
        return "the cache that comes in is read elsewhere too"
    if held.shape[1] > _MAX_ROWS:
        return f"the cache has {held.shape[1]:,} rows, and an update is looked at up to {_MAX_ROWS:,}"
    found = _slice_update(graph, cache, out)
    if found is None and not is_int8(held):
        return "only a DYNAMIC_UPDATE_SLICE puts a row into a cache of int16"
    if found is not None:
        return found
    try:
        return _Cone(graph, cache).update(out)
    except _NoUpdateError as error:
        return str(error)


def _alike(a: Tensor, b: Tensor) -> bool:
    """Whether integers of one are the other's as they are; the converter rounds a scale in several ways."""
    same_shape = a.scales.shape == b.scales.shape
    return bool(
        same_shape and np.allclose(a.scales, b.scales, 1e-5, 0) and np.array_equal(a.zero_points, b.zero_points)
    )


def _scale(tensor: Tensor) -> str:
    return f"{tensor.scale:g}" if tensor.scales.size == 1 else "none"


def _zero(tensor: Tensor) -> str:
    return str(tensor.zero_point) if tensor.zero_points.size == 1 else "none"


def _padded(tensor: Tensor) -> tuple[int, ...]:
    """A shape with three axes at least."""
    return (1,) * (3 - len(tensor.shape)) + tensor.shape


# --- DYNAMIC_UPDATE_SLICE


def _slice_update(graph: Graph, cache: int, out: int) -> _Update | str | None:
    """The update by a DYNAMIC_UPDATE_SLICE of integers, or of float32 between DEQUANTIZE and QUANTIZE; None where there
    is none."""
    op = graph.producer(out)
    in_float = op is not None and op.kind == "QUANTIZE" and graph.tensors[op.inputs[0]].dtype == "FLOAT32"
    if in_float and op is not None:
        op = graph.producer(op.inputs[0])
    if op is None or op.kind != "DYNAMIC_UPDATE_SLICE" or len(op.inputs) != 3 or -1 in op.inputs:
        return None
    sources = [_dequantized(graph, index) if in_float else index for index in op.inputs[:2]]
    if sources[0] != cache or sources[1] is None:
        return "the slice is not put into the cache itself"
    held, row = graph.tensors[cache], graph.tensors[sources[1]]
    heads, rows, width = held.shape
    if row.shape != (heads, 1, width) or row.dtype != held.dtype or not (_is_usual(row) and _is_usual(held)):
        return f"a slice of {row.dtype} {list(row.shape)} is put in, and not one row, {[heads, 1, width]}"
    starts = _Integers(graph, rows).values(op.inputs[2])
    wanted = np.stack([np.zeros(rows, np.int64), np.arange(rows), np.zeros(rows, np.int64)], axis=1)
    if starts is None or starts.size != wanted.size or not np.array_equal(starts.reshape(rows, -1), wanted):
        return "the slice does not begin at [0, position, 0]"
    if not in_float:
        return _Update(row.index, _ALL.astype(np.int8)) if _alike(row, held) else "the row has another scale"
    if not is_int8(row, held):
        return "a slice in float32 of a cache of int16"
    if not np.array_equal(to_int8(held, to_real(held, _ALL)), _ALL):
        return "rows change on their way through float32"
    return _Update(row.index, to_int8(held, to_real(row, _ALL)).astype(np.int8))


def _is_usual(tensor: Tensor) -> bool:
    """Whether it has one scale and zero point that its type can have."""
    single = tensor.scales.size == tensor.zero_points.size == 1
    return single and 2.0**-64 <= tensor.scale <= 2.0**64 and -128 <= tensor.zero_point <= 127


def _dequantized(graph: Graph, tensor: int) -> int | None:
    op = graph.producer(tensor)
    return op.inputs[0] if op is not None and op.kind == "DEQUANTIZE" and op.inputs[0] >= 0 else None


class _Integers:
    """Evaluates int32 tensors that depend on nothing but `position`, at every position at once."""

    def __init__(self, graph: Graph, positions: int) -> None:
        self.graph, self.positions, self.left = graph, positions, _MAX_STEPS

    def values(self, tensor: int) -> _Values | None:
        """int64 [positions, *shape]; None where it depends on something else, or on operators that are not known."""
        self.left -= 1
        if tensor < 0 or self.left < 0:
            return None
        held = self.graph.tensors[tensor]
        if len(held.shape) > _MAX_AXES or any(size < 0 for size in held.shape):
            return None
        if tensor == self.graph.inputs.get("position"):
            return np.arange(self.positions).reshape(self.positions, *held.shape) if held.size == 1 else None
        if held.data is not None:
            return np.broadcast_to(np.asarray(held.data, np.int64).reshape(held.shape), (self.positions, *held.shape))
        op = self.graph.producer(tensor)
        if op is None or held.dtype not in ("INT32", "INT64"):
            return None
        if op.kind in (*RESHAPE_OPS, "CAST"):
            return self._shaped([self.values(op.inputs[0])], held)
        if op.kind == "STRIDED_SLICE" and held.size == 1 and self._takes_one(op):  # one element is all there is
            return self._shaped([self.values(op.inputs[0])], held)
        return self._shaped([*map(self.values, op.inputs)], held) if self._joins(op, held) else None

    def _takes_one(self, op: Op) -> bool:
        """Whether a part of one element is that one, by numbers that leave nothing open: beyond it, or backwards, there
        is nothing that runtimes agree on."""
        if len(op.inputs) != 4 or op.int_option("ellipsisMask") or op.int_option("newAxisMask"):
            return False
        values = [self.graph.tensors[index].data if index >= 0 else None for index in op.inputs[1:]]
        if any(value is None for value in values):
            return False
        begins, ends, steps = ([int(one) for one in np.asarray(value).reshape(-1)] for value in values)
        to_the_end = op.int_option("endMask")
        return len(begins) == len(ends) == len(steps) and all(
            begin in (0, -1) and step == 1 and (end == begin + 1 or end == 1 or to_the_end >> axis & 1)
            for axis, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True))
        )

    def _joins(self, op: Op, out: Tensor) -> bool:
        """Whether it lays its inputs one behind the other into a vector: what runtimes make of other ranks differs."""
        shapes = [self.graph.tensors[index].shape for index in op.inputs if index >= 0]
        rank = {"PACK": 0, "CONCATENATION": 1}.get(op.kind)
        return len(out.shape) == 1 and op.int_option("axis") in (0, -1) and all(len(shape) == rank for shape in shapes)

    def _shaped(self, parts: list[_Values | None], out: Tensor) -> _Values | None:
        """The parts one behind the other, in the output's shape; None where they are not as many."""
        flat = [part.reshape(self.positions, -1) for part in parts if part is not None]
        if len(flat) < len(parts) or sum(part.shape[1] for part in flat) != out.size:
            return None
        return np.concatenate(flat, axis=1).reshape(self.positions, *out.shape)


# --- element by element


class _NoUpdateError(Exception):
    """Why an output is no update."""


class _Cone:
    """Evaluates what makes an output of a cache, of one new row and of rows that say where the position is."""

    def __init__(self, graph: Graph, cache: int) -> None:
        self.graph, self.cache = graph, cache
        self.heads, self.rows, self.width = graph.tensors[cache].shape
        self.row: int | None = None
        self.left = _MAX_STEPS

    def update(self, out: int) -> _Update:
        """The update that the output is.

        Raises:
            _NoUpdateError: it is none.
        """
        elsewhere, here = (np.broadcast_to(self.values(out, at), (256, 256)) for at in (False, True))
        if self.row is None:
            raise _NoUpdateError("no new row is put in")
        if not (elsewhere == _ALL[:, None]).all():
            raise _NoUpdateError("rows that are kept change: they have another scale on their way than in the cache")
        if not (here == here[:1]).all():
            raise _NoUpdateError("what is put in depends on what was there")
        row, wanted = self.graph.tensors[self.row], (self.heads, 1, self.width)
        if not is_int8(row) or row.shape != wanted:
            raise _NoUpdateError(f"the new row is {row.dtype} {list(row.shape)}, and not int8 {list(wanted)}")
        return _Update(row.index, here[0].astype(np.int8))

    def values(self, tensor: int, here: bool) -> _Values:
        """int64 [256 or 1, 256 or 1]: for each value of the cache's element and of the new row's, at the token's own
        position (`here`) or elsewhere."""
        held = self._tensor(tensor)
        if tensor == self.cache:
            return _ALL[:, None]
        if held.data is not None and held.size == 1 and is_int8(held):
            return np.array([[int(held.data.reshape(-1)[0])]])
        shape = _padded(held)
        if shape == (1, self.rows, 1):
            return np.array([[self._one_hot(tensor)[1 if here else 0]]])
        if shape == (self.heads, 1, self.width):
            return self._new_row(tensor)
        op = self.graph.producer(tensor)
        if op is None or shape not in ((self.heads, self.rows, self.width), (1, self.rows, self.width)):
            raise _NoUpdateError(f"{held.name!r} is {list(held.shape)}")
        if op.kind in ("SELECT_V2", "SELECT") and len(op.inputs) == 3:
            condition = self.values(op.inputs[0], here)
            if not all(_alike(self.graph.tensors[index], held) for index in op.inputs[1:]):
                raise _NoUpdateError("where() of several scales")
            return self.values(op.inputs[1 if condition[0, 0] else 2], here)
        return self._elementwise(op, held, lambda index: self.values(index, here))

    def _elementwise(self, op: Op, out: Tensor, of: Callable[[int], _Values]) -> _Values:
        if len(op.inputs) != _EVALUATED.get(op.kind) or -1 in op.inputs:
            raise _NoUpdateError(f"{op.kind} is no operator that an update is evaluated with")
        evaluate, operands = ELEMENTWISE[op.kind].evaluate, [self.graph.tensors[index] for index in op.inputs]
        if evaluate is None or not is_int8(*operands, out) or not all(map(_is_usual, (*operands, out))):
            raise _NoUpdateError(f"{op.kind} of other tensors than int8 with a scale each")
        values = evaluate(op, operands, out, np.broadcast_arrays(*map(of, op.inputs)))
        if values is None:
            raise _NoUpdateError(f"the scales of {op.kind} are far apart")
        return values

    def _new_row(self, tensor: int) -> _Values:
        if self.row not in (None, tensor):
            raise _NoUpdateError("several rows are put in")
        self.row = tensor
        return _ALL[None, :]

    def _one_hot(self, tensor: int) -> tuple[int, int]:
        """(elsewhere, here) of a row that says where the position is."""
        table = np.broadcast_to(self._table(tensor), (self.rows, self.rows))
        elsewhere, here = int(table[0, 1]), int(table[0, 0])
        if not np.array_equal(table, np.where(np.eye(self.rows, dtype=bool), here, elsewhere)):
            raise _NoUpdateError(f"{self.graph.tensors[tensor].name!r} is no one-hot row of `position`")
        return elsewhere, here

    def _table(self, tensor: int) -> _Values:
        """[positions or 1, rows or 1] of a tensor that depends on `position` alone."""
        held, graph = self._tensor(tensor), self.graph
        if tensor == graph.inputs.get("position"):
            return np.arange(self.rows)[:, None]
        if held.data is not None and held.size in (1, self.rows):
            return held.data.astype(np.int64).reshape(1, -1)
        op = graph.producer(tensor)
        if op is None:
            raise _NoUpdateError(f"{held.name!r} is computed from more than `position`")
        if op.kind in RESHAPE_OPS:
            return self._table(op.inputs[0])
        if op.kind == "EQUAL" and len(op.inputs) == 2:
            left, right = (self._table(index) for index in op.inputs)
            return np.asarray(left == right, np.int64)
        if op.kind == "GATHER" and op.inputs[1:] == (graph.inputs.get("position"),) and op.int_option("axis") == 0:
            values = graph.tensors[op.inputs[0]].data
            if values is not None and values.shape == (self.rows, self.rows):
                return values.astype(np.int64)
        return self._elementwise(op, held, self._table)

    def _tensor(self, index: int) -> Tensor:
        self.left -= 1
        if index < 0 or self.left < 0:
            raise _NoUpdateError("too much is computed between the cache and it")
        return self.graph.tensors[index]


# --- lowering


def _lower(ctx: Lowering, op: Op) -> None:
    """Writes the row into the cache, which from then on is the updated one."""
    cache, row = ctx.tensor(op.inputs[0]), ctx.contiguous(op.inputs[1])
    name = next(name for name, index in ctx.graph.inputs.items() if index == cache.index)
    kind, _, layer = name.partition("_cache_")
    heads, rows, width = cache.shape
    part, offset = layer_part(int(layer), f"{kind}_cache"), (Scaled(Index.POSITION, width),)
    source = View(row.space, row.buffer, heads, width, width, row.offset, row.element)
    ctx.copy(source, View("cache", part, heads, width, rows * width, offset, cache.ctype))
    ctx.views[op.outputs[0]] = ctx.views[cache.index]


OPERATORS = tuple(Operator(KIND, dtype, _lower, ("thimble_copy_s8",)) for dtype in ("INT8", "INT16"))
