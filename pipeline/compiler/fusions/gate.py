"""The product of a function of one int8 tensor with another: table[gate] · up, after its table is fused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.fusions.table import unary_of
from pipeline.compiler.ir.graph import Graph, Op, is_int8
from pipeline.compiler.ir.program import Address, Constant, Value
from pipeline.compiler.lowering import Lowering, parameters
from pipeline.compiler.ops.mul import MulConstants
from pipeline.compiler.ops.operator import Operator, one_row

__all__ = ["OPERATORS", "Gate", "fuse_gates"]

_KIND = "gate"


@dataclass(frozen=True)
class Gate:
    """`c` are the constants of the MUL, `activated` the tensor table[gate]."""

    c: MulConstants
    activated: int
    table: NDArray[np.int8]


def fuse_gates(graph: Graph) -> Graph:
    """Makes one operator of each gate that a kernel computes."""
    found = {number: _gate(graph, op) for number, op in enumerate(graph.ops) if op.kind == "MUL"}
    return graph.rewritten({number: op for number, op in found.items() if op is not None})


def _gate(graph: Graph, op: Op) -> Op | None:
    out = graph.tensors[op.outputs[0]]
    for activated, up in (op.inputs, op.inputs[::-1]):
        unary, inner, up_tensor = unary_of(graph, activated), graph.tensors[activated], graph.tensors[up]
        if (
            unary is None
            or not graph.reads_alone(activated)
            or up_tensor.data is not None
            or not is_int8(inner, up_tensor, out)
        ):
            continue
        sizes = {graph.tensors[unary.root].size, inner.size, up_tensor.size, out.size}
        c = MulConstants.prepare(inner, up_tensor, out, op.activation)
        if len(sizes) == 1 and out.size % 2 == 0 and c.fused:
            return Op(_KIND, (unary.root, up), op.outputs, fusion=Gate(c, activated, unary.table))
    return None


def _lower(ctx: Lowering, op: Op) -> None:
    gate = op.fusion
    assert isinstance(gate, Gate)
    out_tensor = ctx.tensor(op.outputs[0])
    left, right = (ctx.contiguous(index) for index in op.inputs)
    out = ctx.allocate(out_tensor)
    name = f"gate_{out_tensor.index}"
    fields: dict[str, Value] = {
        "table": ctx.constant(Constant(f"table_{gate.activated}", "int8_t", gate.table)),
        "gate_offset": gate.c.a_offset,
        "up_offset": gate.c.b_offset,
        "out": gate.c.scale,
        "columns": out_tensor.size,
    }
    own = parameters("thimble_gate_s8_params", name, fields)
    ctx.block_call("thimble_gate_s8", (Address(name), left, right, out), [left, right], out, [own])


OPERATORS = (Operator(_KIND, "INT8", _lower, ("thimble_gate_s8",), writes_rows=one_row),)
