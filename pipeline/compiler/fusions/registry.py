"""All fusions' operators, by kind and type of activations.

A fusion's file gives the function that rewrites a graph, one of `GRAPH_PASSES` in `api.py`, and `OPERATORS`, what the
graph has then; it is listed here.
"""

from __future__ import annotations

from pipeline.compiler.fusions import attention, cache_update, gate, lookup, norm, root, rotary, table
from pipeline.compiler.ops.operator import Operator

__all__ = ["FUSED"]

FUSED: dict[tuple[str, str], Operator] = {
    (operator.kind, operator.dtype): operator
    for module in (attention, cache_update, gate, lookup, norm, root, rotary, table)
    for operator in module.OPERATORS
}
