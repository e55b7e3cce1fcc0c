"""What several operators refuse."""

from __future__ import annotations

from math import prod

from pipeline.compiler.ir.graph import Op, Tensor, is_int16
from pipeline.compiler.lowering import Lowering

__all__ = ["matrix_batches", "require_constant_weights", "require_int8", "require_int16", "require_last_axis"]


def require_int8(ctx: Lowering, op: Op) -> None:
    """Refuses operands and outputs that are not int8 with one scale.

    Raises:
        ThimbleError: one is not.
    """
    for tensor in map(ctx.tensor, (*op.inputs, *op.outputs)):
        if tensor.dtype != "INT8" or tensor.scales.size != 1:
            raise ctx.unsupported(op, f"a {tensor.dtype} operand", "int8 tensors with one scale")


def require_int16(ctx: Lowering, op: Op, *tensors: Tensor) -> None:
    """Refuses tensors that are not int16 with one scale and zero point 0.

    Raises:
        ThimbleError: one is not.
    """
    if not is_int16(*tensors):
        raise ctx.unsupported(op, "operands of other types", "int16 tensors with one scale and zero point 0")


def require_last_axis(ctx: Lowering, op: Op) -> None:
    """Refuses a reduction over any axes but the last.

    Raises:
        ThimbleError: other axes.
    """
    axes, rank = ctx.tensor(op.inputs[1]).data, len(ctx.tensor(op.inputs[0]).shape)
    if axes is None or [int(axis) % rank for axis in axes.reshape(-1)] != [rank - 1]:
        raise ctx.unsupported(op, "axes other than the last", "the mean over the last axis")


def require_constant_weights(ctx: Lowering, op: Op) -> Tensor | None:
    """Refuses a FULLY_CONNECTED with computed weights or of several rows.

    Returns:
        Its biases.

    Raises:
        ThimbleError: it is no product of one row with constant weights.
    """
    x, weights = ctx.tensor(op.inputs[0]), ctx.tensor(op.inputs[1])
    bias = ctx.tensor(op.inputs[2]) if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
    if weights.data is None or len(weights.shape) != 2 or (bias is not None and bias.data is None):
        raise ctx.unsupported(op, "weights or biases that are computed", "constant ones")
    if x.size != weights.shape[1]:
        raise ctx.unsupported(op, f"{x.size // weights.shape[1]} rows at once", "one row, as a decode step has")
    return bias


def matrix_batches(ctx: Lowering, op: Op) -> tuple[int, int]:
    """How many matrices the operands of a BATCH_MATMUL have.

    Raises:
        ThimbleError: a form that no kernel has.
    """
    a, b = (ctx.tensor(index) for index in op.inputs)
    if op.options.get("adjX") or len(a.shape) < 2 or len(b.shape) < 2 or a.scales.size != 1 or b.scales.size != 1:
        raise ctx.unsupported(op, "a transposed left side or a vector", "matrices, the left one not transposed")
    batches, b_batches = prod(a.shape[:-2]), prod(b.shape[:-2])
    if b_batches not in (1, batches) or (b_batches != 1 and b.shape[:-2] != a.shape[:-2]):
        raise ctx.unsupported(op, f"batches {a.shape[:-2]} and {b.shape[:-2]}", "equal batches, or one right matrix")
    return batches, b_batches
