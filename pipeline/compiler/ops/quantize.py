"""QUANTIZE: to another scale, or between int8 and int16."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.compiler.arithmetic import MAX_SHIFT_S8
from pipeline.compiler.arithmetic_s16 import HIGH, LOW
from pipeline.compiler.ir.graph import Graph, Op, Tensor, is_int16
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.checks import Found, operand
from pipeline.compiler.ops.operator import Form, Operator, always, by_table
from pipeline.compiler.ops.scale_s16 import scale_s16
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS", "quantize_s16"]

_MAX_SHIFT_S16 = 14  # of an int16 value, so that 30 bits hold it


def _check(graph: Graph, op: Op) -> Found:
    tensor, out = operand(graph, op, 0), graph.tensors[op.outputs[0]]
    if tensor.shape != out.shape:
        told = f"an input of shape {list(tensor.shape)} and an output of {list(out.shape)}"
        yield unsupported(graph, op, told, "equal shapes")


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    (tensor,), (x,) = operands, values
    multiplier, shift = fp.quantize_multiplier(tensor.scale / out.scale)
    if shift > MAX_SHIFT_S8:
        return None
    return np.clip(fp.multiply(x - tensor.zero_point, multiplier, shift) + out.zero_point, -128, 127)


def _evaluate_s16(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    """To or from int16."""
    (tensor,), (x,) = operands, values
    multiplier, shift = fp.quantize_multiplier(tensor.scale / out.scale)
    if shift > (_MAX_SHIFT_S16 if tensor.dtype == "INT16" else MAX_SHIFT_S8):
        return None
    if out.dtype == "INT16":
        return quantize_s16(tensor, out, x)
    return np.clip(fp.multiply(x, multiplier, shift) + out.zero_point, -128, 127)


def quantize_s16(tensor: Tensor, out: Tensor, x: fp.Int) -> fp.Int:
    """QUANTIZE to int16 of int8 or int16 values."""
    multiplier, shift = fp.quantize_multiplier(tensor.scale / out.scale)
    return np.clip(fp.multiply(x - tensor.zero_point, multiplier, shift), LOW, HIGH)


def _lower_s16(ctx: Lowering, op: Op) -> None:
    tensor, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    if tensor.dtype == out_tensor.dtype:
        return scale_s16(ctx, op, tensor.scale / out_tensor.scale, (LOW, HIGH))
    wide, narrow = (tensor, out_tensor) if tensor.dtype == "INT16" else (out_tensor, tensor)
    multiplier, shift = fp.quantize_multiplier(tensor.scale / out_tensor.scale)
    if shift > (_MAX_SHIFT_S16 if tensor is wide else MAX_SHIFT_S8):
        raise ctx.unsupported(op, "an output scale far below the input's", "an output that the type can hold")
    x = ctx.contiguous(tensor.index)
    out = ctx.allocate(out_tensor)
    kernel = "thimble_quantize_s16_s8" if tensor is wide else "thimble_quantize_s8_s16"
    return ctx.call(kernel, (x, narrow.zero_point, multiplier, shift, out, tensor.size), [x], [out])


def _writes_rows_s16(graph: Graph, op: Op) -> bool:
    return is_int16(*(graph.tensors[index] for index in (op.inputs[0], op.outputs[0])))


_FORM = Form(_check, "QuantizeOptions", version=4)
OPERATORS = (
    Operator("QUANTIZE", "INT8", by_table, (), _evaluate, 1, always, form=_FORM),
    Operator(
        "QUANTIZE",
        "INT16",
        _lower_s16,
        ("thimble_scale_s16", "thimble_quantize_s16_s8", "thimble_quantize_s8_s16"),
        _evaluate_s16,
        1,
        _writes_rows_s16,
        form=_FORM,
    ),
)
