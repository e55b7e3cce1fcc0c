"""GATHER of a row of a constant table, by `token` or `position`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.compiler.encodings.plain import pack
from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.program import Address, Constant, Index, Scaled, Value, View
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import INDICES, Lowering, parameters
from pipeline.compiler.ops.checks import Found, one_type_check, operand
from pipeline.compiler.ops.operator import Form, Operator
from pipeline.compiler.tied_embedding import TiedEmbedding
from pipeline.numerics import fixed_point as fp
from pipeline.targets.cores import WeightLayout

__all__ = ["COPIED", "OPERATORS"]

COPIED = "copied"
"""An option of ours: the row is copied to the arena (`passes.copy_embedding`)."""


def _check(graph: Graph, op: Op) -> Found:
    table, index, out = operand(graph, op, 0), operand(graph, op, 1), graph.tensors[op.outputs[0]]
    yield from one_type_check(graph, op, [0])
    known = {graph.inputs[name] for name in INDICES if name in graph.inputs}
    by_row = len(table.shape) == 2 and op.int_option("axis") in (0, -2) and not op.int_option("batchDims")
    if table.data is None or op.inputs[1] not in known or not by_row:
        yield unsupported(graph, op, "this look-up", "a row of a constant table, by `token` or `position`")
    elif index.size != 1 or out.shape != (*index.shape, table.columns):
        told = f"a table of {list(table.shape)}, an index of {list(index.shape)}, and an output of {list(out.shape)}"
        yield unsupported(graph, op, told, "one index, and a row of the table")


def _compute(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]) -> list[fp.Int]:
    return [values[0][values[1].reshape(-1)]]


def _lower(ctx: Lowering, op: Op) -> None:
    table, out = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    tied = ctx.tied.get(out.index)
    if tied is not None:
        _lower_tied(ctx, tied, table, out)
        return
    index = {ctx.graph.inputs[name]: name for name in INDICES if name in ctx.graph.inputs}[op.inputs[1]]
    values = np.asarray(table.data, np.int8).reshape(-1)
    name = ctx.constant(Constant(f"{index}_table_{out.index}", "int8_t", values, weights=True)).name
    columns = table.columns
    row = View("constant", name, 1, columns, columns, (Scaled(INDICES[index], columns),))
    if op.options.get(COPIED):
        ctx.copy(row, ctx.allocate(out))
    else:
        ctx.views[out.index] = row


def _lower_tied(ctx: Lowering, tied: TiedEmbedding, table: Tensor, out: Tensor) -> None:
    """The row is computed from the weights of a product, which lie where that will find them."""
    product, form, _ = ctx.choices[tied.product]
    assert form.packing is not None
    packed = pack(product.weights, form.packing)
    name = f"embedding_{out.index}"
    weights = Constant(
        f"{ctx.names[tied.product]}_weights", f"{packed.dtype}_t", packed, weights=True, raw=product.weights.nbytes
    )
    corrections = Constant(
        f"{name}_corrections", "uint8_t", tied.corrections.reshape(-1), weights=True, raw=table.bytes
    )
    fields: dict[str, Value] = {
        "weights": ctx.constant(weights),
        "corrections": ctx.constant(corrections),
        "row_scales": ctx.constant(Constant(f"{name}_row_scales", "int16_t", tied.row_scales)),
        "column_scales": ctx.constant(Constant(f"{name}_column_scales", "int16_t", tied.column_scales)),
        "columns": table.columns,
        "planes": tied.planes,
        "base": tied.base,
    }
    row = ctx.allocate(out)
    own = parameters("thimble_embedding_s8_params", name, fields)
    ctx.call(f"thimble_embedding_{form.packing}_s8", (Address(name), Index.TOKEN, row), [], [row], [own])


OPERATORS = (
    Operator(
        "GATHER",
        "INT8",
        _lower,
        (
            "thimble_copy_s8",
            *(f"thimble_embedding_{layout}_s8" for layout in WeightLayout),
        ),
        form=Form(_check, "GatherOptions", (2, 2), version=8, integers=(1,)),
        compute=_compute,
    ),
)
