"""BATCH_MATMUL."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from pipeline.compiler import arithmetic_s16
from pipeline.compiler.arithmetic import product_multiplier
from pipeline.compiler.arithmetic_s16 import HIGH, LOW
from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.program import Address
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering, parameters
from pipeline.compiler.ops.checks import Found, one_type_check, operand
from pipeline.compiler.ops.operator import Form, Operator
from pipeline.compiler.product import LARGEST_INPUT
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]


def _check(graph: Graph, op: Op) -> Found:
    yield from one_type_check(graph, op)
    a, b, out = operand(graph, op, 0), operand(graph, op, 1), graph.tensors[op.outputs[0]]
    if op.options.get("adjX") or op.options.get("asymmetricQuantizeInputs") or min(len(a.shape), len(b.shape)) < 2:
        yield unsupported(graph, op, "a transposed left side or a vector", "matrices, the left one not transposed")
        return
    batches, b_batches = prod(a.shape[:-2]), prod(b.shape[:-2])
    if b_batches not in (1, batches) or (b_batches != 1 and b.shape[:-2] != a.shape[:-2]):
        yield unsupported(graph, op, f"batches {a.shape[:-2]} and {b.shape[:-2]}", "equal batches, or one right matrix")
        return
    columns, depth = b.shape[-2:] if op.options.get("adjY") else b.shape[-1:-3:-1]
    whole = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], columns)
    if depth != a.shape[-1] or out.shape != whole:
        told = f"matrices of shapes {list(a.shape)} and {list(b.shape)}, and a product of {list(out.shape)}"
        yield unsupported(graph, op, told, "shapes that make the product's")


def _compute(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]) -> list[fp.Int]:
    (a, b), (out,), (x, y) = inputs, outputs, values
    right = y - b.zero_point
    sums = (x - a.zero_point) @ (np.swapaxes(right, -1, -2) if op.options.get("adjY") else right)
    if out.dtype == "INT16":
        return [np.clip(arithmetic_s16.requantized(sums, *product_multiplier(a, b, out)), LOW, HIGH)]
    return [np.clip(fp.multiply(sums, *product_multiplier(a, b, out)) + out.zero_point, -128, 127)]


def _lower(ctx: Lowering, op: Op) -> None:
    a, b, out_tensor = (ctx.tensor(index) for index in (*op.inputs, op.outputs[0]))
    x, y = ctx.contiguous(a.index), ctx.contiguous(b.index)
    out = ctx.allocate(out_tensor)
    multiplier, shift = product_multiplier(a, b, out_tensor)
    ctx.check_reach(op, LARGEST_INPUT**2 * a.columns, shift)
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
    batches, b_batches = (prod(ctx.tensor(index).shape[:-2]) for index in op.inputs)
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


_FORM = Form(_check, "BatchMatMulOptions", (2, 2), version=4)
OPERATORS = (
    Operator("BATCH_MATMUL", "INT8", _lower, ("thimble_batch_matmul_s8",), form=_FORM, compute=_compute),
    Operator("BATCH_MATMUL", "INT16", _lower_s16, ("thimble_batch_matmul_s16",), form=_FORM, compute=_compute),
)
