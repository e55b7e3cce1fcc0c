"""A graph by what the compiler's operators say that they compute, in NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.ops.registry import operator_of

__all__ = ["evaluate_graph"]


def evaluate_graph(
    tflite: bytes, inputs: Mapping[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.signedinteger]] | None:
    """Outputs by name; None where an operator is none of the registry's, or refuses its scales.

    Args:
        tflite: of one subgraph.
        inputs: by name.
    """
    graph = read_tflite(tflite)
    values = {tensor.index: tensor.data.astype(np.int64) for tensor in graph.tensors if tensor.data is not None}
    for name, index in graph.inputs.items():
        values[index] = np.asarray(inputs[name]).astype(np.int64).reshape(graph.tensors[index].shape)
    for op in graph.ops:
        operator, read = operator_of(op.kind, graph.dtype_of(op)), [index for index in op.inputs if index >= 0]
        if operator is None or any(index not in values for index in read):
            return None
        sources, made = ([graph.tensors[index] for index in indices] for indices in (read, op.outputs))
        results = operator.results(op, sources, made, [values[index] for index in read])
        if results is None:
            return None
        for tensor, result in zip(made, results, strict=True):
            values[tensor.index] = np.asarray(result).reshape(tensor.shape)
    return {
        name: values[index].reshape(-1).astype(graph.tensors[index].dtype.lower())
        for name, index in graph.outputs.items()
    }
