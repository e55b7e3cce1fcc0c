"""Rotary positions: pairs of each head times 2 × 2 matrices, as TRANSPOSE, BATCH_MATMUL and TRANSPOSE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler import arithmetic_s16
from pipeline.compiler.arithmetic import FUSED_SHIFTS, product_multiplier
from pipeline.compiler.fusions.rows import looked_up
from pipeline.compiler.ir.graph import Graph, Op, is_int16
from pipeline.compiler.ir.program import Address, Argument, Constant, Index, Record, Scaled, Table, Value, View
from pipeline.compiler.lowering import Lowering, block_size, parameters, product_scale
from pipeline.compiler.ops.operator import Operator

__all__ = ["OPERATORS", "RopeOffset", "Rotary", "find_rotaries", "fuse_rotaries"]

_KIND = "rotary"


@dataclass(frozen=True)
class RopeOffset:
    """What further terms of rotary positions are made of (`pipeline.network.key_centering`): constant `means`
    [pairs, heads, 2] and the position's `row` of matrices [pairs, 2, 2], both tensors by index; `table` holds the rows
    of all positions."""

    means: int
    row: int
    table: NDArray[np.int8]


@dataclass(frozen=True)
class Rotary:
    """Pairs of each head times 2 × 2 matrices: TRANSPOSE, BATCH_MATMUL and TRANSPOSE, whose places are `ops`.

    `x` and `out` are [heads, 2, pairs], `rotation` [pairs, 2, 2], all of them int8 or all int16. With a `rope_offset`
    its means are concatenated to the pairs, its matrices to theirs.
    """

    x: int
    rotation: int
    out: int
    ops: tuple[int, ...]
    rope_offset: RopeOffset | None = None


def fuse_rotaries(graph: Graph) -> Graph:
    """Makes one operator of rotary positions that a kernel computes."""
    matches = [match for match in find_rotaries(graph) if _fits(graph, match) or _fits_s16(graph, match)]
    replacements = {
        match.ops[-1]: Op(_KIND, (match.x, match.rotation), (match.out,), fusion=match) for match in matches
    }
    return graph.rewritten(replacements, (op for match in matches for op in match.ops))


def _fits(graph: Graph, rotary: Rotary) -> bool:
    """Whether it is of int8, and inside of what the fused kernel takes."""
    x, rotation, out = (graph.tensors[index] for index in (rotary.x, rotary.rotation, rotary.out))
    return x.dtype == "INT8" and product_multiplier(x, rotation, out)[1] in FUSED_SHIFTS


def _fits_s16(graph: Graph, rotary: Rotary) -> bool:
    """Whether it is one of int16, and inside of what the fused kernel takes."""
    x, rotation, out = (graph.tensors[index] for index in (rotary.x, rotary.rotation, rotary.out))
    fits = is_int16(x, rotation, out) and product_multiplier(x, rotation, out)[1] <= arithmetic_s16.MAX_SHIFT
    return fits and rotary.rope_offset is None


def find_rotaries(graph: Graph) -> list[Rotary]:
    """The rotary positions of the form that one kernel computes."""
    rotaries = [_rotary(graph, op) for op in graph.ops if op.kind == "BATCH_MATMUL"]
    return [rotary for rotary in rotaries if rotary is not None]


def _rotary(graph: Graph, product: Op) -> Rotary | None:
    left, right = _joined(graph, product.inputs[0], -1), _joined(graph, product.inputs[1], 1)
    pairs = left[0] if left else product.inputs[0]
    matrices = right[0] if right else product.inputs[1]
    rope_offset = _match_rope_offset(graph, left, right) if left and right else None
    before = graph.sole_producer(pairs, "TRANSPOSE")
    consumers = graph.consumers(product.outputs[0])
    if before is None or not graph.reads_alone(product.outputs[0]) or consumers[0].kind != "TRANSPOSE":
        return None
    after = consumers[0]
    x, rotation, out = (graph.tensors[i] for i in (before.inputs[0], matrices, after.outputs[0]))
    orders = [_order(graph, transpose) for transpose in (before, after)]
    alike = x.dtype == rotation.dtype == out.dtype and all(tensor.scales.size == 1 for tensor in (x, rotation, out))
    if (
        orders != [[2, 0, 1], [1, 2, 0]]
        or product.options.get("adjX")
        or product.options.get("adjY")
        or x.data is not None
        or x.shape != out.shape
        or x.shape[1] != 2
        or rotation.shape != (x.shape[2], 2, 2)
        or not alike
        or ((left or right) and rope_offset is None)
    ):
        return None
    joins = [op for op in map(graph.producer, product.inputs) if rope_offset and op]
    op_indices = tuple(graph.place(op) for op in (before, *joins, product, after))
    return Rotary(x.index, rotation.index, out.index, op_indices, rope_offset)


def _match_rope_offset(graph: Graph, left: tuple[int, int], right: tuple[int, int]) -> RopeOffset | None:
    """What is concatenated to the pairs, and to the matrices."""
    (pairs, means), (rotation, row) = ([graph.tensors[index] for index in side] for side in (left, right))
    table = looked_up(graph, row.index)
    shaped = means.shape == pairs.shape and row.shape == rotation.shape
    if not shaped or means.data is None or table is None or table.dtype != np.int8:
        return None
    return RopeOffset(means.index, row.index, table.astype(np.int8))


def _joined(graph: Graph, tensor: int, axis: int) -> tuple[int, int] | None:
    """The two tensors that are concatenated along the axis, of three, and quantized alike."""
    op = graph.producer(tensor)
    if op is None or op.kind != "CONCATENATION" or len(op.inputs) != 2:
        return None
    left, right, out = (graph.tensors[index] for index in (*op.inputs, tensor))
    alike = left.scale == right.scale == out.scale and left.zero_point == right.zero_point == out.zero_point
    along = op.int_option("axis") % 3 == axis % 3
    return (left.index, right.index) if alike and along and len(out.shape) == 3 else None


def _order(graph: Graph, transpose: Op) -> list[int]:
    order = graph.tensors[transpose.inputs[1]].data
    return [] if order is None else [int(axis) for axis in order.reshape(-1)]


def _matched(op: Op) -> Rotary:
    assert isinstance(op.fusion, Rotary)
    return op.fusion


class _RopeOffsetView(NamedTuple):
    """The means [heads, 2, head width / 2] and the row of matrices for the token, and how many `pairs` have any: the
    last ones."""

    means: Table
    row: View
    pairs: int


def _lower(ctx: Lowering, op: Op) -> None:
    rotary = _matched(op)
    x, rotation, out_tensor = (ctx.tensor(index) for index in (rotary.x, rotary.rotation, rotary.out))
    heads, _, half = x.shape
    source, matrices = ctx.contiguous(x.index), ctx.contiguous(rotation.index)
    out = ctx.allocate(out_tensor)
    moved = _rope_offset(ctx, rotary.rope_offset) if rotary.rope_offset else None
    name = f"rotary_{out_tensor.index}"
    fields: dict[str, Value] = {
        "offset": -x.zero_point,
        "rotation_offset": -rotation.zero_point,
        "heads": heads,
        "half": half,
        "pairs": half - (moved.pairs if moved else 0),
        "out": product_scale(*product_multiplier(x, rotation, out_tensor), out_tensor.zero_point),
    }
    kernel = "thimble_rotary_s8"
    if moved:
        kernel = "thimble_rotary_moved_s8"
        fields = {"turned": Record(tuple(fields.values()), tuple(fields)), "means": moved.means}
    in_block = matrices.offset == (Scaled(Index.TIME, rotation.size),) and ctx.in_block(source, out)
    operands: tuple[Argument | View, ...] = (source, matrices, *((moved.row,) if moved else ()), out)
    ctx.call(
        kernel,
        (Address(name), *operands, block_size(in_block)),
        [source, matrices],
        [out],
        [parameters(f"{kernel}_params", name, fields)],
        block=in_block,
    )


def _rope_offset(ctx: Lowering, rope_offset: RopeOffset) -> _RopeOffsetView | None:
    """The means and the offset's row where any are not zero."""
    constant, row = ctx.tensor(rope_offset.means), ctx.tensor(rope_offset.row)
    pairs = row.shape[0]
    means = np.asarray(constant.data, np.int8).reshape(constant.shape)
    cells = rope_offset.table.reshape(len(rope_offset.table), pairs, 4)
    moving = (means != constant.zero_point).any(axis=(1, 2)) & (cells != row.zero_point).any(axis=(0, 2))
    if not moving.any():
        return None
    moved = pairs - int(moving.argmax())
    drift = Constant(f"drift_table_{rope_offset.row}_{moved}", "int8_t", cells[:, -moved:].reshape(-1), weights=True)
    table = ctx.constant(drift)
    values = np.ascontiguousarray(means.transpose(1, 2, 0)).reshape(-1)
    name = ctx.constant(Constant(f"means_{rope_offset.means}", "int8_t", values, weights=True))
    width = 4 * moved
    return _RopeOffsetView(name, View("constant", table.name, 1, width, width, (Scaled(Index.TIME, width),)), moved)


def _lower_s16(ctx: Lowering, op: Op) -> None:
    rotary = _matched(op)
    x, rotation, out_tensor = (ctx.tensor(index) for index in (rotary.x, rotary.rotation, rotary.out))
    multiplier, shift = product_multiplier(x, rotation, out_tensor)
    source, matrices = ctx.contiguous(x.index), ctx.contiguous(rotation.index)
    out = ctx.allocate(out_tensor)
    fields = {
        "heads": x.shape[0],
        "half": x.shape[2],
        "out_multiplier": arithmetic_s16.reduced(multiplier),
        "out_shift": shift,
    }
    name = f"rotary_{out_tensor.index}"
    own = parameters("thimble_rotary_s16_params", name, fields)
    ctx.call("thimble_rotary_s16", (Address(name), source, matrices, out), [source, matrices], [out], [own])


OPERATORS = (
    Operator(_KIND, "INT8", _lower, ("thimble_rotary_s8", "thimble_rotary_moved_s8")),
    Operator(_KIND, "INT16", _lower_s16, ("thimble_rotary_s16",)),
)
