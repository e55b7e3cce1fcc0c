"""Random graphs of several ops against TensorFlow Lite Micro, and the memory plan by its properties."""

from __future__ import annotations

import numpy as np
import pytest
from build_model import ModelBuilder
from draws import Quantization, int8_values, quantizations, some
from hypothesis import given, settings
from hypothesis import strategies as st
from run_model import Workbench

from pipeline.compiler.memory_plan import Buffer, plan_memory

KINDS = (
    *("ADD", "SUB", "MUL", "LOGISTIC", "TANH", "RELU", "RELU6", "QUANTIZE", "SOFTMAX", "MEAN", "FULLY_CONNECTED"),
    *("SPLIT", "CONCATENATION", "RESHAPE", "TRANSPOSE", "BATCH_MATMUL"),
)
_FIXED = {
    "LOGISTIC": Quantization(1 / 256, -128),
    "SOFTMAX": Quantization(1 / 256, -128),
    "TANH": Quantization(1 / 128, 0),
}


class GraphDraw:
    """A graph in the making: tensors with shape and quantization, all [1, n] or [1, 1]."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.model = ModelBuilder()
        self.known: list[tuple[int, tuple[int, ...], Quantization]] = []
        self.outputs: dict[str, int] = {}
        self.values: dict[str, np.ndarray] = {}

    def add_input(self, columns: int) -> None:
        name = f"x{len(self.values)}"
        q = self.draw(quantizations)
        self.values[name] = int8_values(self.draw(st.integers(0, 999)), (1, columns))
        self.known.append((self.model.input(name, (1, columns), *q.pair), (1, columns), q))

    def made(self, shape: tuple[int, ...], q: Quantization) -> int:
        index = self.model.tensor(shape, *q.pair)
        self.known.append((index, shape, q))
        return index

    def add_op(self) -> None:
        kind = self.draw(st.sampled_from(KINDS))
        index, shape, q = self.draw(st.sampled_from(self.known))
        columns, new = shape[-1], self.draw(quantizations)
        if kind in ("ADD", "SUB", "MUL"):
            fitting = [one for one in self.known if one[1] == shape or one[1] == (1, 1) or shape == (1, 1)]
            other, other_shape, _ = self.draw(st.sampled_from(fitting))
            out = self.made(max(shape, other_shape), new)
            self.model.op(kind, [index, other], [out], fusedActivationFunction=self.draw(st.sampled_from([0, 0, 1, 3])))
        elif kind == "FULLY_CONNECTED":
            rows = self.draw(st.sampled_from([columns, 5, 8]))
            weights = int8_values(self.draw(st.integers(0, 999)), (rows, columns), -127)
            constant = self.model.tensor((rows, columns), 0.01, 0, weights)
            self.model.op(kind, [index, constant], [self.made((1, rows), new)])
        elif kind == "BATCH_MATMUL":
            rows = self.draw(st.integers(1, 6))
            constant = self.model.tensor((rows, columns), 0.02, 4, int8_values(rows, (rows, columns)))
            self.model.op(kind, [index, constant], [self.made((1, rows), new)], adjX=False, adjY=True)
        elif kind == "MEAN":
            axis = self.model.tensor((1,), data=[1], dtype="INT32")
            self.model.op(kind, [index, axis], [self.made((1, 1), new)], keepDims=True)
        elif kind == "SPLIT":
            parts = 2 if columns % 2 == 0 else 1
            axis = self.model.tensor((1,), data=[1], dtype="INT32")
            self.model.op(
                kind, [axis, index], [self.made((1, columns // parts), q) for _ in range(parts)], numSplits=parts
            )
        elif kind == "CONCATENATION":
            alike = [one for one in self.known if one[2] == q]
            others = self.draw(st.lists(st.sampled_from(alike), min_size=1, max_size=2))
            total = columns + sum(one[1][-1] for one in others)
            self.model.op(kind, [index, *(one[0] for one in others)], [self.made((1, total), q)], axis=1)
        elif kind == "RESHAPE":
            flat = self.model.tensor((columns, 1), *q.pair)
            there = self.model.tensor((2,), data=[columns, 1], dtype="INT32")
            back = self.model.tensor((2,), data=[1, columns], dtype="INT32")
            self.model.op(kind, [index, there], [flat], newShape=[columns, 1])
            self.model.op(kind, [flat, back], [self.made(shape, q)], newShape=[1, columns])
        elif kind == "TRANSPOSE":
            order = self.model.tensor((2,), data=[1, 0], dtype="INT32")
            turned = self.model.tensor((columns, 1), *q.pair)
            self.model.op(kind, [index, order], [turned])
            self.model.op(kind, [turned, order], [self.made(shape, q)])
        else:
            options = {"beta": 1.0} if kind == "SOFTMAX" else {}
            self.model.op(kind, [index], [self.made(shape, _FIXED.get(kind, new))], **options)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[bytes, dict[str, np.ndarray]]:
    """A .tflite and its inputs; outputs are the last tensor and any others."""
    graph = GraphDraw(draw)
    columns = draw(st.integers(1, 12))
    for _ in range(draw(st.integers(1, 2))):
        graph.add_input(columns)
    inputs = len(graph.known)
    for _ in range(draw(st.integers(3, 8))):
        graph.add_op()
    # One op at the end that computes, whatever was drawn: moves alone are no calls.
    last = graph.model.tensor(graph.known[-1][1], 0.3, 5)
    graph.model.op("QUANTIZE", [graph.known[-1][0]], [last])
    others = draw(st.lists(st.sampled_from([one[0] for one in graph.known[inputs:]]), max_size=3, unique=True))
    outputs = {f"y{place}": index for place, index in enumerate([last, *others])}
    return graph.model.bytes(outputs), graph.values


@pytest.mark.slow
@given(graphs())
@settings(some, max_examples=100)
def test_random_graphs(bench: Workbench, graph: tuple[bytes, dict[str, np.ndarray]]) -> None:
    bench.check(*graph)


buffers = st.lists(
    st.builds(
        lambda size, first, length: (size, first, first + length),
        st.integers(1, 300),
        st.integers(0, 20),
        st.integers(0, 8),
    ),
    max_size=25,
)


@given(buffers)
@some
def test_buffers_that_live_together_do_not_overlap(drawn: list[tuple[int, int, int]]) -> None:
    all_buffers = [Buffer(f"b{place}", *one) for place, one in enumerate(drawn)]
    plan = plan_memory(all_buffers)
    for place, one in enumerate(all_buffers):
        start = plan.offsets[one.name]
        assert start >= 0 and start % 4 == 0 and start + one.size <= plan.bytes
        for other in all_buffers[:place]:
            together = one.first <= other.last and other.first <= one.last
            apart = start + one.size <= plan.offsets[other.name] or plan.offsets[other.name] + other.size <= start
            assert apart or not together
    live = [sum(b.size for b in all_buffers if b.first <= step <= b.last) for step in range(30)]
    assert plan.largest_live_set == max(live, default=0) <= plan.bytes


@given(buffers)
@some
def test_the_plan_does_not_depend_on_the_order_of_the_buffers(drawn: list[tuple[int, int, int]]) -> None:
    all_buffers = [Buffer(f"b{place}", *one) for place, one in enumerate(drawn)]
    assert plan_memory(all_buffers) == plan_memory(all_buffers[::-1])
