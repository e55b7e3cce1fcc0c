"""Brings matrix products of one input together."""

from __future__ import annotations

import dataclasses

from pipeline.compiler.ir.graph import Graph

__all__ = ["group_products_by_input"]


def group_products_by_input(graph: Graph) -> Graph:
    """The same graph with matrix products of one input in a row, so that the input is prepared once."""
    ops = list(graph.ops)
    index = 0
    while index < len(ops):
        op = ops[index]
        if op.kind == "FULLY_CONNECTED":
            target = index + 1
            for later in range(index + 1, len(ops)):
                if ops[later].kind == "FULLY_CONNECTED" and ops[later].inputs[0] == op.inputs[0]:
                    ops.insert(target, ops.pop(later))
                    target += 1
            index = target
        else:
            index += 1
    return dataclasses.replace(graph, ops=tuple(ops))
