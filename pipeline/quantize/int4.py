"""4-bit weights in a .tflite that stays standard int8.

The converter always stretches a row of weights to −127…127. Here rows that hold 15 levels become these levels' own
numbers, −7…7, with a scale that is larger by 127/7, and biases follow: the same values in int8 tensors of which an
engine may keep 4 bits each.
"""

from __future__ import annotations

import numpy as np

from pipeline.quantize.tflite_file import read_model, schema, write_model

__all__ = ["INT4_MAX", "rescale_to_int4", "round_to_int4"]

INT4_MAX = 7
"""The largest magnitude of a 4-bit weight."""


def round_to_int4(kernel: np.ndarray) -> np.ndarray:
    """Rounds a kernel [in, out] to −7…7 times a scale per output, which maps its largest weight to 7."""
    step = np.abs(kernel).max(axis=0, keepdims=True) / INT4_MAX
    step = np.where(step > 0, step, 1.0)
    return np.asarray(np.round(kernel / step) * step, np.float32)


def rescale_to_int4(tflite: bytes) -> bytes:
    """Rescales the weights of FULLY_CONNECTED to −7…7.

    Args:
        tflite: of the converter, made of `round_to_int4` kernels.
    """
    model = read_model(tflite)
    graph = model.subgraphs[0]
    done: set[int] = set()
    for op in graph.operators:
        if model.operatorCodes[op.opcodeIndex].builtinCode != schema.BuiltinOperator.FULLY_CONNECTED:
            continue
        weights, bias = int(op.inputs[1]), int(op.inputs[2]) if len(op.inputs) > 2 else -1
        if weights not in done:
            _divide(model, graph.tensors[weights], np.dtype(np.int8))
        if bias >= 0 and bias not in done:
            wide = graph.tensors[bias].type == schema.TensorType.INT64
            _divide(model, graph.tensors[bias], np.dtype(np.int64 if wide else np.int32))
        done |= {weights, bias}
    return write_model(model)


def _divide(model: schema.ModelT, tensor: schema.TensorT, dtype: np.dtype) -> None:
    """Integers smaller by 127/7, in a buffer of the tensor's own, and a scale larger by as much."""
    values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype)
    smaller = np.round(values.astype(np.float64) * (INT4_MAX / 127))
    assert dtype.itemsize > 1 or np.abs(smaller * (127 / INT4_MAX) - values).max() <= 0.5, "weights are on 15 levels"
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(smaller.astype(dtype).tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
    tensor.quantization.scale = np.asarray(tensor.quantization.scale, np.float32) * np.float32(127 / INT4_MAX)
