"""RESHAPE, EXPAND_DIMS and SQUEEZE: another view of the same values."""

from __future__ import annotations

import dataclasses

from pipeline.compiler.ir.graph import RESHAPE_OPS, Op
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.operator import Operator

__all__ = ["OPERATORS", "reshape"]


def reshape(ctx: Lowering, op: Op) -> None:
    """Gives the first input's values the output's shape."""
    out = ctx.tensor(op.outputs[0])
    view = ctx.contiguous(op.inputs[0])
    ctx.views[out.index] = dataclasses.replace(view, rows=out.rows, columns=out.columns, stride=out.columns)


OPERATORS = tuple(Operator(kind, dtype, reshape) for kind in RESHAPE_OPS for dtype in ("INT8", "INT16"))
