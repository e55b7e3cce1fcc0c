"""RELU and RELU6."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.compiler import arithmetic, arithmetic_s16
from pipeline.compiler.arithmetic import MAX_SHIFT_S8, RELU, RELU6
from pipeline.compiler.arithmetic_s16 import HIGH
from pipeline.compiler.ir.graph import Op, Tensor
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.checks import same_shape_check
from pipeline.compiler.ops.operator import Form, Operator, always, by_table
from pipeline.compiler.ops.scale_s16 import scale_s16, scaled_s16
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    (tensor,), (x,) = operands, values
    if op.kind == "RELU6":  # clamps and does not rescale
        return np.clip(x, *arithmetic.activation_range(tensor, RELU6))
    multiplier, shift = fp.quantize_multiplier(_ratio(tensor, out))
    if shift > MAX_SHIFT_S8:
        return None
    y = fp.multiply(x - tensor.zero_point, multiplier, shift) + out.zero_point
    return np.clip(y, *arithmetic.activation_range(out, RELU))


def _evaluate_s16(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    ratio, limits = _scaling_s16(op, operands[0], out)
    return scaled_s16(values[0], ratio, limits)


def _scaling_s16(op: Op, tensor: Tensor, out: Tensor) -> tuple[float, tuple[int, int]]:
    """The ratio of the scales, and the range."""
    if op.kind == "RELU6":
        return 1.0, arithmetic_s16.activation_range(tensor, RELU6)
    return _ratio(tensor, out), (0, HIGH)


def _ratio(tensor: Tensor, out: Tensor) -> float:
    """A quotient of floats, not of doubles."""
    return float(np.float32(tensor.scales[0]) / np.float32(out.scales[0]))


def _lower_s16(ctx: Lowering, op: Op) -> None:
    scale_s16(ctx, op, *_scaling_s16(op, ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])))


_FORM = Form(same_shape_check, version=3)
OPERATORS = tuple(
    operator
    for kind in ("RELU", "RELU6")
    for operator in (
        Operator(kind, "INT8", by_table, (), _evaluate, 1, always, form=_FORM),
        Operator(kind, "INT16", _lower_s16, ("thimble_scale_s16",), _evaluate_s16, 1, always, form=_FORM),
    )
)
