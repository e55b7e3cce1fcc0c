"""BATCH_MATMUL."""

from __future__ import annotations

from pipeline.compiler import arithmetic_s16
from pipeline.compiler.arithmetic import product_multiplier
from pipeline.compiler.ir.graph import Op
from pipeline.compiler.ir.program import Address
from pipeline.compiler.lowering import Lowering, parameters
from pipeline.compiler.ops.checks import matrix_batches, require_int16
from pipeline.compiler.ops.operator import Operator

__all__ = ["OPERATORS"]


def _lower(ctx: Lowering, op: Op) -> None:
    a, b, out_tensor = (ctx.tensor(index) for index in (*op.inputs, op.outputs[0]))
    matrix_batches(ctx, op)
    x, y = ctx.contiguous(a.index), ctx.contiguous(b.index)
    out = ctx.allocate(out_tensor)
    multiplier, shift = product_multiplier(a, b, out_tensor)
    ctx.check_shift(op, shift)
    name, shape = f"matmul_{out_tensor.index}", _shape(ctx, op)
    fields = {
        "a_offset": -a.zero_point,
        "b_offset": -b.zero_point,
        "out_zero_point": out_tensor.zero_point,
        "out_multiplier": multiplier,
        "out_shift": shift,
        **shape,
    }
    own = parameters("thimble_batch_matmul_s8_params", name, fields)
    arguments = (Address(name), x, y, out)
    ctx.call("thimble_batch_matmul_s8", arguments, [x, y], [out], [own], macs=_macs(shape), kind="matmul")


def _lower_s16(ctx: Lowering, op: Op) -> None:
    a, b, out_tensor = (ctx.tensor(index) for index in (*op.inputs, op.outputs[0]))
    require_int16(ctx, op, a, b, out_tensor)
    matrix_batches(ctx, op)
    multiplier, shift = product_multiplier(a, b, out_tensor)
    if shift > arithmetic_s16.MAX_SHIFT:
        raise ctx.unsupported(op, "an output scale far below the inputs'", "an output that int16 can hold")
    x, y = ctx.contiguous(a.index), ctx.contiguous(b.index)
    out = ctx.allocate(out_tensor)
    name, shape = f"matmul_{out_tensor.index}", _shape(ctx, op)
    fields = {"out_multiplier": arithmetic_s16.reduced(multiplier), "out_shift": shift, **shape}
    own = parameters("thimble_batch_matmul_s16_params", name, fields)
    arguments = (Address(name), x, y, out)
    ctx.call("thimble_batch_matmul_s16", arguments, [x, y], [out], [own], macs=_macs(shape), kind="matmul")


def _shape(ctx: Lowering, op: Op) -> dict[str, int]:
    """The fields of both kernels' parameters that say the shape."""
    a, out = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    batches, b_batches = matrix_batches(ctx, op)
    rows, depth, columns = a.shape[-2], a.shape[-1], out.shape[-1]
    return {
        "batches": batches,
        "rows": rows,
        "depth": depth,
        "columns": columns,
        "a_batch_stride": rows * depth,
        "b_batch_stride": 0 if b_batches == 1 else depth * columns,
        "b_transposed": int(bool(op.options.get("adjY"))),
    }


def _macs(shape: dict[str, int]) -> int:
    return shape["batches"] * shape["rows"] * shape["depth"] * shape["columns"]


OPERATORS = (
    Operator("BATCH_MATMUL", "INT8", _lower, ("thimble_batch_matmul_s8",)),
    Operator("BATCH_MATMUL", "INT16", _lower_s16, ("thimble_batch_matmul_s16",)),
)
