"""MEAN over the last axis, or the last ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.compiler.arithmetic_s16 import HIGH, LOW
from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.program import Address
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering, parameters
from pipeline.compiler.ops.checks import Found, constant_integers, one_type_check, operand
from pipeline.compiler.ops.operator import Form, Operator
from pipeline.compiler.product import LARGEST_INPUT
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS", "fold_count"]


def fold_count(columns: int, multiplier: int, shift: int) -> tuple[int, int]:
    """(multiplier, shift) of a mean, 1 / columns included, as TensorFlow Lite Micro folds it in."""
    steps = min(columns.bit_length() - 1, 32, 31 + shift)
    return (multiplier << steps) // columns, shift - steps


def _check(graph: Graph, op: Op) -> Found:
    yield from one_type_check(graph, op, [0])
    source, axes, out = operand(graph, op, 0), constant_integers(graph, op, 1), graph.tensors[op.outputs[0]]
    rank = len(source.shape)
    if not axes or not rank or not all(-rank <= axis < rank for axis in axes):
        yield unsupported(graph, op, "axes that are computed, or that there are not", "constant axes of the input")
        return
    over = {axis % rank for axis in axes}
    long = [axis for axis, size in enumerate(source.shape) if size > 1]
    reduced = [axis for axis in long if axis in over]
    # Over axes 1 and 2 of four TensorFlow Lite Micro has another arithmetic.
    ends = long[len(long) - len(reduced) :] == reduced and len(over) == len(axes)
    if not ends or (rank == 4 and over == {1, 2}):
        yield unsupported(graph, op, "axes other than the last", "the mean over the last axis, or the last ones")
        return
    kept = tuple(1 if axis in over else size for axis, size in enumerate(source.shape))
    if out.shape not in (kept, tuple(size for axis, size in enumerate(source.shape) if axis not in over)):
        told = f"an input of shape {list(source.shape)} and an output of {list(out.shape)}"
        yield unsupported(graph, op, told, "one value a row")


def _compute(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]) -> list[fp.Int]:
    source, (out,) = inputs[0], outputs
    columns = source.size // out.size
    sums = (values[0].reshape(out.size, columns) - source.zero_point).sum(axis=1)
    scale = fold_count(columns, *fp.quantize_multiplier(source.scale / out.scale))
    limits = (LOW, HIGH) if out.dtype == "INT16" else (-128, 127)
    return [np.clip(fp.multiply(sums, *scale) + out.zero_point, *limits)]


def _lower(ctx: Lowering, op: Op) -> None:
    tensor, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    x = ctx.contiguous(tensor.index)
    out = ctx.allocate(out_tensor)
    rows, columns = out_tensor.size, tensor.size // out_tensor.size
    multiplier, shift = fp.quantize_multiplier(tensor.scale / out_tensor.scale)
    ctx.check_reach(op, LARGEST_INPUT * columns, shift)
    multiplier, shift = fold_count(columns, multiplier, shift)
    name = f"mean_{out_tensor.index}"
    fields = {
        "in_zero_point": tensor.zero_point,
        "out_zero_point": out_tensor.zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }
    own = parameters("thimble_mean_s8_params", name, fields)
    ctx.call("thimble_mean_s8", (Address(name), x, out, rows, columns), [x], [out], [own], kind="norm")


def _lower_s16(ctx: Lowering, op: Op) -> None:
    tensor, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    rows, columns = out_tensor.size, tensor.size // out_tensor.size
    if columns > 32768:
        raise ctx.unsupported(op, f"{columns} columns", "at most 32,768")
    multiplier, shift = fp.quantize_multiplier(tensor.scale / out_tensor.scale)
    ctx.check_reach(op, 0, shift)
    x = ctx.contiguous(tensor.index)
    out = ctx.allocate(out_tensor)
    multiplier, shift = fold_count(columns, multiplier, shift)
    if shift > 0 and columns * 32768 << shift >= 1 << 31:
        raise ctx.unsupported(op, "an output scale far below the input's", "an output that int16 can hold")
    ctx.call("thimble_mean_s16", (multiplier, shift, x, out, rows, columns), [x], [out], kind="norm")


_FORM = Form(_check, "ReducerOptions", (2, 2), version=3, integers=(1,))
OPERATORS = (
    Operator("MEAN", "INT8", _lower, ("thimble_mean_s8",), form=_FORM, compute=_compute),
    Operator("MEAN", "INT16", _lower_s16, ("thimble_mean_s16",), form=_FORM, compute=_compute),
)
