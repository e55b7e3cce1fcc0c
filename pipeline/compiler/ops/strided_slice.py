"""STRIDED_SLICE of neighbours along one axis: a view of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.program import View
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.checks import Found, constant_integers, one_type_check, operand
from pipeline.compiler.ops.operator import Form, Operator
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]


class _Slice(NamedTuple):
    """`size` elements from `start` on along the axis; all of the others'."""

    axis: int
    start: int
    size: int


def _check(graph: Graph, op: Op) -> Found:
    yield from one_type_check(graph, op, [0])
    source, out = operand(graph, op, 0), graph.tensors[op.outputs[0]]
    bounds = [constant_integers(graph, op, position) for position in (1, 2, 3)]
    masks = any(op.int_option(name) for name in ("ellipsisMask", "newAxisMask")) or op.options.get("offset")
    if masks or any(values is None or len(values) != len(source.shape) for values in bounds):
        told = "bounds that are computed or not one for each axis, or new axes"
        yield unsupported(graph, op, told, "constant bounds of each axis")
        return
    found = _slice_of(graph, op)
    if found is None:
        yield unsupported(graph, op, "a part along several axes, or with steps", "neighbours along one axis")
        return
    axis, start, size = found
    whole = (*source.shape[:axis], size, *source.shape[axis + 1 :])
    shrunk = op.int_option("shrinkAxisMask")
    shape = tuple(length for number, length in enumerate(whole) if not shrunk >> number & 1)
    inside = 0 <= start < start + size <= source.shape[axis]
    if not inside or out.shape != shape or prod(whole) != out.size:
        told = f"elements {start} to {start + size} of axis {axis} of {list(source.shape)}, for {list(out.shape)}"
        yield unsupported(graph, op, told, "a part of the input, of the output's shape")
    elif axis == len(source.shape) - 1:
        if shrunk >> axis & 1 and source.rows != 1:
            yield unsupported(graph, op, "one column of several rows", "an axis that stays: x[..., :1]")
    elif prod(source.shape[:axis]) != 1:
        told = f"axis {axis} of {source.shape}"
        yield unsupported(graph, op, told, "the last axis, or the first that is longer than 1")


def _slice_of(graph: Graph, op: Op) -> _Slice | None:
    """What is taken, where the bounds are constants; None where it is more than a part along one axis."""
    shape = operand(graph, op, 0).shape
    begins, ends, steps = (constant_integers(graph, op, position) or () for position in (1, 2, 3))
    begin_mask, end_mask, shrink = (op.int_option(name) for name in ("beginMask", "endMask", "shrinkAxisMask"))
    found = _Slice(len(shape) - 1, 0, shape[-1]) if shape else None
    for axis, length in enumerate(shape):
        start = 0 if begin_mask >> axis & 1 else _clamped(begins[axis], length)
        end = length if end_mask >> axis & 1 else _clamped(ends[axis], length)
        if shrink >> axis & 1:
            start = begins[axis] + length if begins[axis] < 0 else begins[axis]
            end = start + 1
        if steps[axis] != 1:
            return None
        if (start, end) != (0, length):
            if found is not None and found[1:] != (0, shape[found.axis]):
                return None
            found = _Slice(axis, start, end - start)
    return found


def _clamped(bound: int, length: int) -> int:
    return min(max(bound + length if bound < 0 else bound, 0), length)


def _compute(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]) -> list[fp.Int]:
    source, begins, ends, steps = values
    begin_mask, end_mask, shrink = (op.int_option(name) for name in ("beginMask", "endMask", "shrinkAxisMask"))
    parts: list[slice | int] = []
    for axis in range(source.ndim):
        begin = None if begin_mask >> axis & 1 else int(begins[axis])
        end = None if end_mask >> axis & 1 else int(ends[axis])
        parts.append(int(begins[axis]) if shrink >> axis & 1 else slice(begin, end, int(steps[axis])))
    return [np.asarray(source[tuple(parts)])]


def _lower(ctx: Lowering, op: Op) -> None:
    source, out = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    found = _slice_of(ctx.graph, op)
    assert found is not None, "checked after reading"
    last = found.axis == len(source.shape) - 1
    view = ctx.view(source.index) if last else ctx.contiguous(source.index)
    offset = found.start if last else found.start * prod(source.shape[found.axis + 1 :])
    stride = view.stride if last else out.columns
    moved = view.moved(offset)
    ctx.views[out.index] = View(view.space, view.buffer, out.rows, out.columns, stride, moved, view.element)


_FORM = Form(_check, "StridedSliceOptions", (4, 4), version=8, integers=(1, 2, 3))
OPERATORS = tuple(Operator("STRIDED_SLICE", dtype, _lower, form=_FORM, compute=_compute) for dtype in ("INT8", "INT16"))
