"""ADD and SUB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.compiler import arithmetic, arithmetic_s16
from pipeline.compiler.arithmetic_s16 import HIGH, LOW
from pipeline.compiler.ir.graph import Op, Tensor
from pipeline.compiler.ir.program import Address, Record, Value
from pipeline.compiler.lowering import Lowering, parameters, product_scale
from pipeline.compiler.ops.checks import broadcast_check
from pipeline.compiler.ops.operator import Form, Operator, always
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS", "AddConstants", "AddConstantsS16", "add", "add_s16"]


@dataclass(frozen=True)
class AddConstants:
    """ADD or SUB; `a` and `b` are (offset, multiplier, shift), `out` is (zero point, multiplier, shift)."""

    a: tuple[int, int, int]
    b: tuple[int, int, int]
    b_sign: int
    out: tuple[int, int, int]
    range: tuple[int, int]

    @property
    def swapped(self) -> bool:
        """Whether b has the larger scale: that one's multiplier is exactly 1/2."""
        return self.a[1:] != (1 << 30, 0)

    @property
    def scale(self) -> Record:
        """A thimble_sum_scale; x is the operand of the larger scale."""
        (x_offset, _, _), (y_offset, y_multiplier, y_shift) = (self.b, self.a) if self.swapped else (self.a, self.b)
        x_sign, y_sign = (self.b_sign, 1) if self.swapped else (1, self.b_sign)
        equal = y_shift == 0  # both multipliers are 1/2 then, and the shift of 1 is made up for on the left
        y_factor, y_right = (1 << 22, 1) if equal else (1 << 21, -y_shift)
        numbers = (y_factor, y_offset * y_factor, y_multiplier, y_right - 1, y_sign)
        out = product_scale(self.out[1], self.out[2], self.out[0])
        return Record((*numbers, x_offset * x_sign << 20, x_sign << 20, out))

    @classmethod
    def prepare(cls, a: Tensor, b: Tensor, out: Tensor, activation: int, b_sign: int) -> AddConstants:
        """Rescales both inputs to twice the larger scale, shifted left by 20."""
        twice = 2.0 * max(a.scale, b.scale)
        return cls(
            (-a.zero_point, *fp.quantize_multiplier(a.scale / twice)),
            (-b.zero_point, *fp.quantize_multiplier(b.scale / twice)),
            b_sign,
            (out.zero_point, *fp.quantize_multiplier(twice / ((1 << 20) * out.scale))),
            arithmetic.activation_range(out, activation),
        )


def add(c: AddConstants, a: fp.Int, b: fp.Int) -> fp.Int:
    """ADD or SUB of int8 values."""
    left = fp.multiply((a + c.a[0]) << 20, c.a[1], c.a[2])
    right = fp.multiply((b + c.b[0]) << 20, c.b[1], c.b[2])
    return np.clip(fp.multiply(left + c.b_sign * right, c.out[1], c.out[2]) + c.out[0], *c.range)


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    (a, b), (x, y) = operands, values
    c = AddConstants.prepare(a, b, out, op.activation, _sign(op))
    return None if c.out[2] >= 0 else add(c, x, y)


def _evaluate_s16(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    (a, b), (x, y) = operands, values
    c = AddConstantsS16.prepare(a, b, out, op.activation, _sign(op))
    return None if c.out[1] >= 0 else add_s16(c, x, y)


def _sign(op: Op) -> int:
    return 1 if op.kind == "ADD" else -1


def _name(op: Op) -> str:
    return f"{'sum' if op.kind == 'ADD' else 'difference'}_{op.outputs[0]}"


def _lower(ctx: Lowering, op: Op) -> None:
    a, b, out_tensor = (ctx.tensor(index) for index in (*op.inputs, op.outputs[0]))
    c = AddConstants.prepare(a, b, out_tensor, op.activation, _sign(op))
    if c.out[2] >= 0:
        raise ctx.unsupported(op, "an output scale far below the inputs'", "an output that int8 can hold")
    out = ctx.allocate(out_tensor)
    operands, rows, columns = ctx.operands(op, out)
    if c.swapped:
        operands = operands[::-1]
    name, views = _name(op), [operand.view for operand in operands]
    flat = rows == 1 and columns == a.size == b.size and columns % 2 == 0
    if flat and c.range == (-128, 127) and c.b_sign == 1 and c.a[1:] != c.b[1:] and c.out[2] >= -22:
        own = parameters("thimble_sum_s8_params", name, {"scale": c.scale, "columns": columns})
        ctx.block_call("thimble_sum_s8", (Address(name), *views, out), views, out, [own])
        return
    fields: dict[str, Value] = {"scale": c.scale, "out_min": c.range[0], "out_max": c.range[1]}
    own = parameters("thimble_add_s8_params", name, fields)
    ctx.element_call(own, operands, out, (rows, columns))


@dataclass(frozen=True)
class AddConstantsS16:
    """ADD or SUB; `a`, `b` and `out` are (multiplier, shift)."""

    a: tuple[int, int]
    b: tuple[int, int]
    b_sign: int
    out: tuple[int, int]
    range: tuple[int, int]

    @classmethod
    def prepare(cls, a: Tensor, b: Tensor, out: Tensor, activation: int, b_sign: int) -> AddConstantsS16:
        """Rescales both inputs to twice the larger scale, shifted left by 15."""
        twice = 2.0 * max(a.scale, b.scale)
        return cls(
            fp.quantize_multiplier(a.scale / twice),
            fp.quantize_multiplier(b.scale / twice),
            b_sign,
            fp.quantize_multiplier(twice / ((1 << 15) * out.scale)),
            arithmetic_s16.activation_range(out, activation),
        )

    @property
    def swapped(self) -> bool:
        """Whether b is the operand of the larger scale, which is halved."""
        return self.a != (1 << 30, 0)

    @property
    def fields(self) -> dict[str, int]:
        """Of thimble_add_s16_params."""
        y_multiplier, y_shift = self.a if self.swapped else self.b
        y_factor, y_right = (2, 1) if y_shift == 0 else (1, -y_shift)
        x_sign, y_sign = (self.b_sign, 1) if self.swapped else (1, self.b_sign)
        return {
            "x_factor": x_sign << 14,
            "y_multiplier": y_multiplier,
            "y_right": y_right,
            "y_factor": y_sign * y_factor,
            "out_multiplier": self.out[0],
            "out_right": -self.out[1],
            "out_min": self.range[0],
            "out_max": self.range[1],
        }

    @property
    def keeps_a(self) -> bool:
        """Whether a + 0 is a for every a."""
        return self.a == (1 << 30, 0) and self.out == (1 << 30, -13) and self.range == (LOW, HIGH)


def add_s16(c: AddConstantsS16, a: fp.Int, b: fp.Int) -> fp.Int:
    """ADD or SUB of int16 values."""
    left, right = fp.multiply(a << 15, *c.a), fp.multiply(b << 15, *c.b)
    return np.clip(fp.multiply(left + c.b_sign * right, *c.out), *c.range)


def _lower_s16(ctx: Lowering, op: Op) -> None:
    a, b, out_tensor = (ctx.tensor(index) for index in (*op.inputs, op.outputs[0]))
    c = AddConstantsS16.prepare(a, b, out_tensor, op.activation, _sign(op))
    if c.out[1] >= 0:
        raise ctx.unsupported(op, "an output scale far below the inputs'", "an output that int16 can hold")
    out = ctx.allocate(out_tensor)
    operands, rows, columns = ctx.operands(op, out)
    operands = operands[::-1] if c.swapped else operands
    name = _name(op)
    own = parameters("thimble_add_s16_params", name, c.fields)
    ctx.element_call(own, operands, out, (rows, columns))


_FORMS = {
    kind: Form(broadcast_check, options, (2, 2), version=5, activation=True)
    for kind, options in (("ADD", "AddOptions"), ("SUB", "SubOptions"))
}
OPERATORS = tuple(
    operator
    for kind in ("ADD", "SUB")
    for operator in (
        Operator(kind, "INT8", _lower, ("thimble_add_s8", "thimble_sum_s8"), _evaluate, 2, always, form=_FORMS[kind]),
        Operator(kind, "INT16", _lower_s16, ("thimble_add_s16",), _evaluate_s16, 2, always, form=_FORMS[kind]),
    )
)
