"""Reads a .tflite into a Graph."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.errors import ThimbleError

__all__ = ["read_tflite"]

_DTYPES = {
    "INT8": np.int8,
    "INT32": np.int32,
    "INT16": np.int16,
    "INT64": np.int64,
    "FLOAT32": np.float32,
    "UINT8": np.uint8,
}


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_KINDS = _names(schema.BuiltinOperator)
_TYPES = _names(schema.TensorType)


def read_tflite(data: bytes) -> Graph:
    """The graph of the model's first subgraph.

    Raises:
        ThimbleError: not a .tflite, or a damaged one.
    """
    if len(data) < 16 or data[4:8] != b"TFL3":
        raise ThimbleError(
            "this is not a .tflite file", "give the output of the `quantize` stage or of a TFLite converter"
        )
    try:
        return _graph(schema.ModelT.InitFromPackedBuf(data, 0))
    except ThimbleError:
        raise
    except Exception as error:  # flatbuffers are not validated: damage shows as any error at all
        raise ThimbleError(
            f"the .tflite is damaged: {type(error).__name__} while reading it",
            "make it again: run the `quantize` stage with --force",
        ) from None


def _graph(model: Any) -> Graph:
    if not model.subgraphs:
        raise ThimbleError("the .tflite holds no graph", "make it again: run the `quantize` stage with --force")
    subgraph = model.subgraphs[0]
    tensors = tuple(_tensor(index, tensor, model.buffers) for index, tensor in enumerate(subgraph.tensors))
    ops: list[Op] = []
    for operator in subgraph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        number = max(int(code.builtinCode), int(code.deprecatedBuiltinCode))
        kind = _KINDS.get(number, f"operator {number}")
        options = {} if operator.builtinOptions is None else dict(vars(operator.builtinOptions))
        op = Op(kind, tuple(map(int, operator.inputs)), tuple(map(int, operator.outputs)), options)
        if any(index >= len(tensors) for index in (*op.inputs, *op.outputs)):
            raise ThimbleError(
                "the .tflite is damaged: an operator names no tensor", "make it again with `quantize --force`"
            )
        ops.append(op)
    inputs, outputs = _signature(model, subgraph, tensors)
    return Graph(
        tensors, tuple(ops), inputs, outputs, tuple(map(int, subgraph.inputs)), tuple(map(int, subgraph.outputs))
    )


def _tensor(index: int, tensor: Any, buffers: Any) -> Tensor:
    kind = _TYPES.get(int(tensor.type), str(tensor.type))
    shape = tuple(int(size) for size in tensor.shape) if tensor.shape is not None else ()
    quantization = tensor.quantization
    scales: Any = [] if quantization is None or quantization.scale is None else quantization.scale
    zero_points: Any = [] if quantization is None or quantization.zeroPoint is None else quantization.zeroPoint
    name = tensor.name.decode() if isinstance(tensor.name, bytes) else str(tensor.name)
    result = Tensor(index, name, kind, shape, np.asarray(scales, np.float32), np.asarray(zero_points, np.int64))
    raw = buffers[tensor.buffer].data
    if raw is None or len(raw) == 0 or kind not in _DTYPES:
        return result
    values = np.frombuffer(np.asarray(raw, np.uint8).tobytes(), _DTYPES[kind])
    return dataclasses.replace(result, data=values.reshape(shape))


def _signature(model: Any, subgraph: Any, tensors: tuple[Tensor, ...]) -> tuple[dict[str, int], dict[str, int]]:
    """Inputs and outputs by signature name, or by tensor name where there is no signature."""
    if model.signatureDefs:
        signature = model.signatureDefs[0]
        return _by_name(signature.inputs), _by_name(signature.outputs)
    return (
        {tensors[int(index)].name: int(index) for index in subgraph.inputs},
        {tensors[int(index)].name: int(index) for index in subgraph.outputs},
    )


def _by_name(entries: Any) -> dict[str, int]:
    return {entry.name.decode(): int(entry.tensorIndex) for entry in entries}
