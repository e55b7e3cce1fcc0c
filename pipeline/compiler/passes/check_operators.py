"""Refuses what no kernel computes."""

from __future__ import annotations

import numpy as np

from pipeline.compiler.fusions.registry import FUSED
from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ops.registry import SUPPORTED
from pipeline.errors import UnsupportedModel

__all__ = ["check_operators"]

_INSTEAD = {
    "GELU": "TensorFlow Lite Micro has none; write its tanh form with tensors and constant numbers, x * 0.5 * "
    "(1 + tanh(0.7978845608 * (x + 0.044715 * x * x * x))): MUL, ADD and TANH, which become one table",
}
"""What to write for operators that people have in their models."""


def check_operators(graph: Graph) -> Graph:
    """The same graph, whose operators are supported and whose tensors are int8 or int16 with scales, biases or indices.
    A norm's root, which is computed in float32, is fused before.

    Raises:
        UnsupportedModel: an operator or a tensor that is not, named.
    """
    fused = {kind for kind, _ in FUSED}
    for op in graph.ops:
        if op.kind not in fused:
            _check(graph, op)
    return graph


def _check(graph: Graph, op: Op) -> None:
    """Checks that the operator is supported and its tensors are int8 or int16 with scales, or biases and indices."""
    if op.kind not in SUPPORTED:
        raise UnsupportedModel(
            f"operator {op.kind} (tensor {graph.tensors[op.outputs[0]].name!r}) is not supported",
            _INSTEAD.get(op.kind, f"use one of: {', '.join(SUPPORTED)}"),
        )
    for tensor in (graph.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0):
        if tensor.dtype not in ("INT8", "INT16", "INT32", "INT64"):
            raise UnsupportedModel(
                f"operator {op.kind} has a {tensor.dtype} tensor {tensor.name!r}",
                "quantize the model to full integers: int8 or int16 activations, int8 weights, int32 or int64 biases",
            )
        if tensor.dtype in ("INT8", "INT16") and not _is_quantized(tensor):
            raise UnsupportedModel(
                f"tensor {tensor.name!r} has no usable scale and zero point", "quantize the model with calibration data"
            )


def _is_quantized(tensor: Tensor) -> bool:
    """Whether scales are positive numbers, with a zero point in int8 for each."""
    scales, zeros = tensor.scales, tensor.zero_points
    good = bool(np.isfinite(scales).all() and (scales > 0).all() and (zeros >= -128).all() and (zeros <= 127).all())
    return good and 0 < scales.size == zeros.size
