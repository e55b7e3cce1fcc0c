"""What kernels of TensorFlow Lite Micro refuse, reported before anything is built."""

from __future__ import annotations

from pipeline.compiler.ir.graph import Graph
from pipeline.errors import UnsupportedModel

__all__ = ["require_support"]


def require_support(graph: Graph, kernels: str) -> None:
    """Checks a decode step against kernels, a key of `pipeline.firmware.tflm_library.KERNELS`.

    CMSIS-NN's FULLY_CONNECTED refuses int16 activations where the weights have a scale a row (`Prepare` in
    tensorflow/lite/micro/kernels/cmsis_nn/fully_connected.cc); every other operator that we write is in both sets.

    Raises:
        ThimbleError: the device would refuse the model.
    """
    if kernels != "cmsis_nn":
        return
    for op in graph.ops:
        if op.kind != "FULLY_CONNECTED":
            continue
        x, weights = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]]
        if x.dtype == "INT16" and len(weights.scales) > 1:
            raise UnsupportedModel(
                "CMSIS-NN's fully-connected kernel, as TensorFlow Lite Micro calls it, refuses int16 activations with "
                f"a scale a row of weights, which {weights.name} has",
                "choose the engine tflm-reference, or activations: int8 in the recipe",
            )
