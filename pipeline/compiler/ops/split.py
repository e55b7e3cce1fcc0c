"""SPLIT: a view of each part."""

from __future__ import annotations

from math import prod

from pipeline.compiler.ir.graph import Op
from pipeline.compiler.ir.program import View
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.operator import Operator

__all__ = ["OPERATORS"]


def _lower(ctx: Lowering, op: Op) -> None:
    axis = ctx.tensor(op.inputs[0]).data
    source = ctx.tensor(op.inputs[1])
    split_axis = 0 if axis is None else int(axis.reshape(-1)[0]) % len(source.shape)
    outer = prod(source.shape[:split_axis])
    view = ctx.view(source.index)
    last = split_axis == len(source.shape) - 1
    if axis is None or (not last and outer != 1):
        raise ctx.unsupported(
            op, f"axis {split_axis} of {source.shape}", "the last axis, or the first that is longer than 1"
        )
    offset = 0
    for index in op.outputs:
        out = ctx.tensor(index)
        stride = view.stride if last else out.columns
        moved = view.moved(offset)
        ctx.views[index] = View(view.space, view.buffer, out.rows, out.columns, stride, moved, view.element)
        offset += out.columns if last else out.size


OPERATORS = tuple(Operator("SPLIT", dtype, _lower) for dtype in ("INT8", "INT16"))
