"""What each operator says that it computes, in NumPy, is what TensorFlow Lite Micro computes.

`Workbench.check` holds every graph of the other tests to the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.compiler.ops.registry import OPERATORS
from tests.support.build_model import ModelBuilder
from tests.support.evaluate_graph import evaluate_graph
from tests.support.run_model import run_on_micro
from tests.support.single_op_models import BROADCASTS, SLICES, activation_values, strided_slice

_SAMPLES = 25
_OF_ACTIVATIONS = {"LOGISTIC": ((1 / 256, -128), 2.0**-15), "TANH": ((1 / 128, 0), 2.0**-15)}


class Sample:
    """A graph of one operator in the making."""

    def __init__(self, dtype: str, seed: int) -> None:
        self.dtype, self.seed, self.random = dtype, seed, np.random.default_rng(seed)
        self.model, self.values = ModelBuilder(), dict[str, NDArray[np.generic]]()

    def pair(self, low: float = -6, high: float = -1) -> tuple[float, int]:
        """Any scale and zero point of the type."""
        scale = float(np.float32(2.0 ** self.random.uniform(low, high)))
        return (scale / 256, 0) if self.dtype == "INT16" else (scale, int(self.random.integers(-128, 128)))

    def drawn(self, shape: tuple[int, ...], pair: tuple[float, int] | None = None) -> int:
        """An input of any values."""
        name = f"x{len(self.values)}"
        self.values[name] = activation_values(self.dtype, int(self.random.integers(1000)), shape)
        return self.model.input(name, shape, *(pair or self.pair()), dtype=self.dtype)

    def integers(self, *values: int) -> int:
        return self.model.tensor((len(values),), data=list(values), dtype="INT32")

    def made(self, kind: str, inputs: list[int], shape: Any, pair: tuple[float, int], **options: object) -> int:
        out = self.model.tensor(shape, *pair, dtype=self.dtype)
        self.model.op(kind, inputs, [out], **options)
        return out


def _binary(sample: Sample, kind: str) -> list[int]:
    shapes = BROADCASTS[sample.seed % len(BROADCASTS)]
    inputs = [sample.drawn(shape) for shape in shapes]
    options = {} if kind == "SQUARED_DIFFERENCE" else {"fusedActivationFunction": sample.seed % 4}
    return [sample.made(kind, inputs, np.broadcast_shapes(*shapes), sample.pair(), **options)]


def _unary(sample: Sample, kind: str) -> list[int]:
    of_type = _OF_ACTIVATIONS.get(kind)
    pair = sample.pair() if of_type is None else of_type[0] if sample.dtype == "INT8" else (of_type[1], 0)
    source = sample.drawn((3, 60))
    if kind == "RSQRT":  # TensorFlow Lite Micro stops at a negative value
        zero = sample.model.tensors[source].quantization.zeroPoint[0]
        sample.values["x0"] = np.maximum(sample.values["x0"], np.int8(zero))
    options = {"alpha": float(sample.random.uniform(0, 2))} if kind == "LEAKY_RELU" else {}
    return [sample.made(kind, [source], (3, 60), pair, **options)]


def _quantize(sample: Sample, kind: str) -> list[int]:
    """Between the types too."""
    if sample.dtype == "INT8":
        return _unary(sample, kind)
    to_narrow, from_narrow = sample.seed % 3 == 0, sample.seed % 3 == 1
    sample.dtype = "INT8" if from_narrow else "INT16"
    source = sample.drawn((3, 60))
    sample.dtype = "INT8" if to_narrow else "INT16"
    return [sample.made(kind, [source], (3, 60), sample.pair())]


def _batch_matmul(sample: Sample, kind: str) -> list[int]:
    batches, rows, depth, columns = (int(size) for size in sample.random.integers(1, 7, 4))
    transposed, one = bool(sample.seed & 1), bool(sample.seed & 2)
    right = (1 if one else batches, *((columns, depth) if transposed else (depth, columns)))
    inputs = [sample.drawn((batches, rows, depth)), sample.drawn(right)]
    return [sample.made(kind, inputs, (batches, rows, columns), sample.pair(), adjX=False, adjY=transposed)]


def _fully_connected(sample: Sample, kind: str) -> list[int]:
    rows, depth = (int(size) for size in sample.random.integers(1, 20, 2))
    x, out = sample.pair(), sample.pair(-2, 2)
    scales = [float(np.float32(2.0**power)) for power in sample.random.uniform(-8, -5, rows if sample.seed & 1 else 1)]
    weights = sample.model.tensor((rows, depth), scales, 0, sample.random.integers(-127, 128, (rows, depth)))
    inputs = [sample.drawn((1, depth), x), weights]
    if sample.seed & 2:
        wide = sample.dtype == "INT16" and bool(sample.seed & 4)
        biases = sample.random.integers(-9000, 9000, rows)
        inputs.append(
            sample.model.tensor((rows,), [x[0] * scale for scale in scales], 0, biases, "INT64" if wide else "INT32")
        )
    options = {"fusedActivationFunction": sample.seed % 4, "keepNumDims": True}
    return [sample.made(kind, inputs, (1, rows), out, **options)]


def _mean(sample: Sample, kind: str) -> list[int]:
    shape, axes = [((3, 40), (1,)), ((2, 3, 5), (1, 2)), ((1, 32, 1, 1), (1, 2, 3))][sample.seed % 3]
    out = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return [sample.made(kind, [sample.drawn(shape), sample.integers(*axes)], out, sample.pair(), keepDims=True)]


def _softmax(sample: Sample, kind: str) -> list[int]:
    shape = (2, int(sample.random.integers(1, 90)))
    out = (2.0**-15, 0) if sample.dtype == "INT16" else (1 / 256, -128)
    return [sample.made(kind, [sample.drawn(shape)], shape, out, beta=1.0 if sample.seed & 1 else 0.5)]


def _gather(sample: Sample, kind: str) -> list[int]:
    pair, rows = sample.pair(), int(sample.random.integers(1, 9))
    table = sample.model.tensor((rows, 7), *pair, data=activation_values("INT8", sample.seed, (rows, 7)))
    sample.values["token"] = sample.random.integers(0, rows, 1).astype(np.int32)
    return [sample.made(kind, [table, sample.model.input("token", (1,), dtype="INT32")], (1, 7), pair, axis=0)]


def _concatenation(sample: Sample, kind: str) -> list[int]:
    pair, axis = sample.pair(), sample.seed % 3
    shapes = [tuple(size if other != axis else size + part for other, size in enumerate((2, 3, 4))) for part in (0, 2)]
    whole = tuple(shapes[0][other] + (shapes[1][other] if other == axis else 0) for other in range(3))
    return [sample.made(kind, [sample.drawn(shape, pair) for shape in shapes], whole, pair, axis=axis)]


def _split(sample: Sample, kind: str) -> list[int]:
    pair = sample.pair()
    shape, axis = [((2, 6), -1), ((4, 5), 0)][sample.seed % 2]
    part = tuple(size // 2 if other == axis % 2 else size for other, size in enumerate(shape))
    inputs = [sample.integers(axis), sample.drawn(shape, pair)]
    outs = [sample.model.tensor(part, *pair, dtype=sample.dtype) for _ in range(2)]
    sample.model.op(kind, inputs, outs, numSplits=2)
    return outs


def _transpose(sample: Sample, kind: str) -> list[int]:
    pair, shape = sample.pair(), (2, 3, 4)
    order = sample.random.permutation(3).tolist()
    out = tuple(shape[axis] for axis in order)
    return [sample.made(kind, [sample.drawn(shape, pair), sample.integers(*order)], out, pair)]


def _view(sample: Sample, kind: str) -> list[int]:
    pair = sample.pair()
    shape, out, more = {
        "RESHAPE": ((2, 6), (3, 4), [3, 4]),
        "EXPAND_DIMS": ((2, 6), (2, 1, 6), [1]),
        "SQUEEZE": ((2, 1, 6), (2, 6), []),
    }[kind]
    inputs = [sample.drawn(shape, pair), *([sample.integers(*more)] if more else [])]
    return [sample.made(kind, inputs, out, pair, **({"squeezeDims": [1]} if kind == "SQUEEZE" else {}))]


SAMPLES: dict[str, Callable[[Sample, str], list[int]]] = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "SQUARED_DIFFERENCE"), _binary),
    **dict.fromkeys(("LOGISTIC", "TANH", "RSQRT", "RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH"), _unary),
    **dict.fromkeys(("RESHAPE", "EXPAND_DIMS", "SQUEEZE"), _view),
    **{"QUANTIZE": _quantize, "BATCH_MATMUL": _batch_matmul, "FULLY_CONNECTED": _fully_connected, "MEAN": _mean},
    **{"SOFTMAX": _softmax, "GATHER": _gather, "CONCATENATION": _concatenation, "SPLIT": _split},
    "TRANSPOSE": _transpose,
}


@pytest.mark.parametrize(("kind", "dtype"), OPERATORS, ids=lambda value: value)
def test_what_an_operator_says_it_computes(kind: str, dtype: str) -> None:
    """A few scales are refused, by the operator or by TensorFlow Lite Micro."""
    compared = 0
    for seed in range(_SAMPLES):
        if kind == "STRIDED_SLICE":
            tflite, sliced = strided_slice(seed % len(SLICES), dtype)
            values: dict[str, NDArray[Any]] = {**sliced}
        else:
            sample = Sample(dtype, seed)
            outs = SAMPLES[kind](sample, kind)
            tflite = sample.model.bytes({f"y{number}": out for number, out in enumerate(outs)})
            values = sample.values
        evaluated = evaluate_graph(tflite, values)
        try:
            expected = run_on_micro(tflite, values)
        except RuntimeError:
            continue
        if evaluated is not None:
            compared += 1
            assert all(np.array_equal(evaluated[name], expected[name]) for name in expected), seed
    assert compared > _SAMPLES // 2
