"""LOGISTIC and TANH."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.arithmetic_s16 import HIGH
from pipeline.compiler.ir.graph import Op, Tensor
from pipeline.compiler.ir.program import Constant
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.checks import require_int16
from pipeline.compiler.ops.operator import Operator, always, by_table
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int:
    (tensor,), (x,) = operands, values
    multiplier, shift = fp.quantize_multiplier(tensor.scale * (1 << 27))
    radius = fp.input_radius(4, shift)
    centred = x - tensor.zero_point
    q4 = fp.multiply(np.clip(centred, -radius, radius), multiplier, shift)
    if op.kind == "LOGISTIC":
        inside = np.clip(fp.rounding_divide(fp.logistic(q4, 4), 23) - 128, -128, 127)
    else:
        inside = np.clip(fp.rounding_divide(fp.tanh(q4, 4), 24), -128, 127)
    return np.where(centred <= -radius, -128, np.where(centred >= radius, 127, inside))


def _table() -> NDArray[np.uint16]:
    """uint16 [256]: 1 / (1 + e^(−i/24)) in Q0.16, plus half of what a straight line between two entries lacks."""

    def exact(index: float) -> float:
        return 65536 / (1 + math.exp(-index / 24))

    values = [exact(i) + (exact(i + 0.5) - (exact(i) + exact(i + 1)) / 2) / 2 for i in range(256)]
    rounded = [math.floor(value + 0.5) for value in values]
    rounded[255] = 65535
    return np.array(rounded, np.uint16)


def _scale(kind: str, scale: float) -> tuple[int, int]:
    """(multiplier, shift) of LOGISTIC's or TANH's input: to steps of 1 / (3 · 4096)."""
    fraction, exponent = math.frexp(scale)
    if fraction == 0.5 and exponent - 1 + 12 in ((0,) if kind == "LOGISTIC" else (0, 1)):
        return 3 << (exponent - 1 + 12), 0
    multiplier, shift = scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = multiplier * 2.0, shift + 1
    return int(multiplier), shift


def _lower_s16(ctx: Lowering, op: Op) -> None:
    tensor, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    require_int16(ctx, op, tensor, out_tensor)
    multiplier, shift = _scale(op.kind, tensor.scale)
    if multiplier > HIGH or out_tensor.scale != 2.0**-15:
        raise ctx.unsupported(op, "these scales", "an input scale below 2.6 and an output scale of 2^-15")
    x = ctx.contiguous(tensor.index)
    out = ctx.allocate(out_tensor)
    table = ctx.constant(Constant("sigmoid_s16", "uint16_t", _table()))
    ctx.call(f"thimble_{op.kind.lower()}_s16", (table, multiplier, shift, x, out, tensor.size), [x], [out])


OPERATORS = tuple(
    operator
    for kind in ("LOGISTIC", "TANH")
    for operator in (
        Operator(kind, "INT8", by_table, (), _evaluate, 1, always),
        Operator(kind, "INT16", _lower_s16, (f"thimble_{kind.lower()}_s16",)),
    )
)
