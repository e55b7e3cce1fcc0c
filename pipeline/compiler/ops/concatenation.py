"""CONCATENATION: what its inputs' makers have not written in place is copied."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from math import prod

import numpy as np

from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.program import View
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.checks import Found, one_type_check
from pipeline.compiler.ops.operator import Form, Operator
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]


_MOST = 64  # inputs


def _check(graph: Graph, op: Op) -> Found:
    yield from one_type_check(graph, op)
    parts, out = [graph.tensors[index] for index in op.inputs], graph.tensors[op.outputs[0]]
    if any(tensor.scale != out.scale or tensor.zero_point != out.zero_point for tensor in parts):
        yield unsupported(graph, op, "inputs of different scales", "inputs quantized like the output")
    axis, rank = op.int_option("axis"), len(out.shape)
    if not -rank <= axis < rank:
        yield unsupported(graph, op, f"axis {axis} of {list(out.shape)}", "an axis of the output")
        return
    axis %= rank
    alike = all(
        len(tensor.shape) == rank and _others(tensor.shape, axis) == _others(out.shape, axis) for tensor in parts
    )
    if not alike or sum(tensor.shape[axis] for tensor in parts) != out.shape[axis]:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in parts)
        told = f"inputs of shapes {shapes} along axis {axis}, and an output of {list(out.shape)}"
        yield unsupported(graph, op, told, "shapes that make the output's")


def _others(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _compute(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]) -> list[fp.Int]:
    return [np.concatenate(values, axis=op.int_option("axis"))]


def _lower(ctx: Lowering, op: Op) -> None:
    out_tensor = ctx.tensor(op.outputs[0])
    out = ctx.views.get(out_tensor.index) or ctx.allocate(out_tensor)
    axis = op.int_option("axis") % max(len(out_tensor.shape), 1)
    outer = prod(out_tensor.shape[:axis])
    width, offset = out_tensor.size // outer, 0
    for tensor in map(ctx.tensor, op.inputs):
        part = tensor.size // outer
        if ctx.targets.get(tensor.index, (None, 0))[0] is not out_tensor:
            view = ctx.contiguous(tensor.index)
            offsets = (offset,) if offset else ()
            target = View(out.space, out.buffer, outer, part, width, offsets, out.element)
            ctx.copy(dataclasses.replace(view, rows=outer, columns=part, stride=part), target)
        else:
            ctx.view(tensor.index)  # what is computed on first use, and that nothing else asked for
        offset += part
    assert offset == width


_FORM = Form(_check, "ConcatenationOptions", (1, _MOST), version=5)
OPERATORS = tuple(
    Operator("CONCATENATION", dtype, _lower, ("thimble_copy_s8",), form=_FORM, compute=_compute)
    for dtype in ("INT8", "INT16")
)
