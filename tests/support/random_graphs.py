"""Random graphs of the supported ops, with quantizations under which values stay varied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.ops.registry import ELEMENTWISE
from tests.support.build_model import ModelBuilder
from tests.support.strategies import Quantization, int8_values

__all__ = ["RandomGraph"]

_FIXED = {"LOGISTIC": Quantization(1 / 256, -128), "TANH": Quantization(1 / 128, 0)}


@dataclass(frozen=True)
class Node:
    """A tensor so far; `positive` where no value lies below its zero point."""

    index: int
    shape: tuple[int, ...]
    quantization: Quantization
    positive: bool = False


class RandomGraph:
    """A graph of `steps` ops that a seed decides; most read what was made last, so that chains grow long.

    Every tensor that nothing reads is an output, and so are some others.

    Args:
        seed: decides the graph.
        steps: how many operators, or groups of them, it has.
        kinds: the element-wise operators to draw from, all that the compiler has unless given.
        has_slices: whether STRIDED_SLICE is drawn too.
    """

    def __init__(
        self, seed: int, steps: int, kinds: Sequence[str] = tuple(ELEMENTWISE), has_slices: bool = True
    ) -> None:
        self.element_kinds = kinds
        self.random = np.random.default_rng(seed)
        self.model = ModelBuilder()
        self.values: dict[str, NDArray[np.generic]] = {}
        self.nodes: list[Node] = []
        self.kinds: set[str] = set()
        token = self.model.input("token", (1,), dtype="INT32")
        self.values["token"] = np.array([int(self.random.integers(5))], np.int32)
        self.token = token
        for number in range(int(self.random.integers(1, 3))):
            shape = (int(self.random.integers(1, 4)), int(2 * self.random.integers(1, 9)))
            quantization = Quantization(self.scale(0.02), self.zero())
            index = self.model.input(f"x{number}", shape, *quantization.pair)
            self.values[f"x{number}"] = int8_values(4 * int(self.random.integers(1000)), shape)
            self.nodes.append(Node(index, shape, quantization))
        makers: list[Callable[[], None]] = [
            *(self.elementwise, self.elementwise, self.elementwise, self.unary, self.unary, self.fully_connected),
            *(self.softmax, self.mean, self.reshape, self.transpose, self.split_and_join, self.batch_matmul),
            *(self.gather, self.fully_connected, self.norm),
            *([self.strided_slice] if has_slices else []),
        ]
        for _ in range(steps):
            makers[int(self.random.integers(len(makers)))]()
        last = self.nodes[-1]
        self.add("QUANTIZE", [last.index], last.shape, Quantization(self.scale(last.quantization.scale), self.zero()))

    def bytes(self) -> bytes:
        """The .tflite."""
        read = {index for op in self.model.ops for index in op.inputs}
        computed = [index for op in self.model.ops for index in op.outputs]
        outputs = [index for index in computed if index not in read or self.random.random() < 0.2]
        return self.model.bytes({f"y{index}": index for index in outputs})

    # --- draws

    def scale(self, around: float) -> float:
        return float(np.float32(around * 2 ** self.random.uniform(-1.5, 1.5)))

    def zero(self) -> int:
        middle = int(self.random.integers(-60, 61))
        return int(self.random.choice([-128, 127, middle, middle, middle, middle]))

    def pick(self) -> Node:
        if self.random.random() < 0.6:
            return self.nodes[-1]
        return self.nodes[int(self.random.integers(len(self.nodes)))]

    def add(self, kind: str, inputs: list[int], shape: tuple[int, ...], q: Quantization, **options: object) -> Node:
        """The node that an op gives; `positive` where the op alone decides that."""
        out = self.model.tensor(shape, *q.pair)
        self.model.op(kind, inputs, [out], **options)
        self.kinds.add(kind)
        node = Node(out, shape, q, kind in ("LOGISTIC", "SOFTMAX", "RELU", "RELU6"))
        self.nodes.append(node)
        return node

    def integers(self, *values: int) -> int:
        return self.model.tensor((len(values),), data=list(values), dtype="INT32")

    # --- ops

    def elementwise(self) -> None:
        a = self.pick()
        candidates = [n for n in self.nodes if n.shape == a.shape or n.shape == (*a.shape[:-1], 1)]
        chance = self.random.random()
        if chance < 0.5:
            b = candidates[int(self.random.integers(len(candidates)))]
        else:
            shape = [(), (1,), (a.shape[-1],), a.shape][int(self.random.integers(4))]
            q = Quantization(self.scale(0.02), self.zero())
            data = int8_values(4 * int(self.random.integers(1000)), shape)
            b = Node(self.model.tensor(shape, *q.pair, data=data), shape, q)
        kind = str(self.random.choice([kind for kind in self.element_kinds if ELEMENTWISE[kind].arity == 2]))
        largest = max(a.quantization.scale, b.quantization.scale)
        products = {"MUL": a.quantization.scale * b.quantization.scale * 90, "SQUARED_DIFFERENCE": largest**2 * 90}
        wide = products.get(kind, largest * 1.4)
        operands = [a.index, b.index] if self.random.random() < 0.5 else [b.index, a.index]
        shape = np.broadcast_shapes(a.shape, b.shape)
        activation = int(self.random.choice([0, 0, 0, 1, 2, 3]))
        q = Quantization(self.scale(wide), self.zero())
        options = {} if kind == "SQUARED_DIFFERENCE" else {"fusedActivationFunction": activation}
        self.add(kind, operands, shape, q, **options)

    def unary(self) -> None:
        a = self.pick()
        unary = [kind for kind in self.element_kinds if ELEMENTWISE[kind].arity == 1]
        kind = str(self.random.choice([kind for kind in unary if kind != "RSQRT" or a.positive]))
        around = 0.05 / a.quantization.scale**0.5 if kind == "RSQRT" else a.quantization.scale
        options = {"alpha": 0.1} if kind == "LEAKY_RELU" else {}
        self.add(kind, [a.index], a.shape, _FIXED.get(kind, Quantization(self.scale(around), self.zero())), **options)

    def fully_connected(self) -> None:
        a = self.pick()
        depth, rows = prod(a.shape), int(self.random.integers(1, 14))
        flat = self.reshaped(a, (1, depth))
        count = rows if self.random.random() < 0.6 else 1
        scales = [self.scale(0.01) for _ in range(count)]
        weights = int8_values(4 * int(self.random.integers(1000)), (rows, depth), int(self.random.choice([-127, -128])))
        inputs = [flat.index, self.model.tensor((rows, depth), scales, 0, weights)]
        if self.random.random() < 0.5:
            bias = self.random.integers(-9000, 9000, rows)
            bias_scales = [float(np.float32(scale * a.quantization.scale)) for scale in scales]
            inputs.append(self.model.tensor((rows,), bias_scales, 0, bias, "INT32"))
        q = Quantization(self.scale(a.quantization.scale * 0.01 * 60 * depth**0.5), self.zero())
        activation = int(self.random.choice([0, 0, 1, 3]))
        self.add("FULLY_CONNECTED", inputs, (1, rows), q, fusedActivationFunction=activation, keepNumDims=True)

    def softmax(self) -> None:
        a = self.pick()
        beta = float(self.random.choice([1.0, 0.25]))
        self.add("SOFTMAX", [a.index], a.shape, Quantization(1 / 256, -128), beta=beta)

    def mean(self) -> None:
        a = self.pick()
        q = Quantization(self.scale(a.quantization.scale * 0.5), self.zero())
        axis = self.integers(len(a.shape) - 1)
        self.add("MEAN", [a.index, axis], (*a.shape[:-1], 1), q, keepDims=True)

    def norm(self) -> None:
        """RMSNorm: x · rsqrt(mean(x·x) + ε)."""
        x = self.pick()
        scale = x.quantization.scale
        square = self.add("MUL", [x.index, x.index], x.shape, Quantization(self.scale(scale**2 * 100), -128))
        power = Quantization(self.scale(square.quantization.scale * 0.5), -128)
        axis = self.integers(len(x.shape) - 1)
        mean = self.add("MEAN", [square.index, axis], (*x.shape[:-1], 1), power, keepDims=True)
        epsilon = self.model.tensor((), power.scale / 100, -128, 3)
        raised = self.add("ADD", [mean.index, epsilon], mean.shape, Quantization(power.scale * 1.01, -128))
        inverse = Quantization(self.scale(raised.quantization.scale**-0.5 / 600), -128)
        root = self.add("RSQRT", [raised.index], raised.shape, inverse)
        self.add("MUL", [x.index, root.index], x.shape, Quantization(self.scale(0.02), self.zero()))

    def reshaped(self, a: Node, shape: tuple[int, ...]) -> Node:
        node = self.add("RESHAPE", [a.index, self.integers(*shape)], shape, a.quantization, newShape=list(shape))
        self.nodes[-1] = Node(node.index, shape, a.quantization, a.positive)
        return self.nodes[-1]

    def reshape(self) -> None:
        a = self.pick()
        size = prod(a.shape)
        divisors = [d for d in range(1, size + 1) if size % d == 0]
        rows = int(self.random.choice(divisors))
        self.reshaped(a, (rows, size // rows) if self.random.random() < 0.7 else (1, rows, size // rows))

    def transpose(self) -> None:
        a = self.pick()
        wide = self.reshaped(a, (1, *a.shape) if len(a.shape) < 3 else a.shape)
        if wide.shape[0] != 1:
            return
        order = [1, 0, 2]
        shape = tuple(wide.shape[axis] for axis in order)
        self.add("TRANSPOSE", [wide.index, self.integers(*order)], shape, wide.quantization)

    def split_and_join(self) -> None:
        """The halves of the last axis, one changed, joined the other way around: as rotary positions do."""
        a = self.pick()
        if a.shape[-1] % 2:
            return
        half = (*a.shape[:-1], a.shape[-1] // 2)
        parts = [self.model.tensor(half, *a.quantization.pair) for _ in range(2)]
        self.model.op("SPLIT", [self.integers(len(a.shape) - 1), a.index], parts, numSplits=2)
        self.kinds.add("SPLIT")
        if self.random.random() < 0.7:
            parts[0] = self.add("ADD", parts, half, a.quantization).index
        inputs = [parts[1], parts[0]]
        self.add("CONCATENATION", inputs, a.shape, a.quantization, axis=int(self.random.choice([-1, len(a.shape) - 1])))

    def strided_slice(self) -> None:
        """Some neighbours along the last axis."""
        a = self.pick()
        first, end = sorted(int(self.random.integers(a.shape[-1] + 1)) for _ in range(2))
        if first == end:
            return
        outer = a.shape[:-1]
        bounds = [(*(0 for _ in outer), first), (*outer, end), (1,) * len(a.shape)]
        inputs = [a.index, *(self.integers(*values) for values in bounds)]
        self.add("STRIDED_SLICE", inputs, (*outer, end - first), a.quantization)

    def batch_matmul(self) -> None:
        a = self.pick()
        columns, transposed = int(self.random.integers(1, 7)), bool(self.random.random() < 0.5)
        matrix = (columns, a.shape[-1]) if transposed else (a.shape[-1], columns)
        shape = (1,) * (len(a.shape) - 2) + matrix
        q = Quantization(self.scale(0.02), self.zero())
        b = self.model.tensor(shape, *q.pair, data=int8_values(4 * int(self.random.integers(1000)), shape))
        around = a.quantization.scale * q.scale * 60 * a.shape[-1] ** 0.5
        out = (*a.shape[:-1], columns)
        q = Quantization(self.scale(around), self.zero())
        self.add("BATCH_MATMUL", [a.index, b], out, q, adjX=False, adjY=transposed)

    def gather(self) -> None:
        columns = int(self.random.integers(2, 12))
        q = Quantization(self.scale(0.02), self.zero())
        table = self.model.tensor(
            (5, columns), *q.pair, data=int8_values(4 * int(self.random.integers(999)), (5, columns))
        )
        self.add("GATHER", [table, self.token], (1, columns), q, axis=0)
