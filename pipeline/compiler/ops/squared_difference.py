"""SQUARED_DIFFERENCE: (a − b)²."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.compiler.arithmetic_s16 import HIGH, LOW
from pipeline.compiler.ir.graph import Op, Tensor
from pipeline.compiler.lowering import Lowering, parameters
from pipeline.compiler.ops.checks import broadcast_check
from pipeline.compiler.ops.operator import Form, Operator, always
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]


@dataclass(frozen=True)
class _Constants:
    """(multiplier, shift) of both operands, to twice the larger scale, and of the output; `left`: the shift of both
    operands before, so that int8 keeps its bits."""

    a: tuple[int, int]
    b: tuple[int, int]
    out: tuple[int, int]

    @classmethod
    def prepare(cls, a: Tensor, b: Tensor, out: Tensor, left: int) -> _Constants:
        twice = 2.0 * max(a.scale, b.scale)
        return cls(
            fp.quantize_multiplier(a.scale / twice),
            fp.quantize_multiplier(b.scale / twice),
            fp.quantize_multiplier(twice * twice / ((1 << 2 * left) * out.scale)),
        )

    @property
    def fields(self) -> dict[str, int]:
        return {
            **dict(zip(("a_multiplier", "a_shift"), self.a, strict=True)),
            **dict(zip(("b_multiplier", "b_shift"), self.b, strict=True)),
            **dict(zip(("out_multiplier", "out_shift"), self.out, strict=True)),
        }


_LEFT = 7  # int8: 255² · 2^14 fits 32 bits


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    return _squares(operands, out, values, _LEFT, (-128, 127))


def _evaluate_s16(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    return _squares(operands, out, values, 0, (LOW, HIGH))


def _squares(
    operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int], shift: int, limits: tuple[int, int]
) -> fp.Int | None:
    (a, b), (x, y) = operands, values
    c = _Constants.prepare(a, b, out, shift)
    if c.out[1] > 0:
        return None
    left = fp.multiply((x - a.zero_point) << shift, *c.a)
    right = fp.multiply((y - b.zero_point) << shift, *c.b)
    return np.clip(fp.multiply((left - right) ** 2, *c.out) + out.zero_point, *limits)


def _lower(ctx: Lowering, op: Op) -> None:
    a, b, out_tensor = (ctx.tensor(index) for index in (*op.inputs, op.outputs[0]))
    c = _Constants.prepare(a, b, out_tensor, _LEFT)
    zeros = {"a_offset": -a.zero_point, "b_offset": -b.zero_point, "out_zero_point": out_tensor.zero_point}
    _call(ctx, op, "thimble_squared_difference_s8_params", c, zeros)


def _lower_s16(ctx: Lowering, op: Op) -> None:
    a, b, out_tensor = (ctx.tensor(index) for index in (*op.inputs, op.outputs[0]))
    _call(ctx, op, "thimble_squared_difference_s16_params", _Constants.prepare(a, b, out_tensor, 0), {})


def _call(ctx: Lowering, op: Op, ctype: str, c: _Constants, zeros: dict[str, int]) -> None:
    if c.out[1] > 0:
        raise ctx.unsupported(op, "an output scale far below the square's", "an output that the type can hold")
    out_tensor = ctx.tensor(op.outputs[0])
    out = ctx.allocate(out_tensor)
    operands, rows, columns = ctx.operands(op, out)
    own = parameters(ctype, f"squared_difference_{out_tensor.index}", {**zeros, **c.fields})
    ctx.element_call(own, operands, out, (rows, columns))


_FORM = Form(broadcast_check, "SquaredDifferenceOptions", (2, 2), version=2)
OPERATORS = (
    Operator(
        "SQUARED_DIFFERENCE", "INT8", _lower, ("thimble_squared_difference_s8",), _evaluate, 2, always, form=_FORM
    ),
    Operator(
        "SQUARED_DIFFERENCE",
        "INT16",
        _lower_s16,
        ("thimble_squared_difference_s16",),
        _evaluate_s16,
        2,
        always,
        form=_FORM,
    ),
)
