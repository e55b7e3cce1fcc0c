"""LEAKY_RELU: x, or alpha · x where that is negative."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.compiler.ir.graph import Op, Tensor
from pipeline.compiler.lowering import Lowering, parameters
from pipeline.compiler.ops.checks import require_int16
from pipeline.compiler.ops.operator import Operator, always, by_table
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]

_MAX_SHIFT = 14  # of an int16 value, so that 30 bits hold it


def _scales(op: Op, tensor: Tensor, out: Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
    """(multiplier, shift) of x, and of x times alpha."""
    alpha = float(np.float32(op.float_option("alpha", 0.0)))
    slope = fp.quantize_multiplier(tensor.scale * alpha / out.scale)
    return fp.quantize_multiplier(tensor.scale / out.scale), slope


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    (tensor,), (x,) = operands, values
    scale, slope = _scales(op, tensor, out)
    if max(scale[1], slope[1]) > 22 or slope[0] < 0:
        return None
    centred = x - tensor.zero_point
    y = np.where(centred >= 0, fp.multiply(centred, *scale), fp.multiply(centred, *slope))
    return np.asarray(np.clip(y + out.zero_point, -128, 127))


def _require_slope(ctx: Lowering, op: Op) -> None:
    """A negative one would be rounded in another way."""
    if op.float_option("alpha", 0.0) < 0:
        raise ctx.unsupported(op, "a negative alpha", "an alpha of 0 or more")


def _lower(ctx: Lowering, op: Op) -> None:
    _require_slope(ctx, op)
    by_table(ctx, op)


def _lower_s16(ctx: Lowering, op: Op) -> None:
    tensor, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    require_int16(ctx, op, tensor, out_tensor)
    _require_slope(ctx, op)
    scale, slope = _scales(op, tensor, out_tensor)
    if max(scale[1], slope[1]) > _MAX_SHIFT:
        raise ctx.unsupported(op, "an output scale far below the input's", "an output that int16 can hold")
    out = ctx.allocate(out_tensor)
    operands, rows, columns = ctx.operands(op, out)
    fields = {"multiplier": scale[0], "shift": scale[1], "slope_multiplier": slope[0], "slope_shift": slope[1]}
    own = parameters("thimble_leaky_relu_s16_params", f"leaky_relu_{out_tensor.index}", fields)
    ctx.element_call(own, operands, out, (rows, columns))


OPERATORS = (
    Operator("LEAKY_RELU", "INT8", _lower, (), _evaluate, 1, always),
    Operator("LEAKY_RELU", "INT16", _lower_s16, ("thimble_leaky_relu_s16",), writes_rows=always),
)
