"""MUL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.compiler import arithmetic, arithmetic_s16
from pipeline.compiler.ir.graph import Op, Tensor
from pipeline.compiler.ir.program import Record
from pipeline.compiler.lowering import Lowering, parameters, product_scale
from pipeline.compiler.ops.checks import broadcast_check
from pipeline.compiler.ops.operator import Form, Operator, always
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS", "MulConstants", "mul"]

_MAX_SHIFT = 13  # 255 * 255 * 2^13 stays below 2^30


@dataclass(frozen=True)
class MulConstants:
    """MUL: offsets of the inputs; `out` is (zero point, multiplier, shift)."""

    a_offset: int
    b_offset: int
    out: tuple[int, int, int]
    range: tuple[int, int]

    @property
    def scale(self) -> Record:
        """A thimble_product_scale, if it is one that the fused kernels hold."""
        return product_scale(self.out[1], self.out[2], self.out[0])

    @property
    def fused(self) -> bool:
        """Whether the fused kernels' scales hold these constants: their shift, and no activation."""
        return self.out[2] in arithmetic.FUSED_SHIFTS and self.range == (-128, 127)

    @classmethod
    def prepare(cls, a: Tensor, b: Tensor, out: Tensor, activation: int) -> MulConstants:
        """The real multiplier is the product of the input scales over the output's."""
        return cls(
            -a.zero_point,
            -b.zero_point,
            (out.zero_point, *fp.quantize_multiplier(a.scale * b.scale / out.scale)),
            arithmetic.activation_range(out, activation),
        )


def mul(c: MulConstants, a: fp.Int, b: fp.Int) -> fp.Int:
    """MUL of int8 values."""
    return np.clip(fp.multiply((a + c.a_offset) * (b + c.b_offset), c.out[1], c.out[2]) + c.out[0], *c.range)


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    (a, b), (x, y) = operands, values
    c = MulConstants.prepare(a, b, out, op.activation)
    return None if c.out[2] > _MAX_SHIFT else mul(c, x, y)


def _evaluate_s16(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    (a, b), (x, y) = operands, values
    multiplier, shift = fp.quantize_multiplier(a.scale * b.scale / out.scale)
    limits = arithmetic_s16.activation_range(out, op.activation)
    return None if shift > 0 else np.clip(fp.multiply(x * y, multiplier, shift), *limits)


def _lower(ctx: Lowering, op: Op) -> None:
    a, b, out_tensor = (ctx.tensor(index) for index in (*op.inputs, op.outputs[0]))
    c = MulConstants.prepare(a, b, out_tensor, op.activation)
    if c.out[2] > _MAX_SHIFT:
        raise ctx.unsupported(op, "an output scale far below the product's", "an output that int8 can hold")
    out = ctx.allocate(out_tensor)
    operands, rows, columns = ctx.operands(op, out)
    name = f"product_{out_tensor.index}"
    fields = {
        "a_offset": c.a_offset,
        "b_offset": c.b_offset,
        **dict(zip(("out_zero_point", "out_multiplier", "out_shift"), c.out, strict=True)),
        **dict(zip(("out_min", "out_max"), c.range, strict=True)),
    }
    own = parameters("thimble_mul_s8_params", name, fields)
    ctx.element_call(own, operands, out, (rows, columns))


def _lower_s16(ctx: Lowering, op: Op) -> None:
    a, b, out_tensor = (ctx.tensor(index) for index in (*op.inputs, op.outputs[0]))
    multiplier, shift = fp.quantize_multiplier(a.scale * b.scale / out_tensor.scale)
    if shift > 0:
        raise ctx.unsupported(op, "an output scale below the product's", "an output that int16 can hold")
    out = ctx.allocate(out_tensor)
    operands, rows, columns = ctx.operands(op, out)
    low, high = arithmetic_s16.activation_range(out_tensor, op.activation)
    name = f"product_{out_tensor.index}"
    fields = {"out_multiplier": multiplier, "out_shift": shift, "out_min": low, "out_max": high}
    own = parameters("thimble_mul_s16_params", name, fields)
    ctx.element_call(own, operands, out, (rows, columns))


_FORM = Form(broadcast_check, "MulOptions", (2, 2), version=7, activation=True)
OPERATORS = (
    Operator("MUL", "INT8", _lower, ("thimble_mul_s8",), _evaluate, 2, always, form=_FORM),
    Operator("MUL", "INT16", _lower_s16, ("thimble_mul_s16",), _evaluate_s16, 2, always, form=_FORM),
)
