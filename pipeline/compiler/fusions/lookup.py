"""int16 rows of constant tables: look-ups in int8 tables, and QUANTIZE, ADD and reshapes of them as int16."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.ir.graph import RESHAPE_OPS, Graph, Op, is_int16
from pipeline.compiler.ir.program import Constant, Scaled, View
from pipeline.compiler.lowering import INDICES, Lowering
from pipeline.compiler.ops.add import AddConstantsS16, add_s16
from pipeline.compiler.ops.operator import Operator
from pipeline.compiler.ops.quantize import quantize_s16

__all__ = ["OPERATORS", "Row", "find_rows", "fuse_lookups"]

_KIND = "look-up"


@dataclass(frozen=True)
class Row:
    """A tensor that is the row of a table at `token` or `position`; `table` holds its quantized values, int64."""

    index: str
    table: NDArray[np.int64]


def fuse_lookups(graph: Graph) -> Graph:
    """Makes one operator of each int16 tensor that is the row of a table."""
    rows = find_rows(graph)
    replacements = {
        number: Op(_KIND, (graph.inputs[rows[op.outputs[0]].index],), op.outputs, fusion=rows[op.outputs[0]])
        for number, op in enumerate(graph.ops)
        if op.outputs[0] in rows and graph.tensors[op.outputs[0]].dtype == "INT16"
    }
    return graph.rewritten(replacements)


def find_rows(graph: Graph) -> dict[int, Row]:
    """Look-ups in int8 tables, and QUANTIZE, ADD and reshapes of them as int16: their values are known for every token
    and position, so each becomes one table."""
    names = {graph.inputs[name]: name for name in ("token", "position") if name in graph.inputs}
    rows: dict[int, Row] = {}
    for op in graph.ops:
        row = _row(graph, op, rows, names)
        if row is not None:
            rows[op.outputs[0]] = row
    return rows


def _row(graph: Graph, op: Op, rows: dict[int, Row], names: dict[int, str]) -> Row | None:
    out = graph.tensors[op.outputs[0]]
    sources = [graph.tensors[index] for index in op.inputs if index >= 0]
    if op.kind == "GATHER":
        table, index = sources[0], names.get(op.inputs[1])
        if table.data is None or table.dtype != "INT8" or len(table.shape) != 2 or index is None:
            return None
        return Row(index, table.data.astype(np.int64)) if op.int_option("axis") == 0 else None
    if not sources or sources[0].index not in rows:
        return None
    first = rows[sources[0].index]
    if op.kind in RESHAPE_OPS:
        return first
    if op.kind == "QUANTIZE" and is_int16(out):
        return dataclasses.replace(first, table=quantize_s16(sources[0], out, first.table))
    if op.kind == "ADD" and is_int16(*sources, out) and sources[1].index in rows:
        second = rows[sources[1].index]
        if second.index == first.index and second.table.shape == first.table.shape:
            activation = op.activation
            c = AddConstantsS16.prepare(sources[0], sources[1], out, activation, 1)
            return dataclasses.replace(first, table=add_s16(c, first.table, second.table))
    return None


def _lower(ctx: Lowering, op: Op) -> None:
    row, out = op.fusion, op.outputs[0]
    assert isinstance(row, Row)
    width = row.table.shape[1]
    values = row.table.astype(np.int16).reshape(-1)
    table = ctx.constant(Constant(f"{row.index}_table_{out}", "int16_t", values, weights=True))
    ctx.views[out] = View("constant", table.name, 1, width, width, (Scaled(INDICES[row.index], width),), "int16_t")


OPERATORS = (Operator(_KIND, "INT16", _lower, deferred=True),)
