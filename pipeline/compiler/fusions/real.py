"""Functions in float32 of one int8 tensor, which the converter leaves where it has no integer form: DEQUANTIZE, NEG or
the like, QUANTIZE. Each is a table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.arithmetic import to_int8, to_real
from pipeline.compiler.fusions.table import KIND, Unary
from pipeline.compiler.ir.graph import Graph, Op, is_int8

__all__ = ["FUNCTIONS", "fuse_reals"]

_Real = NDArray[np.float32]
_ALL = np.arange(-128, 128, dtype=np.int64)
_LARGEST = 2.0**30  # what is beyond becomes an integer differently on different machines


def _square(x: _Real) -> _Real:
    return x * x


FUNCTIONS: dict[str, Callable[[_Real], _Real]] = {
    "NEG": np.negative,
    "ABS": np.abs,
    "SQUARE": _square,
    "SQRT": np.sqrt,
}
"""Operators in float32 that IEEE 754 rounds in one way alone, and that TensorFlow Lite Micro has. (RSQRT has no value
for zero, which every int8 tensor can hold.)"""


def fuse_reals(graph: Graph) -> Graph:
    """Makes a table of each function in float32 of an int8 tensor, whose values are all finite."""
    found = {
        number: table
        for number, op in enumerate(graph.ops)
        if op.kind == "QUANTIZE" and (table := _table(graph, op)) is not None
    }
    replacements = {
        number: Op(KIND, (unary.root,), graph.ops[number].outputs, fusion=unary) for number, unary in found.items()
    }
    return graph.rewritten(replacements)


def _table(graph: Graph, quantize: Op) -> Unary | None:
    out, between = graph.tensors[quantize.outputs[0]], graph.tensors[quantize.inputs[0]]
    kinds: list[str] = []
    op = graph.producer(between.index)
    while op is not None and op.kind in FUNCTIONS and graph.tensors[op.inputs[0]].dtype == "FLOAT32":
        kinds.insert(0, op.kind)
        op = graph.producer(op.inputs[0])
    if op is None or op.kind != "DEQUANTIZE" or not kinds:
        return None
    root = graph.tensors[op.inputs[0]]
    if not is_int8(root, out) or root.data is not None or root.size != out.size:
        return None
    with np.errstate(all="ignore"):
        values = to_real(root, _ALL)
        for kind in kinds:
            values = FUNCTIONS[kind](values)
        ratios = np.abs(values / np.float32(out.scale))
    if not np.isfinite(values).all() or ratios.max() >= _LARGEST:
        return None
    return Unary(root.index, to_int8(out, values).astype(np.int8))
