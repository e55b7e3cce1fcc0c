"""What the compiler recognizes around int16 activations: rows of constant tables, and a norm's root in float32."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler import arithmetic_s16 as arithmetic
from pipeline.compiler.graph import Graph, Op, Tensor
from pipeline.compiler.patterns import RESHAPE_OPS

__all__ = ["Root", "Row", "find_roots", "find_rows", "is_int16"]


@dataclass(frozen=True)
class Row:
    """A tensor that is the row of a table at `token` or `position`; `table` holds its quantized values, int64."""

    index: str
    table: NDArray[np.int64]


@dataclass(frozen=True)
class Root:
    """1 / √(mean + epsilon): QUANTIZE of RSQRT of ADD of DEQUANTIZE, whose places are `ops`, the last one first.

    `source` and `out` are int16 tensors."""

    source: int
    out: int
    epsilon: float
    ops: tuple[int, ...]


def is_int16(*tensors: Tensor) -> bool:
    """Whether all are int16 with one scale; TensorFlow Lite Micro wants them symmetric."""
    return all(tensor.dtype == "INT16" and tensor.scales.size == 1 and tensor.zero_point == 0 for tensor in tensors)


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
        return Row(index, table.data.astype(np.int64)) if int(str(op.options.get("axis", 0))) == 0 else None
    if not sources or sources[0].index not in rows:
        return None
    first = rows[sources[0].index]
    if op.kind in RESHAPE_OPS:
        return first
    if op.kind == "QUANTIZE" and is_int16(out):
        return dataclasses.replace(first, table=arithmetic.quantize(sources[0], out, first.table))
    if op.kind == "ADD" and is_int16(*sources, out) and sources[1].index in rows:
        second = rows[sources[1].index]
        if second.index == first.index and second.table.shape == first.table.shape:
            activation = int(str(op.options.get("fusedActivationFunction", 0)))
            c = arithmetic.AddConstants.prepare(sources[0], sources[1], out, activation, 1)
            return dataclasses.replace(first, table=arithmetic.add(c, first.table, second.table))
    return None


def find_roots(graph: Graph) -> list[Root]:
    """Every norm's root, in order."""
    roots = []
    for index, op in enumerate(graph.ops):
        if op.kind == "QUANTIZE" and graph.tensors[op.inputs[0]].dtype == "FLOAT32":
            root = _root(graph, index)
            if root is not None:
                roots.append(root)
    return roots


def _root(graph: Graph, index: int) -> Root | None:
    ops = [index]
    tensor = graph.ops[index].inputs[0]
    epsilon = None
    for kind in ("RSQRT", "ADD", "DEQUANTIZE"):
        before = next((i for i, op in enumerate(graph.ops) if tensor in op.outputs and op.kind == kind), None)
        if before is None or len(graph.consumers(tensor)) != 1 or tensor in graph.outputs.values():
            return None
        inputs = graph.ops[before].inputs
        if kind == "ADD":
            constants = [graph.tensors[i].data for i in inputs if graph.tensors[i].data is not None]
            inputs = tuple(i for i in inputs if graph.tensors[i].data is None)
            activation = int(str(graph.ops[before].options.get("fusedActivationFunction", 0)))
            if len(inputs) != 1 or len(constants) != 1 or constants[0] is None or constants[0].size != 1 or activation:
                return None
            epsilon = float(constants[0].reshape(-1)[0])
        ops.append(before)
        tensor = inputs[0]
    source, out = graph.tensors[tensor], graph.tensors[graph.ops[index].outputs[0]]
    if not is_int16(source, out) or epsilon is None or not 1e-30 < epsilon < 1e30 or source.size != out.size:
        return None
    # What does not fit 32 bits becomes an integer differently on different cores.
    if epsilon**-0.5 / out.scale >= 2.0**31:
        return None
    mean = graph.producer(tensor)  # of squares, so never negative
    if mean is None or mean.kind != "MEAN" or not _is_square(graph, mean.inputs[0]):
        return None
    return Root(source.index, out.index, epsilon, tuple(ops))


def _is_square(graph: Graph, tensor: int) -> bool:
    op = graph.producer(tensor)
    return op is not None and op.kind == "MUL" and op.inputs[0] == op.inputs[1]
