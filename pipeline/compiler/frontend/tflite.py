"""Reads a .tflite into a Graph."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.errors import ThimbleError, UnsupportedModel
from pipeline.numerics.kv_window import METADATA, SlidingWindow, StridedWindow, window_of_metadata

__all__ = ["read_tflite"]

_DTYPES = {
    "INT8": np.int8,
    "INT32": np.int32,
    "INT16": np.int16,
    "INT64": np.int64,
    "FLOAT32": np.float32,
    "UINT8": np.uint8,
}
_VERSION = 3
_AGAIN = "make it again: run the `quantize` stage with --force, or the program that wrote it"


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


_KINDS = _names(schema.BuiltinOperator)
_TYPES = _names(schema.TensorType)
_OPTIONS = _names(schema.BuiltinOptions)


def read_tflite(data: bytes) -> Graph:
    """The graph that TensorFlow Lite Micro runs: the model's first subgraph.

    Raises:
        ThimbleError: not a .tflite, or a damaged one.
        UnsupportedModel: its signature is of another subgraph, or leaves open what its inputs are called.
    """
    if len(data) < 16 or data[4:8] != b"TFL3":
        raise ThimbleError(
            "this is not a .tflite file", "give the output of the `quantize` stage or of a TFLite converter"
        )
    try:
        _require_room(data)
        return _graph(schema.ModelT.InitFromPackedBuf(data, 0))
    except ThimbleError:
        raise
    except Exception as error:  # flatbuffers are not validated: damage shows as any error at all
        raise ThimbleError(f"the .tflite is damaged: {type(error).__name__} while reading it", _AGAIN) from None


def _require_room(data: bytes) -> None:
    """Refuses more tables than the file has room for: offsets that point to one table again and again.

    Raises:
        ThimbleError: there are.
    """
    model = schema.Model.GetRootAs(data, 0)
    graphs = [model.Subgraphs(number) for number in range(min(model.SubgraphsLength(), len(data)))]
    tables = model.BuffersLength() + model.OperatorCodesLength() + model.MetadataLength() + model.SignatureDefsLength()
    tables += sum(graph.TensorsLength() + graph.OperatorsLength() for graph in graphs if graph is not None)
    signatures = [model.SignatureDefs(number) for number in range(min(model.SignatureDefsLength(), len(data)))]
    tables += sum(entry.InputsLength() + entry.OutputsLength() for entry in signatures if entry is not None)
    if 4 * tables > len(data):
        raise ThimbleError("the .tflite is damaged: it names more tables than it can hold", _AGAIN)


def _graph(model: Any) -> Graph:
    if not model.subgraphs:
        raise ThimbleError("the .tflite holds no graph", _AGAIN)
    if model.version != _VERSION:
        raise UnsupportedModel(f"the .tflite is of schema version {model.version}", f"give one of version {_VERSION}")
    subgraph = model.subgraphs[0]
    tensors = tuple(_tensor(index, tensor, model.buffers) for index, tensor in enumerate(_entries(subgraph.tensors)))
    ops = tuple(_op(operator, model.operatorCodes) for operator in _entries(subgraph.operators))
    order_in, order_out = (tuple(map(int, _entries(order))) for order in (subgraph.inputs, subgraph.outputs))
    if any(not 0 <= index < len(tensors) for index in (*order_in, *order_out)):
        raise ThimbleError("the .tflite contradicts itself: an input or output is no tensor", _AGAIN)
    inputs, outputs = _signature(model, tensors, order_in, order_out)
    return Graph(tensors, ops, inputs, outputs, order_in, order_out, _kv_window(model))


def _kv_window(model: Any) -> SlidingWindow | StridedWindow | None:
    """The window that the metadata says; None where they say none.

    Raises:
        ThimbleError: they say what cannot be one.
    """
    said = [entry.buffer for entry in _entries(model.metadata) if _text(entry.name) == METADATA]
    if not said:
        return None
    raw = model.buffers[said[0]].data
    try:
        return window_of_metadata(bytes(np.asarray(() if raw is None else raw, np.uint8)).decode())
    except (ValueError, RecursionError) as error:
        raise ThimbleError(
            f"the .tflite contradicts itself: its metadata {METADATA} are no window ({error})", _AGAIN
        ) from None


def _entries(vector: Any) -> Any:
    return () if vector is None else vector


def _op(operator: Any, codes: Any) -> Op:
    code = codes[operator.opcodeIndex]
    number = max(int(code.builtinCode), int(code.deprecatedBuiltinCode))
    kind = _KINDS.get(number, f"operator {number}")
    if kind == "CUSTOM":
        kind = f"CUSTOM {_text(code.customCode)!r}"
    options = {} if operator.builtinOptions is None else dict(vars(operator.builtinOptions))
    number = int(operator.builtinOptionsType)
    options_kind = _OPTIONS.get(number, f"options {number}") if number else ""
    if operator.builtinOptions2Type:
        options_kind = f"further options {operator.builtinOptions2Type}"
    inputs, outputs = (tuple(map(int, _entries(indices))) for indices in (operator.inputs, operator.outputs))
    return Op(kind, inputs, outputs, options, version=int(code.version), options_kind=options_kind)


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else "" if name is None else str(name)


def _tensor(index: int, tensor: Any, buffers: Any) -> Tensor:
    kind = _TYPES.get(int(tensor.type), f"type {tensor.type}")
    shape = tuple(int(size) for size in _entries(tensor.shape))
    quantization = tensor.quantization
    scales: Any = [] if quantization is None else _entries(quantization.scale)
    zero_points: Any = [] if quantization is None else _entries(quantization.zeroPoint)
    result = Tensor(
        index,
        _text(tensor.name),
        kind,
        shape,
        np.asarray(scales, np.float32).reshape(-1),
        np.asarray(zero_points, np.int64).reshape(-1),
        axis=0 if quantization is None else int(quantization.quantizedDimension),
    )
    buffer = buffers[tensor.buffer]
    raw = buffer.data
    if fault := _fault(tensor, buffer):
        return dataclasses.replace(result, fault=fault)
    if raw is None or len(raw) == 0:
        return result
    if kind not in _DTYPES:
        return dataclasses.replace(result, fault=f"values of type {kind}")
    values, dtype = np.asarray(raw, np.uint8), np.dtype(_DTYPES[kind])
    if any(size < 0 for size in shape) or values.size != result.size * dtype.itemsize:
        wanted = f"its shape {list(shape)} wants {result.size * dtype.itemsize:,}"
        return dataclasses.replace(result, fault=f"{values.size:,} bytes of values, and {wanted}")
    return dataclasses.replace(result, data=np.frombuffer(values.tobytes(), dtype).reshape(shape))


def _fault(tensor: Any, buffer: Any) -> str:
    """What TensorFlow Lite Micro or the compiler does not read of a tensor; empty where there is nothing."""
    quantization = tensor.quantization
    if tensor.sparsity is not None:
        return "values in a sparse format"
    if buffer.offset > 1 or buffer.size > 1 or tensor.externalBuffer:
        return "values that lie outside of the flatbuffer (Buffer.offset), which TensorFlow Lite Micro does not read"
    if quantization is not None and quantization.detailsType:
        return "a quantization of another kind than scales and zero points"
    if tensor.isVariable:
        return "a value that is kept from one run to the next"
    return "parts of other types" if tensor.variantTensors else ""


def _signature(
    model: Any, tensors: tuple[Tensor, ...], order_in: tuple[int, ...], order_out: tuple[int, ...]
) -> tuple[dict[str, int], dict[str, int]]:
    """Inputs and outputs by signature name, or by tensor name where there is no signature.

    Raises:
        ThimbleError: a signature whose names stand for other tensors than the subgraph's.
        UnsupportedModel: none of the signatures is the first subgraph's, or several are.
    """
    if not model.signatureDefs:
        return _by_tensor(tensors, order_in, "input"), _by_tensor(tensors, order_out, "output")
    told = [f"{_text(entry.signatureKey)!r} of subgraph {entry.subgraphIndex}" for entry in model.signatureDefs]
    first = [entry for entry in model.signatureDefs if entry.subgraphIndex == 0]
    chosen = first if len(first) == 1 else [entry for entry in first if _text(entry.signatureKey) == "serving_default"]
    if len(chosen) != 1:
        raise UnsupportedModel(
            f"TensorFlow Lite Micro runs subgraph 0, and it is open which signature is meant: {', '.join(told)}",
            "convert the model with the one signature of the decode step",
        )
    inputs, outputs = _by_name(chosen[0].inputs), _by_name(chosen[0].outputs)
    if set(inputs.values()) != set(order_in) or not set(outputs.values()) <= set(order_out):
        raise ThimbleError(
            f"the .tflite contradicts itself: its signature {told[0]} names other inputs or outputs than its graph",
            _AGAIN,
        )
    return inputs, outputs


def _by_name(entries: Any) -> dict[str, int]:
    names = [_text(entry.name) for entry in _entries(entries)]
    if len(set(names)) < len(names):
        raise ThimbleError("the .tflite contradicts itself: its signature has a name twice", _AGAIN)
    return {_text(entry.name): int(entry.tensorIndex) for entry in _entries(entries)}


def _by_tensor(tensors: tuple[Tensor, ...], order: tuple[int, ...], what: str) -> dict[str, int]:
    """By the tensors' names as TensorFlow gives them, `serving_default_token:0`; a number where there is none, and
    behind a name that another has."""
    names: dict[str, int] = {}
    for number, index in enumerate(order):
        name = tensors[index].name.removeprefix("serving_default_").partition(":")[0] or f"{what}_{number}"
        names[name if name not in names else f"{name}_{number}"] = index
    return names
