"""A small .tflite, and what another program may have written in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.quantize.tflite_file import read_model, write_model
from tests.support.build_model import ModelBuilder
from tests.support.strategies import int8_values

__all__ = ["changed", "every_operator", "one_product"]


def one_product(dtype: str = "INT8") -> bytes:
    """A fully connected layer of 8 columns and 6 rows, with a scale for each row and biases."""
    model = ModelBuilder()
    scale = 2.0**-10 if dtype == "INT16" else 0.1
    x = model.input("x", (1, 8), scale, 0 if dtype == "INT16" else 3, dtype=dtype)
    scales = [0.01 * (row + 1) for row in range(6)]
    weights = model.tensor((6, 8), scales, 0, int8_values(0, (6, 8), -127))
    bias = model.tensor((6,), [scale * each for each in scales], 0, np.arange(6), "INT32")
    out = model.tensor((1, 6), scale * 4, 0, dtype=dtype)
    model.op("FULLY_CONNECTED", [x, weights, bias], [out], keepNumDims=True)
    return model.bytes({"y": out})


def every_operator() -> tuple[bytes, dict[str, int]]:
    """A graph that has each int8 operator once, and the place of each operator in it."""
    model = ModelBuilder()
    q, other = (0.05, 3), (0.07, -9)
    token = model.input("token", (1,), dtype="INT32")
    x = model.input("x", (2, 8), *q)
    places: dict[str, int] = {}

    def integers(*values: int) -> int:
        return model.tensor((len(values),), data=list(values), dtype="INT32")

    def add(kind: str, inputs: list[int], shape: tuple[int, ...], pair: tuple[float, int], **options: object) -> int:
        out = model.tensor(shape, *pair)
        places[kind] = len(model.ops)
        model.op(kind, inputs, [out], **options)
        return out

    table = model.tensor((5, 8), *q, data=int8_values(0, (5, 8)))
    row = add("GATHER", [table, token], (1, 8), q, axis=0)
    weights = model.tensor((8, 8), 0.01, 0, int8_values(4, (8, 8), -127))
    bias = model.tensor((8,), q[0] * 0.01, 0, np.arange(8), "INT32")
    product = add("FULLY_CONNECTED", [row, weights, bias], (1, 8), other, keepNumDims=True)
    total = add("ADD", [x, product], (2, 8), (0.1, 0))
    less = add("SUB", [total, x], (2, 8), (0.15, 1))
    times = add("MUL", [less, x], (2, 8), (0.1, 2))
    square = add("SQUARED_DIFFERENCE", [times, total], (2, 8), (0.5, -128))
    mean = add("MEAN", [square, integers(1)], (2, 1), (0.4, -128), keepDims=True)
    root = add("RSQRT", [mean], (2, 1), (0.02, -128))
    scaled = add("MUL", [times, root], (2, 8), q)
    for kind, pair in (("LOGISTIC", (1 / 256, -128)), ("TANH", (1 / 128, 0)), ("RELU", other), ("RELU6", q)):
        scaled = add(kind, [scaled], (2, 8), pair)
    scaled = add("QUANTIZE", [scaled], (2, 8), other)
    scaled = add("HARD_SWISH", [scaled], (2, 8), other)
    scaled = add("LEAKY_RELU", [scaled], (2, 8), q, alpha=0.1)
    first, right = model.tensor((2, 4), *q), model.tensor((2, 4), *q)
    places["SPLIT"] = len(model.ops)
    model.op("SPLIT", [integers(1), scaled], [first, right], numSplits=2)
    left = add("STRIDED_SLICE", [scaled, *(integers(*each) for each in ((0, 0), (2, 4), (1, 1)))], (2, 4), q)
    joined = add("CONCATENATION", [right, left], (2, 8), q, axis=1)
    raised = add("EXPAND_DIMS", [joined, integers(0)], (1, 2, 8), q)
    moved = add("TRANSPOSE", [raised, integers(1, 0, 2)], (2, 1, 8), q)
    squeezed = add("SQUEEZE", [moved], (2, 8), q, squeezeDims=[1])
    shaped = add("RESHAPE", [squeezed, integers(4, 4)], (4, 4), q, newShape=[4, 4])
    matrix = model.tensor((4, 5), *q, data=int8_values(8, (4, 5)))
    scores = add("BATCH_MATMUL", [shaped, matrix], (4, 5), (0.2, 0), adjX=False, adjY=False)
    out = add("SOFTMAX", [scores], (4, 5), (1 / 256, -128), beta=1.0)
    return model.bytes({"y": out}), places


def changed(tflite: bytes, change: Callable[[Any], None]) -> bytes:
    """The .tflite with something of its `ModelT` changed."""
    model = read_model(tflite)
    change(model)
    return write_model(model)
