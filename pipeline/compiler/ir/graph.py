"""The graph of a .tflite as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.kv_window import SlidingWindow, StridedWindow

__all__ = ["RESHAPE_OPS", "Graph", "Op", "Tensor", "is_int8", "is_int16"]

RESHAPE_OPS = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
"""Operators that give their first input another shape."""


@dataclass(frozen=True)
class Tensor:
    """A tensor: constant when `data` is there. `scales` and `zero_points` hold one entry, or one for each index of
    `axis`. `fault` says why the values of a constant could not be read, or what else is odd about it."""

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    data: NDArray[np.generic] | None = None
    axis: int = 0
    fault: str = ""

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def ctype(self) -> str:
        """The C type of an element, `int8_t` for INT8."""
        return f"{self.dtype.lower()}_t"

    @property
    def bytes(self) -> int:
        """Bytes of all elements, of an int8 or int16 tensor."""
        return self.size * (2 if self.dtype == "INT16" else 1)

    @property
    def buffer_bytes(self) -> int:
        """Bytes of a buffer for it; kernels read int16 in groups of four."""
        return 2 * ((self.size + 3) // 4 * 4) if self.dtype == "INT16" else self.size

    @property
    def columns(self) -> int:
        """Length of the last axis."""
        return self.shape[-1] if self.shape else 1

    @property
    def rows(self) -> int:
        """Length of all axes before the last."""
        return self.size // max(self.columns, 1)

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantized tensor."""
        return float(self.scales[0])

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantized tensor."""
        return int(self.zero_points[0])


def is_int8(*tensors: Tensor) -> bool:
    """Whether all are int8 with one scale."""
    return all(tensor.dtype == "INT8" and tensor.scales.size == 1 for tensor in tensors)


def is_int16(*tensors: Tensor) -> bool:
    """Whether all are int16 with one scale; TensorFlow Lite Micro wants them symmetric."""
    return all(tensor.dtype == "INT16" and tensor.scales.size == 1 and tensor.zero_point == 0 for tensor in tensors)


@dataclass(frozen=True)
class Op:
    """An operator; absent optional inputs are −1.

    `kind` is the .tflite's name in capitals, or the name of a fusion, with `fusion` what that found. `name` is what a
    matrix product is called. `version` is the .tflite's, `options_kind` the schema's name of its options, empty where
    it has none.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    name: str = ""
    fusion: object = None
    version: int = 1
    options_kind: str = ""

    def int_option(self, name: str, default: int = 0) -> int:
        """An option that is an integer."""
        return int(str(self.options.get(name, default)))

    def float_option(self, name: str, default: float) -> float:
        """An option that is a real number."""
        return float(str(self.options.get(name, default)))

    @property
    def activation(self) -> int:
        """The activation that is fused into it, as the schema numbers them; 0 is none."""
        return self.int_option("fusedActivationFunction")


@dataclass(frozen=True)
class Graph:
    """Operators in execution order; `inputs` and `outputs` map signature names to tensors, the orders list them as the
    interpreter numbers them. `kv_window` is the window that the .tflite says its caches have."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    input_order: tuple[int, ...] = ()
    output_order: tuple[int, ...] = ()
    kv_window: SlidingWindow | StridedWindow | None = None

    def consumers(self, tensor: int) -> list[Op]:
        """Operators with this tensor as an input."""
        return [op for op in self.ops if tensor in op.inputs]

    def producer(self, tensor: int) -> Op | None:
        """The operator that writes the tensor."""
        return next((op for op in self.ops if tensor in op.outputs), None)

    def reads_alone(self, tensor: int) -> bool:
        """Whether one operator reads the tensor, and nothing else."""
        return len(self.consumers(tensor)) == 1 and tensor not in self.outputs.values()

    def sole_producer(self, tensor: int, kind: str) -> Op | None:
        """The operator of that kind that writes the tensor, which one other operator alone reads."""
        op = self.producer(tensor)
        return op if op is not None and op.kind == kind and self.reads_alone(tensor) else None

    def dtype_of(self, op: Op) -> str:
        """INT16 where its first input or an output is, else INT8: what its lowering goes by."""
        wide = any(self.tensors[index].dtype == "INT16" for index in (*op.inputs[:1], *op.outputs) if index >= 0)
        return "INT16" if wide else "INT8"

    def place(self, op: Op) -> int:
        """The operator's number in the order of execution."""
        return next(number for number, other in enumerate(self.ops) if other is op)

    def rewritten(self, replacements: Mapping[int, Op], removed: Iterable[int] = ()) -> Graph:
        """The graph with some operators replaced and some removed, by their numbers, and without those that nothing
        reads any more."""
        gone = set(removed) - set(replacements)
        ops = {number: replacements.get(number, op) for number, op in enumerate(self.ops) if number not in gone}
        read_before = {index for op in self.ops for index in op.inputs}
        wanted = set(self.outputs.values())
        for number in sorted(ops, reverse=True):
            made = set(ops[number].outputs)
            if made & wanted or (number not in replacements and not made & read_before):
                wanted.update(ops[number].inputs)
            else:
                del ops[number]
        return replace(self, ops=tuple(ops.values()))
