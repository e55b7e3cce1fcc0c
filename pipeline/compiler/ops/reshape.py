"""RESHAPE, EXPAND_DIMS and SQUEEZE: another view of the same values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from math import prod

from pipeline.compiler.ir.graph import RESHAPE_OPS, Graph, Op, Tensor
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.checks import Found, constant_integers, operand, same_size_check
from pipeline.compiler.ops.operator import Form, Operator
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS", "reshape"]


def _check(graph: Graph, op: Op) -> Found:
    yield from same_size_check(graph, op)
    source, out = operand(graph, op, 0), graph.tensors[op.outputs[0]]
    if op.kind == "RESHAPE":
        yield from _shape_check(graph, op)
    elif [size for size in source.shape if size != 1] != [size for size in out.shape if size != 1]:
        told = f"an input of shape {list(source.shape)} and an output of {list(out.shape)}"
        yield unsupported(graph, op, told, "axes of length 1 that are added or left out")


def _shape_check(graph: Graph, op: Op) -> Found:
    out = graph.tensors[op.outputs[0]]
    if len(op.inputs) < 2:
        return
    shape = constant_integers(graph, op, 1)
    if shape is None:
        yield unsupported(graph, op, "a shape that is computed", "a constant one: convert with a fixed batch of 1")
        return
    if shape.count(-1) == 1:
        rest = -prod(shape)
        shape = tuple(out.size // rest if size == -1 and rest > 0 else size for size in shape)
    if shape != out.shape:
        yield unsupported(graph, op, f"a shape of {list(shape)} for an output of {list(out.shape)}", "equal ones")


def _compute(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]) -> list[fp.Int]:
    return [values[0]]


def reshape(ctx: Lowering, op: Op) -> None:
    """Gives the first input's values the output's shape."""
    out = ctx.tensor(op.outputs[0])
    view = ctx.contiguous(op.inputs[0])
    ctx.views[out.index] = dataclasses.replace(view, rows=out.rows, columns=out.columns, stride=out.columns)


_FORMS = {
    "RESHAPE": Form(_check, "ReshapeOptions", (1, 2), version=2, integers=(1,)),
    "EXPAND_DIMS": Form(_check, "ExpandDimsOptions", (1, 2), version=2, integers=(1,)),
    "SQUEEZE": Form(_check, "SqueezeOptions", version=3),
}
OPERATORS = tuple(
    Operator(kind, dtype, reshape, form=_FORMS[kind], compute=_compute)
    for kind in RESHAPE_OPS
    for dtype in ("INT8", "INT16")
)
