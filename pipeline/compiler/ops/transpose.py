"""TRANSPOSE that moves axes of length 1 alone: another view of the same values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.checks import Found, constant_integers, one_type_check, operand
from pipeline.compiler.ops.operator import Form, Operator
from pipeline.compiler.ops.reshape import reshape
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]


def _check(graph: Graph, op: Op) -> Found:
    yield from one_type_check(graph, op, [0])
    source, out, order = operand(graph, op, 0), graph.tensors[op.outputs[0]], constant_integers(graph, op, 1)
    if order is None or sorted(order) != list(range(len(source.shape))):
        yield unsupported(
            graph, op, f"an order of axes that is computed, or not one of {list(source.shape)}", "a constant order"
        )
    elif out.shape != tuple(source.shape[axis] for axis in order):
        told = f"an input of shape {list(source.shape)}, the order {list(order)}, and an output of {list(out.shape)}"
        yield unsupported(graph, op, told, "the shape that the order makes")


def _compute(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]) -> list[fp.Int]:
    return [np.transpose(values[0], values[1].reshape(-1).tolist())]


def _lower(ctx: Lowering, op: Op) -> None:
    source, order = ctx.tensor(op.inputs[0]), constant_integers(ctx.graph, op, 1) or ()
    moved = [axis for axis in order if source.shape[axis] != 1]
    if moved != sorted(moved):
        raise ctx.unsupported(op, "axes that change places", "moving axes of length 1")
    reshape(ctx, op)


_FORM = Form(_check, "TransposeOptions", (2, 2), version=7, integers=(1,))
OPERATORS = tuple(Operator("TRANSPOSE", dtype, _lower, form=_FORM, compute=_compute) for dtype in ("INT8", "INT16"))
