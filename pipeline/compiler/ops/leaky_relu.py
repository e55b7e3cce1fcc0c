"""LEAKY_RELU: x, or alpha · x where that is negative."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.compiler.arithmetic import MAX_SHIFT_S8
from pipeline.compiler.arithmetic_s16 import HIGH, LOW
from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering, parameters
from pipeline.compiler.ops.checks import Found, same_shape_check
from pipeline.compiler.ops.operator import Form, Operator, always, by_table
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]

_LARGEST = 1e6
_MAX_SHIFT = 14  # of an int16 value, so that 30 bits hold it


def _check(graph: Graph, op: Op) -> Found:
    yield from same_shape_check(graph, op)
    alpha = op.float_option("alpha", 0.0)
    if alpha < 0:
        yield unsupported(graph, op, "a negative alpha", "an alpha of 0 or more")  # rounded in another way
    elif not alpha <= _LARGEST:
        yield unsupported(graph, op, f"an alpha of {alpha:g}", f"an alpha of at most {_LARGEST:g}")


def _scales(op: Op, tensor: Tensor, out: Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
    """(multiplier, shift) of x, and of x times alpha."""
    alpha = float(np.float32(op.float_option("alpha", 0.0)))
    slope = fp.quantize_multiplier(tensor.scale * alpha / out.scale)
    return fp.quantize_multiplier(tensor.scale / out.scale), slope


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    return _sloped(op, operands[0], out, values[0], MAX_SHIFT_S8, (-128, 127))


def _evaluate_s16(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    return _sloped(op, operands[0], out, values[0], _MAX_SHIFT, (LOW, HIGH))


def _sloped(op: Op, tensor: Tensor, out: Tensor, x: fp.Int, most: int, limits: tuple[int, int]) -> fp.Int | None:
    scale, slope = _scales(op, tensor, out)
    if max(scale[1], slope[1]) > most:
        return None
    centred = x - tensor.zero_point
    y = np.where(centred >= 0, fp.multiply(centred, *scale), fp.multiply(centred, *slope))
    return np.asarray(np.clip(y + out.zero_point, *limits))


def _lower_s16(ctx: Lowering, op: Op) -> None:
    tensor, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    scale, slope = _scales(op, tensor, out_tensor)
    if max(scale[1], slope[1]) > _MAX_SHIFT:
        raise ctx.unsupported(op, "an output scale far below the input's", "an output that int16 can hold")
    out = ctx.allocate(out_tensor)
    operands, rows, columns = ctx.operands(op, out)
    fields = {"multiplier": scale[0], "shift": scale[1], "slope_multiplier": slope[0], "slope_shift": slope[1]}
    own = parameters("thimble_leaky_relu_s16_params", f"leaky_relu_{out_tensor.index}", fields)
    ctx.element_call(own, operands, out, (rows, columns))


_FORM = Form(_check, "LeakyReluOptions", version=2, needs_options=True)
OPERATORS = (
    Operator("LEAKY_RELU", "INT8", by_table, (), _evaluate, 1, always, form=_FORM),
    Operator("LEAKY_RELU", "INT16", _lower_s16, ("thimble_leaky_relu_s16",), _evaluate_s16, 1, always, form=_FORM),
)
