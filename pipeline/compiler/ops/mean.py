"""MEAN over the last axis."""

from __future__ import annotations

from pipeline.compiler.ir.graph import Op
from pipeline.compiler.ir.program import Address
from pipeline.compiler.lowering import Lowering, parameters
from pipeline.compiler.ops.checks import require_int16, require_last_axis
from pipeline.compiler.ops.operator import Operator
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS", "fold_count"]


def fold_count(columns: int, multiplier: int, shift: int) -> tuple[int, int]:
    """(multiplier, shift) of a mean, 1 / columns included, as TensorFlow Lite Micro folds it in."""
    steps = min(columns.bit_length() - 1, 32, 31 + shift)
    return (multiplier << steps) // columns, shift - steps


def _lower(ctx: Lowering, op: Op) -> None:
    tensor, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    require_last_axis(ctx, op)
    x = ctx.contiguous(tensor.index)
    out = ctx.allocate(out_tensor)
    multiplier, shift = fp.quantize_multiplier(tensor.scale / out_tensor.scale)
    ctx.check_shift(op, shift)
    multiplier, shift = fold_count(tensor.columns, multiplier, shift)
    name = f"mean_{out_tensor.index}"
    fields = {
        "in_zero_point": tensor.zero_point,
        "out_zero_point": out_tensor.zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }
    own = parameters("thimble_mean_s8_params", name, fields)
    ctx.call("thimble_mean_s8", (Address(name), x, out, tensor.rows, tensor.columns), [x], [out], [own], kind="norm")


def _lower_s16(ctx: Lowering, op: Op) -> None:
    tensor, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    require_int16(ctx, op, tensor, out_tensor)
    require_last_axis(ctx, op)
    if tensor.columns > 32768:
        raise ctx.unsupported(op, f"{tensor.columns} columns", "at most 32,768")
    multiplier, shift = fp.quantize_multiplier(tensor.scale / out_tensor.scale)
    ctx.check_shift(op, shift)
    x = ctx.contiguous(tensor.index)
    out = ctx.allocate(out_tensor)
    multiplier, shift = fold_count(tensor.columns, multiplier, shift)
    if shift > 0 and tensor.columns * 32768 << shift >= 1 << 31:
        raise ctx.unsupported(op, "an output scale far below the input's", "an output that int16 can hold")
    ctx.call("thimble_mean_s16", (multiplier, shift, x, out, tensor.rows, tensor.columns), [x], [out], kind="norm")


OPERATORS = (
    Operator("MEAN", "INT8", _lower, ("thimble_mean_s8",)),
    Operator("MEAN", "INT16", _lower_s16, ("thimble_mean_s16",)),
)
