"""Weights with structure: blocks of zeros, in one matrix or in all of a .tflite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

__all__ = ["with_weights", "without_blocks"]

Weights = NDArray[np.int8]


def without_blocks(weights: Weights, columns: int, kept: float, seed: int) -> Weights:
    """The weights, of whose blocks of four rows by so many columns a share is kept, in each strip of rows the same
    number."""
    random = np.random.default_rng(seed)
    rows, depth = weights.shape
    strips, blocks = -(-rows // 4), -(-depth // columns)
    mask = np.zeros((strips, blocks), bool)
    for strip in mask:
        strip[random.choice(blocks, round(kept * blocks), replace=False)] = True
    return np.asarray(weights * mask.repeat(4, 0).repeat(columns, 1)[:rows, :depth], np.int8)


def with_weights(tflite: bytes, change: Callable[[Weights], Weights]) -> bytes:
    """The same model with the weights of every FULLY_CONNECTED changed."""
    model: Any = schema.ModelT.InitFromPackedBuf(tflite, 0)
    graph = model.subgraphs[0]
    code = schema.BuiltinOperator.FULLY_CONNECTED
    places = [place for place, one in enumerate(model.operatorCodes) if one.builtinCode == code]
    for index in {op.inputs[1] for op in graph.operators if op.opcodeIndex in places}:
        tensor = graph.tensors[index]
        buffer = model.buffers[tensor.buffer]
        values = np.array(buffer.data, np.uint8).view(np.int8).reshape(tensor.shape)
        buffer.data = change(values).view(np.uint8).reshape(-1)
    builder = flatbuffers.Builder(len(tflite))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
