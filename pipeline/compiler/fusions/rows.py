"""Rows of constant tables, by position: what masks and rotations are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.ir.graph import RESHAPE_OPS, Graph

__all__ = ["looked_up"]


def looked_up(graph: Graph, row: int) -> NDArray[np.generic] | None:
    """The constant table [positions, columns] of which the tensor, perhaps widened to int16, is a row, by position."""
    op = graph.producer(row)
    while op is not None and (
        op.kind in RESHAPE_OPS or (op.kind == "QUANTIZE" and graph.tensors[row].dtype == "INT16")
    ):
        row = op.inputs[0]
        op = graph.producer(row)
    if op is None or op.kind != "GATHER" or op.inputs[1] != graph.inputs.get("position"):
        return None
    table = graph.tensors[op.inputs[0]].data
    rows = table is not None and table.ndim == 2 and op.int_option("axis") == 0
    return table if rows else None
