"""What the checks of several operators share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.refusals import unsupported
from pipeline.errors import UnsupportedModel

__all__ = ["broadcast_check", "constant_integers", "one_type_check", "operand", "same_shape_check", "same_size_check"]

Found = Iterator[UnsupportedModel]
_MOST_BROADCAST_AXES = 4  # with more TensorFlow Lite Micro computes something else


def operand(graph: Graph, op: Op, position: int) -> Tensor:
    """An input of an operator."""
    return graph.tensors[op.inputs[position]]


def one_type_check(graph: Graph, op: Op, inputs: Sequence[int] | None = None) -> Found:
    """That these inputs, all unless given, and all outputs are of one type, int8 or int16."""
    read = op.inputs if inputs is None else [op.inputs[position] for position in inputs]
    types = {graph.tensors[index].dtype: graph.tensors[index].name for index in (*read, *op.outputs)}
    if len(types) > 1:
        told = " and ".join(f"{dtype} ({name!r})" for dtype, name in sorted(types.items()))
        yield unsupported(graph, op, f"tensors of several types, {told}", "one type, int8 or int16")


def same_shape_check(graph: Graph, op: Op, position: int = 0) -> Found:
    """That the output has the type and the shape of an input."""
    yield from one_type_check(graph, op, [position])
    source, out = operand(graph, op, position), graph.tensors[op.outputs[0]]
    if source.shape != out.shape:
        yield unsupported(
            graph, op, f"an input of shape {list(source.shape)} and an output of {list(out.shape)}", "equal shapes"
        )


def same_size_check(graph: Graph, op: Op) -> Found:
    """That the output has the type and the number of elements of the first input."""
    yield from one_type_check(graph, op, [0])
    source, out = operand(graph, op, 0), graph.tensors[op.outputs[0]]
    if source.size != out.size:
        yield unsupported(
            graph,
            op,
            f"an input of shape {list(source.shape)} and an output of {list(out.shape)}",
            "as many elements in both",
        )


def broadcast_check(graph: Graph, op: Op) -> Found:
    """That two inputs are of the output's type and give its shape."""
    yield from one_type_check(graph, op)
    left, right, out = operand(graph, op, 0), operand(graph, op, 1), graph.tensors[op.outputs[0]]
    try:
        shape: tuple[int, ...] | None = np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        shape = None
    if shape != out.shape:
        told = f"inputs of shapes {list(left.shape)} and {list(right.shape)} and an output of {list(out.shape)}"
        yield unsupported(graph, op, told, "shapes of which NumPy's rules of broadcasting make the output's")
    elif left.shape != right.shape and len(out.shape) > _MOST_BROADCAST_AXES:
        told = f"inputs of shapes {list(left.shape)} and {list(right.shape)}"
        yield unsupported(graph, op, told, f"equal shapes, or {_MOST_BROADCAST_AXES} axes, as in TensorFlow Lite Micro")


def constant_integers(graph: Graph, op: Op, position: int) -> tuple[int, ...] | None:
    """The values of an input that is a constant of integers; None where it is none."""
    tensor = operand(graph, op, position)
    if tensor.size == 0:
        return ()
    return None if tensor.data is None else tuple(int(value) for value in tensor.data.reshape(-1))
