"""A norm's root with int16 activations, which is computed in float32."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.compiler.ir.graph import Graph, Op, is_int16
from pipeline.compiler.ir.program import Float
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.ops.operator import Operator

__all__ = ["OPERATORS", "Root", "fuse_roots"]

_KIND = "root"


@dataclass(frozen=True)
class Root:
    """1 / √(mean + epsilon): QUANTIZE of RSQRT of ADD of DEQUANTIZE, whose places are `ops`, the last one first.

    `source` and `out` are int16 tensors."""

    source: int
    out: int
    epsilon: float
    ops: tuple[int, ...]


def fuse_roots(graph: Graph) -> Graph:
    """Makes one operator of every norm's root."""
    roots = _find_roots(graph)
    replacements = {root.ops[0]: Op(_KIND, (root.source,), (root.out,), fusion=root) for root in roots}
    return graph.rewritten(replacements, (op for root in roots for op in root.ops))


def _find_roots(graph: Graph) -> list[Root]:
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
            activation = graph.ops[before].activation
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


def _lower(ctx: Lowering, op: Op) -> None:
    root = op.fusion
    assert isinstance(root, Root)
    tensor, out_tensor = ctx.tensor(root.source), ctx.tensor(root.out)
    x = ctx.contiguous(root.source)
    out = ctx.allocate(out_tensor)
    scales = (Float(tensor.scale), Float(root.epsilon), Float(out_tensor.scale))
    ctx.call("thimble_root_s16", (*scales, x, out, tensor.size), [x], [out])


OPERATORS = (Operator(_KIND, "INT16", _lower, ("thimble_root_s16",)),)
