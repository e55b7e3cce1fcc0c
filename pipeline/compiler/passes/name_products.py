"""Names matrix products: `layer0_q`, `layer0_ffn_down`, `head`; `product3` where the graph is no transformer's."""

from __future__ import annotations

import dataclasses

from pipeline.compiler.fusions.attention import Attention, fitting_attentions
from pipeline.compiler.ir.graph import RESHAPE_OPS, Graph, Op
from pipeline.compiler.ir.names import layer_part

__all__ = ["name_products"]

_FFN = {
    3: ("attention_out", "ffn_up", "ffn_down"),
    4: ("attention_out", "ffn_gate", "ffn_up", "ffn_down"),
}
"""What products after an attention are, by how many there are before the next."""
_BETWEEN = {
    *RESHAPE_OPS,
    *("MUL", "ADD", "SUB", "QUANTIZE", "CONCATENATION", "SPLIT", "STRIDED_SLICE", "TRANSPOSE", "BATCH_MATMUL"),
}
"""What may lie between a product and the attention that it makes queries, keys or values for."""


def name_products(graph: Graph) -> Graph:
    """Gives each FULLY_CONNECTED its name. It comes before attentions are fused: it goes the way from product to
    attention through the .tflite's own operators."""
    names = _names(graph, fitting_attentions(graph))
    ops = (dataclasses.replace(op, name=names.get(op.outputs[0], "")) for op in graph.ops)
    return dataclasses.replace(graph, ops=tuple(ops))


def _names(graph: Graph, attentions: list[Attention]) -> dict[int, str]:
    products = [op for op in graph.ops if op.kind == "FULLY_CONNECTED"]
    names = {op.outputs[0]: f"product{number}" for number, op in enumerate(products)}
    if not attentions:
        return names
    after: dict[int, list[Op]] = {attention.layer: [] for attention in attentions}
    layer_of_op = {op: attention.layer for attention in attentions for op in attention.ops}
    layer = -1
    for index, op in enumerate(graph.ops):
        layer = max(layer, layer_of_op.get(index, layer))
        if op.kind != "FULLY_CONNECTED":
            continue
        role = _role(graph, op.outputs[0], attentions)
        if role:
            names[op.outputs[0]] = role
        elif op.outputs[0] == graph.outputs.get("logits"):
            names[op.outputs[0]] = "head"
        elif layer >= 0:
            after[layer].append(op)
    for number, ops in after.items():
        parts = _FFN.get(len(ops)) or [f"product{index}" for index in range(len(ops))]
        names.update({op.outputs[0]: layer_part(number, part) for op, part in zip(ops, parts, strict=True)})
    return names


def _role(graph: Graph, tensor: int, attentions: list[Attention]) -> str | None:
    """`layer{i}_{q,k,v}` if the tensor reaches an attention without another product between."""
    visited, front = {tensor}, [tensor]
    while front:
        current = front.pop()
        for attention in attentions:
            for role, index in (("q", attention.q), ("k", attention.k_new), ("v", attention.v_new)):
                if index == current:
                    return layer_part(attention.layer, role)
        for op in graph.consumers(current):
            if op.kind in _BETWEEN:
                front.extend(out for out in op.outputs if out not in visited)
                visited.update(op.outputs)
    return None
