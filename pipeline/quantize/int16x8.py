"""From the converter's int16x8 graph to one that TensorFlow Lite Micro runs.

The converter leaves three things that TensorFlow Lite Micro has no int16 kernel for, or that a KV cache cannot have.
Each is replaced by standard operators, so that the .tflite stays a whole decode step:

- a look-up (GATHER) in an int16 table: looked up in int8 tables of the high and the low bytes, which QUANTIZE widens
  and ADD puts together again to the very same int16 value (one int8 table is enough for the mask);
- RSQRT of the norm's mean square: DEQUANTIZE, ADD of epsilon, RSQRT, QUANTIZE, one number a norm in float32;
- a QUANTIZE between a cache, or its new row, and their concatenation: the cache's input and the new row's output take
  the place of its result, so that both hold the same scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.quantize.tflite_file import read_model, schema, write_model

__all__ = ["legalize_for_tflm"]

_OP = schema.BuiltinOperator


def legalize_for_tflm(tflite: bytes, epsilon: float) -> bytes:
    """Rewrites a decode step to operators that TensorFlow Lite Micro supports.

    Args:
        tflite: of the converter, int16 activations and int8 weights, with one signature.
        epsilon: what the norms add to the mean square.
    """
    rewriter = _Rewriter(read_model(tflite))
    rewriter.tie_caches()
    rewriter.split_tables()
    rewriter.root_in_float(epsilon)
    return rewriter.bytes()


class _Rewriter:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.graph = model.subgraphs[0]
        self.signature = model.signatureDefs[0]

    # --- the three changes

    def tie_caches(self) -> None:
        """Each cache and its new row become the two inputs of their concatenation."""
        for entry in self.signature.inputs:
            name = entry.name.decode()
            if "_cache_" not in name:
                continue
            direct = self._sole_consumer(entry.tensorIndex)
            if self._kind(direct) == _OP.QUANTIZE:
                self._replace_input(entry, int(direct.outputs[0]))
                self.graph.operators.remove(direct)
                direct = self._sole_consumer(entry.tensorIndex)
            assert self._kind(direct) == _OP.CONCATENATION, f"{name} is not concatenated with its new row"
            new = next(out for out in self.signature.outputs if out.name.decode() == name.replace("cache", "new"))
            self._replace_output(new, int(direct.inputs[1]))

    def split_tables(self) -> None:
        """Replaces GATHER of int16 tables by sums of int8 tables."""
        halves: dict[int, list[tuple[int, float, int]]] = {}
        for op in list(self.graph.operators):
            table = self.graph.tensors[op.inputs[0]] if self._kind(op) == _OP.GATHER else None
            if table is None or table.type != schema.TensorType.INT16:
                continue
            index = int(op.inputs[0])
            if index not in halves:
                halves[index] = self._tables(table)
            self._look_up(op, halves[index])

    def root_in_float(self, epsilon: float) -> None:
        """1/√(mean + epsilon) of an int16 mean: the epsilon that int16 cannot hold is added in float32."""
        constant = None
        for op in list(self.graph.operators):
            if self._kind(op) != _OP.RSQRT:
                continue
            add = self._producer(op.inputs[0])
            assert self._kind(add) == _OP.ADD, "a norm adds its epsilon before RSQRT"
            mean = next(int(index) for index in add.inputs if self._producer(index) is not None)
            if constant is None:
                constant = self._tensor("epsilon", [], schema.TensorType.FLOAT32, data=np.float32(epsilon))
            shape = self.graph.tensors[op.outputs[0]].shape
            real, sum_, root = (
                self._tensor(name, shape, schema.TensorType.FLOAT32) for name in ("mean", "mean_plus_epsilon", "root")
            )
            replacement = [
                self._op(_OP.DEQUANTIZE, [mean], [real]),
                self._op(_OP.ADD, [real, constant], [sum_]),
                self._op(_OP.RSQRT, [sum_], [root]),
                self._op(_OP.QUANTIZE, [root], list(op.outputs)),
            ]
            self._replace_ops([op], replacement)
            self.graph.operators.remove(add)

    def bytes(self) -> bytes:
        """The model, without tensors' stale data: unused tensors are dropped."""
        self._drop_unused()
        return write_model(self.model)

    # --- tables

    def _tables(self, table: Any) -> list[tuple[int, float, int]]:
        """int8 tables that add up to the int16 one: (tensor, scale, zero point) each."""
        scale = float(table.quantization.scale[0])
        values = np.frombuffer(bytes(self.model.buffers[table.buffer].data), np.int16).reshape(table.shape)
        levels = np.unique(values)
        if len(levels) == 2 and levels[1] == 0 and levels[0] < 0:  # the mask
            step = float(np.float32(-levels[0] * scale / 127))
            return [self._table(np.where(values == 0, 0, -127), step, 0, "mask")]
        high, low = values >> 8, values & 255
        return [
            self._table(high, float(np.float32(256 * scale)), 0, "high_bytes"),
            self._table(low - 128, scale, -128, "low_bytes"),
        ]

    def _table(self, values: np.ndarray, scale: float, zero_point: int, name: str) -> tuple[int, float, int]:
        tensor = self._tensor(
            name, values.shape, schema.TensorType.INT8, (scale, zero_point), np.ascontiguousarray(values, np.int8)
        )
        return tensor, scale, zero_point

    def _look_up(self, op: Any, tables: Sequence[tuple[int, float, int]]) -> None:
        """`op` becomes look-ups in int8 tables."""
        out = self.graph.tensors[op.outputs[0]]
        scale = (float(out.quantization.scale[0]), 0)
        replacement, parts = [], []
        for table, table_scale, zero_point in tables:
            row = self._tensor("row", out.shape, schema.TensorType.INT8, (table_scale, zero_point))
            alone = len(tables) == 1
            wide = int(op.outputs[0]) if alone else self._tensor("wide", out.shape, schema.TensorType.INT16, scale)
            look_up = self._op(_OP.GATHER, [table, int(op.inputs[1])], [row])
            look_up.builtinOptionsType, look_up.builtinOptions = op.builtinOptionsType, op.builtinOptions
            replacement += [look_up, self._op(_OP.QUANTIZE, [row], [wide])]
            parts.append(wide)
        if len(parts) > 1:
            replacement.append(self._op(_OP.ADD, parts, list(op.outputs)))
        self._replace_ops([op], replacement)

    # --- the graph

    def _kind(self, op: Any) -> int:
        if op is None:
            return -1
        code = self.model.operatorCodes[op.opcodeIndex]
        return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))

    def _producer(self, tensor: int) -> Any:
        return next((op for op in self.graph.operators if tensor in op.outputs), None)

    def _sole_consumer(self, tensor: int) -> Any:
        (op,) = [op for op in self.graph.operators if tensor in op.inputs]
        return op

    def _replace_input(self, entry: Any, tensor: int) -> None:
        self.graph.inputs = [tensor if index == entry.tensorIndex else int(index) for index in self.graph.inputs]
        self.graph.tensors[tensor].name = self.graph.tensors[entry.tensorIndex].name
        entry.tensorIndex = tensor

    def _replace_output(self, entry: Any, tensor: int) -> None:
        self.graph.outputs = [tensor if index == entry.tensorIndex else int(index) for index in self.graph.outputs]
        entry.tensorIndex = tensor

    def _replace_ops(self, old: Sequence[Any], new: Sequence[Any]) -> None:
        index = self.graph.operators.index(old[0])
        self.graph.operators[index : index + len(old)] = list(new)

    def _op(self, kind: int, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
        codes = self.model.operatorCodes
        code_index = next((i for i, code in enumerate(codes) if code.builtinCode == kind), None)
        if code_index is None:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, min(kind, 127), 1
            codes.append(code)
            code_index = len(codes) - 1
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = code_index, [int(i) for i in inputs], [int(i) for i in outputs]
        if kind == _OP.ADD:
            op.builtinOptionsType, op.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
        return op

    def _tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: int,
        quantization: tuple[float, int] | None = None,
        data: np.ndarray | np.float32 | None = None,
    ) -> int:
        tensor = schema.TensorT()
        number = len(self.graph.tensors)
        tensor.name, tensor.shape, tensor.type = f"{name}_{number}".encode(), [int(n) for n in shape], kind
        if quantization is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [quantization[0]], [quantization[1]]
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return number

    def _drop_unused(self) -> None:
        """Tensors that nothing reads or writes go, and their buffers are emptied."""
        ops = self.graph.operators
        used = {int(i) for op in ops for i in (*op.inputs, *op.outputs) if i >= 0}
        used |= {int(i) for i in (*self.graph.inputs, *self.graph.outputs)}
        used_tensors = [i for i in range(len(self.graph.tensors)) if i in used]
        number = {old: new for new, old in enumerate(used_tensors)} | {-1: -1}
        tensors = [self.graph.tensors[i] for i in used_tensors]
        buffers = {int(tensor.buffer) for tensor in tensors}
        for index, buffer in enumerate(self.model.buffers):
            if index not in buffers and not self._is_metadata(index):
                buffer.data = None
        self.graph.tensors = tensors
        for op in ops:
            op.inputs, op.outputs = [number[int(i)] for i in op.inputs], [number[int(i)] for i in op.outputs]
        self.graph.inputs = [number[int(i)] for i in self.graph.inputs]
        self.graph.outputs = [number[int(i)] for i in self.graph.outputs]
        for entry in (*self.signature.inputs, *self.signature.outputs):
            entry.tensorIndex = number[int(entry.tensorIndex)]

    def _is_metadata(self, buffer: int) -> bool:
        return any(int(entry.buffer) == buffer for entry in self.model.metadata or [])
