"""Functions of one int8 value, each a table of 256: chains of element-wise operators, x·x, or g·logistic(g)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.ir.graph import Graph, Op, is_int8
from pipeline.compiler.ir.program import Constant, Operand
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.operator import Operator, always
from pipeline.compiler.ops.registry import ELEMENTWISE

__all__ = ["KIND", "OPERATORS", "Unary", "find_unaries", "fuse_tables", "unary_of"]

KIND = "table"
_ALL = np.arange(-128, 128, dtype=np.int64)


@dataclass(frozen=True)
class Unary:
    """A tensor that is a function of one other: `table[x + 128]` for each x of `root`."""

    root: int
    table: NDArray[np.int8]


def unary_of(graph: Graph, tensor: int) -> Unary | None:
    """The table that the tensor is made by, in a graph whose tables are fused."""
    op = graph.producer(tensor)
    return op.fusion if op is not None and isinstance(op.fusion, Unary) else None


def fuse_tables(graph: Graph) -> Graph:
    """Makes a look-up in a table of each operator whose result is a function of one tensor."""
    unaries = find_unaries(graph)
    replacements = {
        number: Op(KIND, (unaries[op.outputs[0]].root,), op.outputs, fusion=unaries[op.outputs[0]])
        for number, op in enumerate(graph.ops)
        if op.outputs[0] in unaries
    }
    return graph.rewritten(replacements)


def find_unaries(graph: Graph) -> dict[int, Unary]:
    """Tensors that are functions of one other tensor of the same size, each traced to the farthest such root.

    Besides the operators of one input these are those of two, of a constant number, or of two functions of one root.
    """
    unaries: dict[int, Unary] = {}
    for op in graph.ops:
        if isinstance(op.fusion, Unary):
            unaries[op.outputs[0]] = _composed(op.fusion, unaries)
        elif op.kind in ELEMENTWISE:
            unary = _unary(graph, op, unaries)
            if unary is not None:
                unaries[op.outputs[0]] = unary
    return unaries


def _composed(unary: Unary, unaries: dict[int, Unary]) -> Unary:
    """A table of what is a table's result itself."""
    inner = unaries.get(unary.root)
    return unary if inner is None else Unary(inner.root, unary.table[inner.table.astype(np.int64) + 128])


def _unary(graph: Graph, op: Op, unaries: dict[int, Unary]) -> Unary | None:
    operator, out = ELEMENTWISE[op.kind], graph.tensors[op.outputs[0]]
    operands = [graph.tensors[index] for index in op.inputs]
    if len(operands) != operator.arity or not is_int8(*operands, out):
        return None
    sources: list[Unary] = []
    for tensor in operands:
        if tensor.data is None:
            sources.append(unaries.get(tensor.index, Unary(tensor.index, _ALL.astype(np.int8))))
        elif tensor.size == 1:
            sources.append(Unary(-1, np.full(256, tensor.data.reshape(-1)[0], np.int8)))
        else:
            return None
    roots = {source.root for source in sources} - {-1}
    if len(roots) != 1:
        return None
    root = roots.pop()
    if graph.tensors[root].size != out.size:
        return None
    assert operator.evaluate is not None
    values = operator.evaluate(op, operands, out, [source.table.astype(np.int64) for source in sources])
    return None if values is None else Unary(root, values.astype(np.int8))


def _lower(ctx: Lowering, op: Op) -> None:
    unary, index = op.fusion, op.outputs[0]
    assert isinstance(unary, Unary)
    root = ctx.view(unary.root)
    out = ctx.allocate(ctx.tensor(index))
    table = ctx.constant(Constant(f"table_{index}", "int8_t", unary.table))
    x = root
    if root.contiguous and out.contiguous:
        rows, columns = 1, root.rows * root.columns
    else:
        if (root.rows, root.columns) != (out.rows, out.columns):
            x = ctx.contiguous(unary.root)
        rows, columns = out.rows, out.columns
    operand = Operand(x, columns if x.contiguous else x.stride, 1)
    ctx.call("thimble_table_s8", (table, operand, out, out.stride, rows, columns), [x], [out])


OPERATORS = (Operator(KIND, "INT8", _lower, ("thimble_table_s8",), writes_rows=always, deferred=True),)
