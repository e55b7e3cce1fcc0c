"""Makes .tflite files of any ops, shapes, scales and zero points, without a converter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.quantize.tflite_file import schema, write_model

__all__ = ["ModelBuilder"]

_OPTIONS = {
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "SOFTMAX": "SoftmaxOptions",
    "MEAN": "ReducerOptions",
    "GATHER": "GatherOptions",
    "SPLIT": "SplitOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "CONCATENATION": "ConcatenationOptions",
    "RESHAPE": "ReshapeOptions",
    "TRANSPOSE": "TransposeOptions",
    "SQUEEZE": "SqueezeOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "HARD_SWISH": "HardSwishOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "PACK": "PackOptions",
    "EQUAL": "EqualOptions",
    "SELECT_V2": "SelectV2Options",
    "DYNAMIC_UPDATE_SLICE": "DynamicUpdateSliceOptions",
}
_NUMPY = {
    "BOOL": np.bool_,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FLOAT32": np.float32,
}


@dataclass
class ModelBuilder:
    """A graph in the making: `tensor` and `op` in execution order, then `bytes`."""

    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])
    ops: list[Any] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    inputs: dict[str, int] = field(default_factory=dict)

    def tensor(
        self,
        shape: Sequence[int],
        scale: float | Sequence[float] | None = None,
        zero_point: int = 0,
        data: object = None,
        dtype: str = "INT8",
        axis: int = 0,
    ) -> int:
        """A tensor, constant where there is data; several scales are one for each index of `axis`."""
        tensor = schema.TensorT()
        tensor.name = f"tensor{len(self.tensors)}".encode()
        tensor.shape = list(shape)
        tensor.type = getattr(schema.TensorType, dtype)
        if scale is not None:
            scales = [float(scale)] if isinstance(scale, float) else [float(value) for value in scale]
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = [zero_point] * len(scales)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            tensor.buffer = len(self.buffers)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, _NUMPY[dtype]).tobytes(), np.uint8)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def input(
        self, name: str, shape: Sequence[int], scale: float | None = None, zero_point: int = 0, dtype: str = "INT8"
    ) -> int:
        """An input of the graph."""
        self.inputs[name] = self.tensor(shape, scale, zero_point, dtype=dtype)
        return self.inputs[name]

    def op(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], **options: object) -> None:
        """An operator; options by their names in the schema."""
        code = getattr(schema.BuiltinOperator, kind)
        if code not in self.codes:
            self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if kind in _OPTIONS:
            name = _OPTIONS[kind]
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = getattr(schema, f"{name}T")()
            for key, value in options.items():
                if not hasattr(operator.builtinOptions, key):
                    raise KeyError(key)
                setattr(operator.builtinOptions, key, value)
        self.ops.append(operator)

    def bytes(self, outputs: dict[str, int]) -> bytes:
        """The .tflite, with one signature that names inputs and outputs."""
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.ops
        graph.inputs, graph.outputs = list(self.inputs.values()), list(outputs.values())
        signature = schema.SignatureDefT()
        signature.signatureKey = b"serving_default"
        signature.inputs, signature.outputs = _names(self.inputs), _names(outputs)
        model = schema.ModelT()
        model.version = 3
        model.subgraphs, model.buffers, model.signatureDefs = [graph], self.buffers, [signature]
        model.operatorCodes = [_code(code) for code in self.codes]
        return write_model(model)


def _code(number: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
    return code


def _names(tensors: dict[str, int]) -> list[Any]:
    entries = []
    for name, index in tensors.items():
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), index
        entries.append(entry)
    return entries
