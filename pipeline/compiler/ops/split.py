"""SPLIT: a view of each part."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.program import View
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.checks import Found, constant_integers, one_type_check, operand
from pipeline.compiler.ops.operator import Form, Operator
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]

_MOST = 64  # parts


def _check(graph: Graph, op: Op) -> Found:
    yield from one_type_check(graph, op, [1])
    axes, source = constant_integers(graph, op, 0), operand(graph, op, 1)
    rank, parts = len(source.shape), [graph.tensors[index].shape for index in op.outputs]
    if axes is None or len(axes) != 1 or not -rank <= axes[0] < rank:
        yield unsupported(graph, op, "an axis that is computed, or that there is not", "a constant axis")
        return
    axis = axes[0] % rank
    size = source.shape[axis] // len(parts)
    whole = (*source.shape[:axis], size, *source.shape[axis + 1 :])
    if op.int_option("numSplits") != len(parts) or size * len(parts) != source.shape[axis] or set(parts) != {whole}:
        told = f"axis {axis} of {list(source.shape)} in {op.int_option('numSplits')} parts, and {len(parts)} outputs"
        yield unsupported(graph, op, told, "equal parts, and an output for each")
    elif axis != rank - 1 and prod(source.shape[:axis]) != 1:
        yield unsupported(
            graph,
            op,
            f"axis {axis} of {source.shape}",
            "the last axis, or the first that is longer than 1",
        )


def _compute(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]) -> list[fp.Int]:
    return np.split(values[1], len(outputs), axis=int(values[0].reshape(-1)[0]))


def _lower(ctx: Lowering, op: Op) -> None:
    source = ctx.tensor(op.inputs[1])
    (axis,) = constant_integers(ctx.graph, op, 0) or (0,)
    last = axis % len(source.shape) == len(source.shape) - 1
    view = ctx.view(source.index) if last else ctx.contiguous(source.index)
    offset = 0
    for index in op.outputs:
        out = ctx.tensor(index)
        stride = view.stride if last else out.columns
        moved = view.moved(offset)
        ctx.views[index] = View(view.space, view.buffer, out.rows, out.columns, stride, moved, view.element)
        offset += out.columns if last else out.size


_FORM = Form(_check, "SplitOptions", (2, 2), (1, _MOST), version=4, integers=(0,))
OPERATORS = tuple(Operator("SPLIT", dtype, _lower, form=_FORM, compute=_compute) for dtype in ("INT8", "INT16"))
