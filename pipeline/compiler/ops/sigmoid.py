"""LOGISTIC and TANH."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.arithmetic_s16 import HIGH
from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.program import Constant
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.checks import Found, same_shape_check
from pipeline.compiler.ops.operator import Form, Operator, always, by_table
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]


def _check(graph: Graph, op: Op) -> Found:
    yield from same_shape_check(graph, op)
    out = graph.tensors[op.outputs[0]]
    expected = (1 / 256, -128) if op.kind == "LOGISTIC" else (1 / 128, 0)
    if out.dtype == "INT8" and (out.scale, out.zero_point) != expected:
        told = f"an output scale of {out.scale:g} with zero point {out.zero_point}"
        yield unsupported(graph, op, told, f"1/{1 / expected[0]:g} with {expected[1]}, which the converter gives")


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    (tensor,), (x,) = operands, values
    multiplier, shift = fp.quantize_multiplier(tensor.scale * (1 << 27))
    if not 0 <= shift <= 62:
        return None  # by which TensorFlow Lite Micro shifts 64 bits
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


def _evaluate_s16(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    (tensor,), (raw,) = operands, values
    multiplier, shift = _scale(op.kind, tensor.scale)
    if multiplier > HIGH or out.scale != 2.0**-15:
        return None
    x = (raw * multiplier + (1 << shift >> 1)) >> shift  # in steps of 1 / (3 · 4096)
    if op.kind == "LOGISTIC":
        half = _looked_up(np.abs(x), 9, 0x7FFF << 10)
        return np.where(x >= 0, half + (1 << 9), (1 << 25) - half + (1 << 9) - 1) >> 10
    half = _looked_up(np.abs(x), 8, 0xFFFF << 8)
    return np.where(x >= 0, half - (1 << 23) + (1 << 7), -half + (1 << 23) + (1 << 7) - 1) >> 8


def _looked_up(magnitude: fp.Int, bits: int, largest: int) -> fp.Int:
    """The table's value at magnitude / 2^bits, with so many fractional bits more; `largest` beyond the table."""
    table, at = _table().astype(np.int64), np.minimum(magnitude >> bits, 254)
    between = (table[at] << bits) + (magnitude & ((1 << bits) - 1)) * (table[at + 1] - table[at])
    return np.where(magnitude >> bits >= 255, largest, between)


def _lower_s16(ctx: Lowering, op: Op) -> None:
    tensor, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    multiplier, shift = _scale(op.kind, tensor.scale)
    if multiplier > HIGH or out_tensor.scale != 2.0**-15:
        raise ctx.unsupported(op, "these scales", "an input scale below 2.6 and an output scale of 2^-15")
    x = ctx.contiguous(tensor.index)
    out = ctx.allocate(out_tensor)
    table = ctx.constant(Constant("sigmoid_s16", "uint16_t", _table()))
    ctx.call(f"thimble_{op.kind.lower()}_s16", (table, multiplier, shift, x, out, tensor.size), [x], [out])


_FORM = Form(_check, version=3)
OPERATORS = tuple(
    operator
    for kind in ("LOGISTIC", "TANH")
    for operator in (
        Operator(kind, "INT8", by_table, (), _evaluate, 1, always, form=_FORM),
        Operator(kind, "INT16", _lower_s16, (f"thimble_{kind.lower()}_s16",), _evaluate_s16, 1, form=_FORM),
    )
)
