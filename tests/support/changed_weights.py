"""The weights of a .tflite, changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.bench.structures import Weights
from pipeline.quantize.tflite_file import read_model, schema, write_model

__all__ = ["with_weights"]


def with_weights(tflite: bytes, change: Callable[[Weights], Weights]) -> bytes:
    """The same model with the weights of every FULLY_CONNECTED changed."""
    model: Any = read_model(tflite)
    graph = model.subgraphs[0]
    code = schema.BuiltinOperator.FULLY_CONNECTED
    code_indices = [code_index for code_index, entry in enumerate(model.operatorCodes) if entry.builtinCode == code]
    for index in sorted({op.inputs[1] for op in graph.operators if op.opcodeIndex in code_indices}):
        tensor = graph.tensors[index]
        buffer = model.buffers[tensor.buffer]
        values = np.array(buffer.data, np.uint8).view(np.int8).reshape(tensor.shape)
        buffer.data = change(values).view(np.uint8).reshape(-1)
    return write_model(model)
