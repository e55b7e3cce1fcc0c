"""TRANSPOSE that moves axes of length 1 alone: another view of the same values."""

from __future__ import annotations

from pipeline.compiler.ir.graph import Op
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.operator import Operator
from pipeline.compiler.ops.reshape import reshape

__all__ = ["OPERATORS"]


def _lower(ctx: Lowering, op: Op) -> None:
    source = ctx.tensor(op.inputs[0])
    permutation = ctx.tensor(op.inputs[1]).data
    axes = [] if permutation is None else [int(axis) for axis in permutation.reshape(-1)]
    moved = [axis for axis in axes if source.shape[axis] != 1]
    if permutation is None or moved != sorted(moved):
        raise ctx.unsupported(op, "axes that change places", "moving axes of length 1")
    reshape(ctx, op)


OPERATORS = tuple(Operator("TRANSPOSE", dtype, _lower) for dtype in ("INT8", "INT16"))
