"""SOFTMAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.arithmetic_s16 import HIGH, LOW, interpolated
from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.program import Address, Constant, Table, Value
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering, parameters
from pipeline.compiler.ops.checks import Found, operand, same_shape_check
from pipeline.compiler.ops.operator import Form, Operator
from pipeline.numerics import fixed_point as fp

__all__ = ["MAX_SHIFT_S16", "OPERATORS", "exp_table", "reciprocal_table_s16", "softmax_fields_s16", "softmax_scale_s16"]

_LARGEST_BETA = 1e6
MAX_SHIFT_S16 = 13
"""The largest left shift of a difference of int16 scores."""


def _check(graph: Graph, op: Op) -> Found:
    yield from same_shape_check(graph, op)
    scores, out, beta = operand(graph, op, 0), graph.tensors[op.outputs[0]], op.float_option("beta", 1.0)
    if not 0 < beta <= _LARGEST_BETA:
        yield unsupported(graph, op, f"a beta of {beta:g}", f"a number above 0 and up to {_LARGEST_BETA:g}")
        return
    if out.dtype == "INT8" and (out.zero_point != -128 or out.scale != 1 / 256):
        yield unsupported(graph, op, "an output scale other than 1/256", "scale 1/256, zero point −128")
    if out.dtype == "INT8" and beta * scores.scale * (1 << 26) <= 1:
        yield unsupported(graph, op, "an input scale this small", "scale times beta above 2^-26")
    if out.dtype == "INT8" and scores.columns >= 1 << 12:
        yield unsupported(graph, op, f"rows of {scores.columns:,}", "at most 4,095: more exceed 32 bits")


def _exp(scale: float, beta: float) -> NDArray[np.int32]:
    """int32 [256]: e^(−d·scale·beta) in Q0.31 for d = 0…255 steps below the row's largest value; 0 beyond the range
    that the op counts."""
    real = min(beta * scale * (1 << 26), 2.0**31 - 1.0)
    multiplier, shift = fp.quantize_multiplier(real)
    difference = -np.arange(256, dtype=np.int64)
    exp = fp.exp_on_negative_values(fp.multiply(difference, multiplier, shift), 5)
    return np.where(difference >= -fp.input_radius(5, shift), exp, 0).astype(np.int32)


def exp_table(ctx: Lowering, scores: Tensor, beta: float, out: int) -> Table:
    """The constant that holds the exponentials of an int8 tensor's differences.

    Args:
        ctx: the lowering.
        scores: what the softmax is of.
        beta: by which the scores are multiplied.
        out: the tensor of the result, which names the constant.
    """
    return ctx.constant(Constant(f"exp_{out}", "int32_t", _exp(scores.scale, beta)[::-1]))


def _compute(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]) -> list[fp.Int]:
    scores, x = inputs[0], values[0]
    below = x.max(axis=-1, keepdims=True) - x
    exp = _exp(scores.scale, op.float_option("beta", 1.0)).astype(np.int64)[below]
    sums = fp.rounding_divide(exp, 12).sum(axis=-1, keepdims=True)  # in Q12.19
    zeros = _leading_zeros(sums)
    shares = fp.doubling_high_multiply(fp.one_over_one_plus((sums << zeros) - (1 << 31)), exp)
    right = 12 - zeros + 31 - 8
    return [np.clip(((shares + (1 << (right - 1))) >> right) - 128, -128, 127)]


def _leading_zeros(values: fp.Int) -> fp.Int:
    """Of 32 bits."""
    return np.array([32 - value.bit_length() for value in values.reshape(-1).tolist()]).reshape(values.shape)


def _lower(ctx: Lowering, op: Op) -> None:
    tensor, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    x = ctx.contiguous(tensor.index)
    out = ctx.allocate(out_tensor)
    exp = exp_table(ctx, tensor, op.float_option("beta", 1.0), out_tensor.index)
    ctx.call("thimble_softmax_s8", (exp, x, out, tensor.rows, tensor.columns), [x], [out])


def softmax_scale_s16(scale: float, beta: float) -> tuple[int, int]:
    """(multiplier, shift) from steps of a score to steps of 10 / 65535."""
    return fp.quantize_multiplier(scale * beta / (10.0 / 65535.0))


def exp_table_s16() -> NDArray[np.int16]:
    """int16 [513]: e^x in Q0.15 for x in −10…0."""
    return _line_table(10.0, HIGH, np.exp)


def reciprocal_table_s16() -> NDArray[np.int16]:
    """int16 [513]: 1 / (1 + x) in Q0.15 for x in 0…1."""
    return _line_table(1.0, LOW, lambda x: np.float32(1) / (np.float32(1) + x))


def _line_table(
    span: float, zero_point: int, function: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> NDArray[np.int16]:
    """513 values of a function over int16 inputs of scale span/65535, output scale 2/65535, in float32: an entry is
    lowered by half of the linear interpolation's excess at the midpoint."""
    f32 = np.float32
    in_scale, out_scale = f32(span) / f32(65535), f32(2) / f32(65535)
    low, high = in_scale * f32(LOW - zero_point), in_scale * f32(HIGH - zero_point)
    step = (high - low) / f32(512)
    inverse = f32(65536) / (out_scale * f32(HIGH) - out_scale * f32(LOW))
    indices = np.arange(512, dtype=np.float32)
    value = function(low + indices * step)
    middle = function(low + indices * step + step / f32(2))
    following = function(low + (indices + f32(1)) * step)
    sample = _round(value * inverse)
    line = _round((following * inverse + sample) / f32(2))
    error = line - _round(middle * inverse)
    entries = np.append(sample - _round(error / f32(2)), _round(function(np.array([high], np.float32)) * inverse))
    return np.clip(entries, LOW, HIGH).astype(np.int16)


def _round(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """C's round: halves away from zero."""
    return np.asarray(np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x), np.float32)


def softmax_fields_s16(ctx: Lowering, scores: Tensor, beta: float) -> dict[str, Value]:
    """A thimble_softmax_s16_params."""
    multiplier, shift = softmax_scale_s16(scores.scale, beta)
    exp = ctx.constant(Constant("exp_s16", "int16_t", exp_table_s16()))
    reciprocal = ctx.constant(Constant("reciprocal_s16", "int16_t", reciprocal_table_s16()))
    return {"exp": exp, "reciprocal": reciprocal, "multiplier": multiplier, "shift": shift}


def _compute_s16(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]) -> list[fp.Int]:
    scores, x = inputs[0], values[0]
    difference = x - x.max(axis=-1, keepdims=True)
    scale = softmax_scale_s16(scores.scale, op.float_option("beta", 1.0))
    exp = interpolated(exp_table_s16(), np.clip(fp.multiply(difference, *scale) + HIGH, LOW, HIGH))
    sums = exp.sum(axis=-1, keepdims=True)
    zeros = _leading_zeros(sums)
    beyond_one = (((sums << (zeros - 1)) + (1 << 13)) >> 14) - ((1 << 15) + (1 << 16))
    share, right = exp * interpolated(reciprocal_table_s16(), np.minimum(beyond_one, HIGH)), 31 - zeros
    return [np.minimum((share + (1 << (right - 1))) >> right, HIGH)]


def _lower_s16(ctx: Lowering, op: Op) -> None:
    tensor, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    beta = op.float_option("beta", 1.0)
    if softmax_scale_s16(tensor.scale, beta)[1] > MAX_SHIFT_S16 or tensor.columns > 65536:
        raise ctx.unsupported(op, "an input scale this large", "a scale below 1.25")
    fields = softmax_fields_s16(ctx, tensor, beta)
    x = ctx.contiguous(tensor.index)
    out = ctx.allocate(out_tensor)
    name = f"softmax_{out_tensor.index}"
    own = parameters("thimble_softmax_s16_params", name, fields)
    ctx.call("thimble_softmax_s16", (Address(name), x, out, tensor.rows, tensor.columns), [x], [out], [own])


_FORM = Form(_check, "SoftmaxOptions", version=3, needs_options=True)
OPERATORS = (
    Operator("SOFTMAX", "INT8", _lower, ("thimble_softmax_s8",), form=_FORM, compute=_compute),
    Operator("SOFTMAX", "INT16", _lower_s16, ("thimble_softmax_s16",), form=_FORM, compute=_compute_s16),
)
