"""Copies a token's embedding where several read it."""

from __future__ import annotations

import dataclasses

from pipeline.compiler.ir.graph import RESHAPE_OPS, Graph, Op
from pipeline.compiler.ops.gather import COPIED

__all__ = ["copy_embedding"]


def copy_embedding(graph: Graph) -> Graph:
    """Marks look-ups by `token` whose row several operators read. What the first layer reads and adds to lies where the
    others' does then: one loop can do them all. It comes before fusions, which read a row once where their operators
    read it twice."""
    ops = (_marked(graph, op) if _is_shared(graph, op) else op for op in graph.ops)
    return dataclasses.replace(graph, ops=tuple(ops))


def _marked(graph: Graph, op: Op) -> Op:
    return dataclasses.replace(op, options={**op.options, COPIED: True})


def _is_shared(graph: Graph, op: Op) -> bool:
    if op.kind != "GATHER" or op.inputs[1] != graph.inputs.get("token"):
        return False
    aliases = {op.outputs[0]}
    for other in graph.ops:
        if other.kind in RESHAPE_OPS and other.inputs[0] in aliases:
            aliases.add(other.outputs[0])
    readers = {consumer.outputs for alias in aliases for consumer in graph.consumers(alias)}
    return len(readers - {op.outputs}) > 1
