"""The graph of a .tflite as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

__all__ = ["Graph", "Op", "Tensor"]


@dataclass(frozen=True)
class Tensor:
    """A tensor: constant when `data` is there. `scales` and `zero_points` hold one entry, or one a channel."""

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    data: NDArray[np.generic] | None = None

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


@dataclass(frozen=True)
class Op:
    """An operator; absent optional inputs are −1."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Operators in execution order; `inputs` and `outputs` map signature names to tensors, the orders list them as the
    interpreter numbers them."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    input_order: tuple[int, ...] = ()
    output_order: tuple[int, ...] = ()

    def consumers(self, tensor: int) -> list[Op]:
        """Operators with this tensor as an input."""
        return [op for op in self.ops if tensor in op.inputs]

    def producer(self, tensor: int) -> Op | None:
        """The operator that writes the tensor."""
        return next((op for op in self.ops if tensor in op.outputs), None)
