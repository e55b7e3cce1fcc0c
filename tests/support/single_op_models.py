"""Graphs of one operator, or of the few that make a normalization, with int8 or int16 activations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.support.build_model import ModelBuilder
from tests.support.strategies import Quantization, int8_values, int16_values

__all__ = [
    "BROADCASTS",
    "SLICES",
    "activation_values",
    "batch_matmul",
    "elementwise",
    "fully_connected",
    "layout",
    "norm_s16",
    "strided_slice",
]

Shape = tuple[int, ...]
Values = dict[str, NDArray[np.signedinteger]]

# Shapes of two operands: equal, a number, one row, one value a row.
BROADCASTS: list[tuple[Shape, Shape]] = [
    ((3, 7), (3, 7)),
    ((2, 3, 5), (2, 3, 5)),
    ((11,), (11,)),
    ((2, 5), (1,)),
    ((2, 5), (1, 1)),
    ((2, 5), ()),
    ((3, 4), (4,)),
    ((3, 4), (1, 4)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (1, 1, 4)),
    ((3, 4), (3, 1)),
    ((2, 3, 4), (2, 3, 1)),
    ((1, 8), (1, 1)),
]


def activation_values(dtype: str, seed: int, shape: Sequence[int]) -> NDArray[np.signedinteger]:
    """Values of a tensor of that type."""
    return int16_values(seed, shape) if dtype == "INT16" else int8_values(seed, shape)


def elementwise(
    kind: str,
    shapes: tuple[Shape, Shape],
    quantized: tuple[Quantization, Quantization, Quantization],
    seed: int,
    constant: int | None = None,
    activation: int = 0,
    dtype: str = "INT8",
) -> tuple[bytes, Values]:
    """An element-wise operator of `a` and `b`, and values of both.

    Args:
        kind: the operator.
        shapes: of the operands.
        quantized: of the operands and of the result.
        seed: of the values.
        constant: the index of the operand that is one, if any.
        activation: that is fused, as the schema numbers them.
        dtype: of all three.
    """
    model = ModelBuilder()
    operands = list(zip("ab", shapes, quantized, strict=False))
    values = {name: activation_values(dtype, seed + index, shape) for index, (name, shape, _) in enumerate(operands)}
    inputs = [
        model.tensor(shape, *q.pair, data=values[name], dtype=dtype)
        if index == constant
        else model.input(name, shape, *q.pair, dtype=dtype)
        for index, (name, shape, q) in enumerate(operands)
    ]
    out = model.tensor(np.broadcast_shapes(*shapes), *quantized[2].pair, dtype=dtype)
    model.op(kind, inputs, [out], **({"fusedActivationFunction": activation} if activation else {}))
    return model.bytes({"y": out}), values


def fully_connected(
    weights: np.ndarray,
    scales: list[float],
    bias: np.ndarray | None,
    x: Quantization,
    y: Quantization,
    activation: int = 0,
    batch_shape: Shape = (1,),
    dtype: str = "INT8",
) -> bytes:
    """A product with constant weights.

    Args:
        weights: int8 [rows, depth].
        scales: of the weights, one or one a row.
        bias: [rows] or None; with int16 activations int64 or, by its type, int32.
        x: of the input [*batch_shape, depth].
        y: of the output [*batch_shape, rows].
        activation: that is fused, as the schema numbers them.
        batch_shape: the axes before the last.
        dtype: of input and output.
    """
    rows, depth = weights.shape
    model = ModelBuilder()
    inputs = [
        model.input("x", (*batch_shape, depth), *x.pair, dtype=dtype),
        model.tensor((rows, depth), scales, 0, weights),
    ]
    if bias is not None:
        wide = dtype == "INT16" and bias.dtype.itemsize == 8
        inputs.append(
            model.tensor((rows,), [scale * x.scale for scale in scales], 0, bias, "INT64" if wide else "INT32")
        )
    out = model.tensor((*batch_shape, rows), *y.pair, dtype=dtype)
    model.op("FULLY_CONNECTED", inputs, [out], fusedActivationFunction=activation, keepNumDims=True)
    return model.bytes({"y": out})


def batch_matmul(
    left: Shape,
    right: Shape,
    quantized: tuple[Quantization, Quantization, Quantization],
    seed: int,
    transposed: bool,
    constant: bool = False,
    dtype: str = "INT8",
) -> tuple[bytes, Values]:
    """The product of `a` and `b`, and values of both.

    Args:
        left: [*batches, rows, depth].
        right: [*batches, depth, columns], or [*batches, columns, depth] where it is transposed.
        quantized: of the operands and of the result.
        seed: of the values.
        transposed: whether `b` is.
        constant: whether `b` is.
        dtype: of all three.
    """
    model = ModelBuilder()
    values = {"a": activation_values(dtype, seed, left), "b": activation_values(dtype, seed + 1, right)}
    a = model.input("a", left, *quantized[0].pair, dtype=dtype)
    pair = quantized[1].pair
    b = (
        model.tensor(right, *pair, data=values["b"], dtype=dtype)
        if constant
        else model.input("b", right, *pair, dtype=dtype)
    )
    out = model.tensor((*left[:-1], right[-2 if transposed else -1]), *quantized[2].pair, dtype=dtype)
    model.op("BATCH_MATMUL", [a, b], [out], adjX=False, adjY=transposed)
    return model.bytes({"y": out}), values


def norm_s16(width: int, x: float, square: float, mean: float, root: float, y: float, epsilon: float) -> bytes:
    """x / √(mean of x² + epsilon), the root in float32."""
    model = ModelBuilder()
    source = model.input("x", (1, width), x, dtype="INT16")
    squares = model.tensor((1, width), square, dtype="INT16")
    model.op("MUL", [source, source], [squares])
    means = model.tensor((1, 1), mean, dtype="INT16")
    model.op("MEAN", [squares, model.tensor((1,), data=[1], dtype="INT32")], [means], keepDims=True)
    real, added, rooted = (model.tensor((1, 1), dtype="FLOAT32") for _ in range(3))
    model.op("DEQUANTIZE", [means], [real])
    model.op("ADD", [real, model.tensor((), data=np.float32(epsilon), dtype="FLOAT32")], [added])
    model.op("RSQRT", [added], [rooted])
    quantized = model.tensor((1, 1), root, dtype="INT16")
    model.op("QUANTIZE", [rooted], [quantized])
    out = model.tensor((1, width), y, dtype="INT16")
    model.op("MUL", [source, quantized], [out])
    return model.bytes({"y": out, "root": quantized})


# Shape, bounds, options and the result's shape: of the last axis, of the first, from behind, by masks, less an axis.
SLICES: list[tuple[Shape, list[int], list[int], dict[str, int], Shape]] = [
    ((3, 8), [0, 0], [3, 4], {}, (3, 4)),
    ((3, 8), [0, 5], [0, 0], {"beginMask": 1, "endMask": 3}, (3, 3)),
    ((2, 3, 8), [0, 0, -6], [2, 3, -2], {}, (2, 3, 4)),
    ((4, 5), [1, 0], [3, 5], {}, (2, 5)),
    ((1, 4, 5), [0, 3, 0], [1, 9, 5], {"shrinkAxisMask": 1}, (1, 5)),
    ((4, 6), [2, 0], [3, 6], {"shrinkAxisMask": 1}, (6,)),
    ((4, 6), [-1, 0], [0, 0], {"endMask": 2, "shrinkAxisMask": 1}, (6,)),
    ((1, 9), [0, 2], [1, 3], {"shrinkAxisMask": 2}, (1,)),
    ((3, 4), [0, 0], [3, 4], {}, (3, 4)),
]


def strided_slice(case: int, dtype: str) -> tuple[bytes, Values]:
    """A part of x, then its values in another scale, and values of x."""
    shape, begin, end, options, result = SLICES[case]
    wide = dtype == "INT16"
    model = ModelBuilder()
    x = model.input("x", shape, 2.0**-12 if wide else 0.05, 0 if wide else 3, dtype=dtype)
    part = model.tensor(result, 2.0**-12 if wide else 0.05, 0 if wide else 3, dtype=dtype)
    bounds = [model.tensor((len(shape),), data=values, dtype="INT32") for values in (begin, end, [1] * len(shape))]
    model.op("STRIDED_SLICE", [x, *bounds], [part], **options)
    out = model.tensor(result, 2.0**-11 if wide else 0.09, 0 if wide else -7, dtype=dtype)
    model.op("QUANTIZE", [part], [out])
    return model.bytes({"part": part, "y": out}), {"x": activation_values(dtype, 7 + case, shape)}


def layout(rows: int, half: int, dtype: str) -> tuple[bytes, Values]:
    """Every operator that moves nothing but views, one after the other: the halves of x change places."""
    model = ModelBuilder()
    wide = dtype == "INT16"
    q, other = (2.0**-12, 0) if wide else (0.05, 3), (2.0**-11, 0) if wide else (0.09, -7)
    x = model.input("x", (rows * 2 * half,), *q, dtype=dtype)
    matrix, left, right, joined, raised, moved, flat, out = (
        model.tensor(shape, *(other if number == 7 else q), dtype=dtype)
        for number, shape in enumerate(
            (
                *((rows, 2 * half), (rows, half), (rows, half), (rows, 2 * half), (rows, 1, 2 * half)),
                *((1, rows, 2 * half), (rows, 2 * half), (rows, 2 * half)),
            )
        )
    )

    def integers(*values: int) -> int:
        return model.tensor((len(values),), data=list(values), dtype="INT32")

    model.op("RESHAPE", [x, integers(rows, 2 * half)], [matrix], newShape=[rows, 2 * half])
    model.op("SPLIT", [integers(1), matrix], [left, right], numSplits=2)
    model.op("CONCATENATION", [right, left], [joined], axis=1)
    model.op("EXPAND_DIMS", [joined, integers(1)], [raised])
    model.op("TRANSPOSE", [raised, integers(1, 0, 2)], [moved])
    model.op("SQUEEZE", [moved], [flat], squeezeDims=[0])
    model.op("QUANTIZE", [flat], [out])
    outputs = {"right": right, "flat": flat, "y": out}
    return model.bytes(outputs), {"x": activation_values(dtype, 7 * rows + half, (rows * 2 * half,))}
