"""CONCATENATION: what its inputs' makers have not written in place is copied."""

from __future__ import annotations

import dataclasses
from math import prod

from pipeline.compiler.ir.graph import Op
from pipeline.compiler.ir.program import View
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.operator import Operator

__all__ = ["OPERATORS"]


def _lower(ctx: Lowering, op: Op) -> None:
    out_tensor = ctx.tensor(op.outputs[0])
    for tensor in map(ctx.tensor, op.inputs):
        if tensor.scale != out_tensor.scale or tensor.zero_point != out_tensor.zero_point:
            raise ctx.unsupported(op, "inputs of different scales", "inputs quantized like the output")
    out = ctx.views.get(out_tensor.index) or ctx.allocate(out_tensor)
    axis = op.int_option("axis") % max(len(out_tensor.shape), 1)
    outer = prod(out_tensor.shape[:axis])
    width, offset = out_tensor.size // outer, 0
    for tensor in map(ctx.tensor, op.inputs):
        part = tensor.size // outer
        if ctx.targets.get(tensor.index, (None, 0))[0] is not out_tensor:
            view = ctx.contiguous(tensor.index)
            offsets = (offset,) if offset else ()
            target = View(out.space, out.buffer, outer, part, width, offsets, out.element)
            ctx.copy(dataclasses.replace(view, rows=outer, columns=part, stride=part), target)
        else:
            ctx.view(tensor.index)  # what is computed on first use, and that nothing else asked for
        offset += part
    assert offset == width


OPERATORS = tuple(Operator("CONCATENATION", dtype, _lower, ("thimble_copy_s8",)) for dtype in ("INT8", "INT16"))
