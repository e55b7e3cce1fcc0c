"""GATHER of a row of a constant table, by `token` or `position`."""

from __future__ import annotations

import numpy as np

from pipeline.compiler.ir.graph import Op
from pipeline.compiler.ir.program import Constant, Scaled, View
from pipeline.compiler.lowering import INDICES, Lowering
from pipeline.compiler.ops.operator import Operator

__all__ = ["COPIED", "OPERATORS"]

COPIED = "copied"
"""An option of ours: the row is copied to the arena (`passes.copy_embedding`)."""


def _lower(ctx: Lowering, op: Op) -> None:
    table, out = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    names = {ctx.graph.inputs[name]: name for name in INDICES if name in ctx.graph.inputs}
    index = names.get(op.inputs[1])
    if table.data is None or index is None or op.int_option("axis") != 0 or len(table.shape) != 2:
        raise ctx.unsupported(op, "this look-up", "a row of a constant table, by `token` or `position`")
    values = np.asarray(table.data, np.int8).reshape(-1)
    name = ctx.constant(Constant(f"{index}_table_{out.index}", "int8_t", values, weights=True)).name
    columns = table.columns
    row = View("constant", name, 1, columns, columns, (Scaled(INDICES[index], columns),))
    if op.options.get(COPIED):
        ctx.copy(row, ctx.allocate(out))
    else:
        ctx.views[out.index] = row


OPERATORS = (Operator("GATHER", "INT8", _lower, ("thimble_copy_s8",)),)
