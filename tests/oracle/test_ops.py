"""Every op, alone: the generated C gives the bytes of TensorFlow Lite Micro."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.compiler import WeightLayout
from pipeline.compiler.ops.registry import ELEMENTWISE, OPERATORS
from pipeline.errors import ThimbleError, UnsupportedModel
from tests.support.build_model import ModelBuilder
from tests.support.run_model import Workbench
from tests.support.single_op_models import (
    BROADCASTS,
    SLICES,
    batch_matmul,
    elementwise,
    fully_connected,
    layout,
    strided_slice,
)
from tests.support.strategies import Quantization, int8_values, quantizations, some, zero_points

seeds = st.integers(0, 10_000)
activations = st.sampled_from([0, 0, 1, 2, 3])
sizes = st.integers(1, 9)


def element_kinds(dtype: str, arity: int) -> list[str]:
    """All element-wise operators of so many operands, from the compiler's registry."""
    return [kind for kind, operator in ELEMENTWISE.items() if operator.arity == arity and (kind, dtype) in OPERATORS]


@pytest.mark.variants(keep=1)
@pytest.mark.slow
@pytest.mark.parametrize("kind", element_kinds("INT8", 2))
@given(
    shapes=st.sampled_from(BROADCASTS),
    swap=st.booleans(),
    constant=st.sampled_from([None, 0, 1]),
    quantized=st.tuples(quantizations, quantizations, quantizations),
    activation=activations,
    seed=seeds,
)
@some
def test_elementwise(
    bench: Workbench,
    kind: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    swap: bool,
    constant: int | None,
    quantized: tuple[Quantization, Quantization, Quantization],
    activation: int,
    seed: int,
) -> None:
    operands = shapes[::-1] if swap else shapes
    if kind == "SQUARED_DIFFERENCE":  # has no activation; an output of another magnitude
        left, right, out = quantized
        quantized, activation = (left, right, Quantization(squared_scale(left, right, out.scale), out.zero_point)), 0
    bench.check(*elementwise(kind, operands, quantized, seed, constant, activation))


def squared_scale(left: Quantization, right: Quantization, factor: float) -> float:
    """A scale in which squared differences of int8 values vary."""
    return float(np.float32(max(left.scale, right.scale) ** 2 * 255 * min(max(factor, 0.02), 2.0)))


@pytest.mark.parametrize("kind", ["ADD", "MUL"])
def test_a_broadcast_that_no_kernel_has_is_refused(bench: Workbench, kind: str) -> None:
    model = ModelBuilder()
    a, b = model.input("a", (2, 3, 4), 0.1), model.input("b", (2, 1, 4), 0.1)
    out = model.tensor((2, 3, 4), 0.1)
    model.op(kind, [a, b], [out])
    with pytest.raises(ThimbleError, match=r"shapes \(2, 3, 4\) and \(2, 1, 4\)"):
        bench.build(model.bytes({"y": out}))


packings = pytest.mark.parametrize("packing", list(WeightLayout))


@pytest.mark.variants(keep=1)
@pytest.mark.slow
@packings
@given(
    rows=st.integers(1, 21),
    depth=st.integers(1, 37) | st.sampled_from([64, 127, 128]),
    per_channel=st.booleans(),
    with_bias=st.booleans(),
    lowest=st.sampled_from([-127, -128]),
    activation=activations,
    power=st.floats(-9, -1),
    x=quantizations,
    y=quantizations,
    seed=seeds,
)
@some
def test_fully_connected(
    bench: Workbench,
    packing: WeightLayout,
    rows: int,
    depth: int,
    per_channel: bool,
    with_bias: bool,
    lowest: int,
    activation: int,
    power: float,
    x: Quantization,
    y: Quantization,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    drawn = 2.0**power * random.uniform(0.1, 1, rows if per_channel else 1)
    scales = [float(scale) for scale in drawn.astype(np.float32)]
    bias = random.integers(-30_000, 30_000, rows) if with_bias else None
    weights = int8_values(seed + 1, (rows, depth), lowest)
    tflite = fully_connected(weights, scales, bias, x, y, activation)
    bench.check(tflite, {"x": int8_values(seed + 2, (1, depth))}, packing)


_EXTREMES = {
    "minus 128": None,
    "minus 128 over a negative weight": WeightLayout.INTERLEAVED_2,
    "sum": None,
    "bias": WeightLayout.ROW_MAJOR,
    "left shift": WeightLayout.ROW_MAJOR,
}
"""What the packing that the weights are to have cannot hold: None, PAIRS alone, or (as ROWS says) any but ROWS."""


@pytest.mark.variants(keep=5)
@packings
@pytest.mark.parametrize("why", _EXTREMES)
def test_extreme_rows(bench: Workbench, why: str, packing: WeightLayout) -> None:
    """Large sums are split; what a packing or the packed kernels' requantization cannot hold takes the plain rows."""
    rows, depth = 6, 512 if why == "sum" else 40
    weights = int8_values(3, (rows, depth), -127)
    bias = np.zeros(rows, np.int32)
    scale = 8.0 if why == "left shift" else 0.01
    if why == "minus 128":
        weights[2:4] = -128
    if why == "minus 128 over a negative weight":
        weights[:] = -128
    if why == "sum":
        weights[2] = 127
    if why == "bias":
        bias[1] = 1 << 30
    tflite = fully_connected(weights, [scale], bias, Quantization(0.5, -128), Quantization(1.0, 0), 0)
    _, _, folder = bench.build(tflite, packing)
    text = (folder / "model.c").read_text()
    kernel = WeightLayout.ROW_MAJOR if _EXTREMES[why] in (packing, WeightLayout.ROW_MAJOR) else packing
    parts = "_parts" if why == "sum" and kernel in (WeightLayout.INTERLEAVED_2, WeightLayout.INTERLEAVED_4) else ""
    assert f"thimble_fully_connected_{kernel}{parts}_s8(&" in text
    assert why != "sum" or kernel is WeightLayout.ROW_MAJOR or ".part = 512" not in text
    for seed in range(3):
        bench.check(tflite, {"x": int8_values(seed, (1, depth))}, packing)


@pytest.mark.variants(keep=4)
@pytest.mark.parametrize(("packing", "limit"), [(WeightLayout.INTERLEAVED_2, 256), (WeightLayout.INTERLEAVED_4, 128)])
@pytest.mark.parametrize("depth", [259, 260, 1023])
@pytest.mark.parametrize("input_value", [-128, 127])
def test_sums_around_the_limit(
    bench: Workbench, packing: WeightLayout, limit: int, depth: int, input_value: int
) -> None:
    """At 259 weights of 127 and the largest offset a row's sum is just below 2^23; beyond it the depth is split."""
    weights = np.tile(np.array([[127], [-127], [127], [-127]], np.int8), depth)
    assert 255 * 127 * 259 < 1 << 23 <= 255 * 127 * 260
    zero_point = -1 - input_value
    scale = 4e-6 * 1024 / depth
    tflite = fully_connected(weights, [scale], None, Quantization(1.0, zero_point), Quantization(1.0, 0), 0)
    _, _, folder = bench.build(tflite, packing)
    assert f".part = {260 if depth == 259 else limit}," in (folder / "model.c").read_text()
    for values in (np.full((1, depth), input_value), int8_values(depth, (1, depth)), np.full((1, depth), zero_point)):
        bench.check(tflite, {"x": values.astype(np.int8)}, packing)


@pytest.mark.slow
@given(
    batches=st.sampled_from([(), (1,), (3,), (2, 2)]),
    one_right=st.booleans(),
    transposed=st.booleans(),
    constant=st.booleans(),
    rows=st.integers(1, 4),
    depth=st.integers(1, 20),
    columns=st.integers(1, 9),
    quantized=st.tuples(quantizations, quantizations, quantizations),
    seed=seeds,
)
@some
def test_batch_matmul(
    bench: Workbench,
    batches: tuple[int, ...],
    one_right: bool,
    transposed: bool,
    constant: bool,
    rows: int,
    depth: int,
    columns: int,
    quantized: tuple[Quantization, Quantization, Quantization],
    seed: int,
) -> None:
    matrix = (columns, depth) if transposed else (depth, columns)
    right = ((1,) * len(batches) if one_right else batches) + matrix
    bench.check(*batch_matmul((*batches, rows, depth), right, quantized, seed, transposed, constant))


@pytest.mark.parametrize("kind", ["BATCH_MATMUL", "FULLY_CONNECTED"])
def test_a_products_scale_is_not_rounded_on_the_way(bench: Workbench, kind: str) -> None:
    """The product of these two input scales is another number in float32; a sum of 1735 shows it."""
    scales = 0.049944568425416946, 0.13223983347415924, 0.15183883905410767
    model = ModelBuilder()
    x, y = np.array([[100, 35, 0, 0]], np.int8), np.array([[17, 1, 0, 0], [1, 2, 3, 4]] * 4, np.int8)
    a, out = model.input("a", x.shape, scales[0]), model.tensor((1, len(y)), scales[2])
    if kind == "FULLY_CONNECTED":
        model.op(kind, [a, model.tensor(y.shape, scales[1], data=y)], [out])
        values = {"a": x}
    else:
        model.op(kind, [a, model.input("b", y.shape, scales[1])], [out], adjX=False, adjY=True)
        values = {"a": x, "b": y}
    bench.check(model.bytes({"y": out}), values)


@pytest.mark.slow
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 200),
    x=quantizations,
    beta=st.sampled_from([1.0, 0.5, 2.0]),
    seed=seeds,
)
@some
def test_softmax(bench: Workbench, rows: int, columns: int, x: Quantization, beta: float, seed: int) -> None:
    model = ModelBuilder()
    source = model.input("x", (rows, columns), *x.pair)
    out = model.tensor((rows, columns), 1 / 256, -128)
    model.op("SOFTMAX", [source], [out], beta=beta)
    bench.check(model.bytes({"y": out}), {"x": int8_values(seed, (rows, columns))})


@pytest.mark.slow
@given(
    shape=st.lists(st.integers(1, 6), max_size=2),
    columns=st.integers(1, 200),
    negative=st.booleans(),
    keep=st.booleans(),
    x=quantizations,
    y=quantizations,
    seed=seeds,
)
@some
def test_mean(
    bench: Workbench,
    shape: list[int],
    columns: int,
    negative: bool,
    keep: bool,
    x: Quantization,
    y: Quantization,
    seed: int,
) -> None:
    model = ModelBuilder()
    source = model.input("x", (*shape, columns), *x.pair)
    axis = model.tensor((1,), data=[-1 if negative else len(shape)], dtype="INT32")
    out = model.tensor((*shape, 1) if keep else tuple(shape), *y.pair)
    model.op("MEAN", [source, axis], [out], keepDims=keep)
    bench.check(model.bytes({"y": out}), {"x": int8_values(seed, (*shape, columns))})


AXES = [((1, 32, 1, 1), (1, 2, 3)), ((3, 1, 10), (1, 2)), ((2, 3, 4), (2, 1)), ((1, 6, 5), (0, -1, -2)), ((7, 1), (1,))]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(("shape", "axes"), AXES)
def test_mean_over_the_last_axes(bench: Workbench, shape: tuple[int, ...], axes: tuple[int, ...], keep: bool) -> None:
    """As `LayerNormalization` of Keras 2 has it."""
    for seed, (x, y) in enumerate([((0.1, 3), (0.02, -5)), ((0.07, -128), (0.07, -128)), ((0.5, 100), (0.9, 4))]):
        model = ModelBuilder()
        source = model.input("x", shape, *x)
        over = {axis % len(shape) for axis in axes}
        kept = [(axis, size) for axis, size in enumerate(shape) if keep or axis not in over]
        out = model.tensor([1 if axis in over else size for axis, size in kept], *y)
        model.op("MEAN", [source, model.tensor((len(axes),), data=axes, dtype="INT32")], [out], keepDims=keep)
        bench.check(model.bytes({"y": out}), {"x": int8_values(seed, shape)})


@pytest.mark.parametrize(("shape", "axes"), [((3, 4), (0,)), ((2, 3, 4), (0, 2)), ((1, 3, 5, 1), (1, 2)), ((3,), (1,))])
def test_a_mean_over_other_axes_is_refused(bench: Workbench, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    model = ModelBuilder()
    source, out = model.input("x", shape, 0.1, 0), model.tensor((1,) * len(shape), 0.1, 0)
    model.op("MEAN", [source, model.tensor((len(axes),), data=axes, dtype="INT32")], [out], keepDims=True)
    with pytest.raises(UnsupportedModel, match="axes"):
        bench.build(model.bytes({"y": out}))


OUTPUTS = {"LOGISTIC": Quantization(1 / 256, -128), "TANH": Quantization(1 / 128, 0)}


@pytest.mark.variants(keep=3)
@pytest.mark.slow
@pytest.mark.parametrize("kind", element_kinds("INT8", 1))
@given(x=quantizations, y=quantizations, alpha=st.sampled_from([0.01, 0.3, 1.5, 0.0]))
@some
def test_unary_over_all_inputs(bench: Workbench, kind: str, x: Quantization, y: Quantization, alpha: float) -> None:
    values = np.arange(-128, 128).astype(np.int8)
    if kind == "RSQRT":  # TensorFlow Lite Micro stops at a negative value
        values = np.maximum(values, x.zero_point).astype(np.int8)
    model = ModelBuilder()
    source = model.input("x", (4, 64), *x.pair)
    out = model.tensor((4, 64), *OUTPUTS.get(kind, y).pair)
    model.op(kind, [source], [out], **({"alpha": alpha} if kind == "LEAKY_RELU" else {}))
    bench.check(model.bytes({"y": out}), {"x": values.reshape(4, 64)})


@pytest.mark.slow
@given(power=st.floats(-20, 12), zero=zero_points, kind=st.sampled_from(["LOGISTIC", "TANH"]))
@some
def test_sigmoidal_at_scales_far_from_the_usual(bench: Workbench, power: float, zero: int, kind: str) -> None:
    model = ModelBuilder()
    source = model.input("x", (256,), float(np.float32(2.0**power)), zero)
    out = model.tensor((256,), *OUTPUTS[kind].pair)
    model.op(kind, [source], [out])
    bench.check(model.bytes({"y": out}), {"x": np.arange(-128, 128).astype(np.int8)})


@pytest.mark.slow
@given(
    rows=st.integers(1, 20),
    columns=st.integers(1, 12),
    by=st.sampled_from(["token", "position"]),
    seed=seeds,
    q=quantizations,
)
@some
def test_gather_by_token(bench: Workbench, rows: int, columns: int, by: str, seed: int, q: Quantization) -> None:
    model = ModelBuilder()
    index = model.input(by, (1,), dtype="INT32")
    table = model.tensor((rows, columns), *q.pair, data=int8_values(seed, (rows, columns)))
    row = model.tensor((1, columns), *q.pair)
    model.op("GATHER", [table, index], [row], axis=0)
    out = model.tensor((1, columns), 0.1, 5)
    model.op("QUANTIZE", [row], [out])
    row_index = np.array([seed % rows], np.int32)
    bench.check(model.bytes({"row": row, "y": out}), {by: row_index})


@pytest.mark.slow
@given(
    parts=st.integers(1, 4),
    axis=st.sampled_from(["first", "last", "negative"]),
    inner=sizes,
    each=sizes,
    outer=st.lists(st.integers(1, 3), max_size=2),
    q=quantizations,
    seed=seeds,
)
@some
def test_split(
    bench: Workbench, parts: int, axis: str, inner: int, each: int, outer: list[int], q: Quantization, seed: int
) -> None:
    shape: tuple[int, ...] = (*outer, parts * each)
    part: tuple[int, ...] = (*outer, each)
    axis_index = -1 if axis == "negative" else len(outer)
    if axis == "first":
        shape, part, axis_index = (parts * each, inner), (each, inner), 0
    model = ModelBuilder()
    source = model.input("x", shape, *q.pair)
    where = model.tensor((1,), data=[axis_index], dtype="INT32")
    outputs_in_order = [model.tensor(part, *q.pair) for _ in range(parts)]
    model.op("SPLIT", [where, source], outputs_in_order, numSplits=parts)
    out = model.tensor(part, 0.3, 1)
    model.op("QUANTIZE", [outputs_in_order[-1]], [out])
    outputs = {f"y{i}": index for i, index in enumerate([*outputs_in_order, out])}
    bench.check(model.bytes(outputs), {"x": int8_values(seed, shape)})


@pytest.mark.parametrize("case", range(len(SLICES)))
def test_strided_slice(bench: Workbench, case: int) -> None:
    bench.check(*strided_slice(case, "INT8"))


@pytest.mark.slow
@given(
    axis=st.sampled_from([0, 1, -1, 2]),
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    other_dims=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    computed=st.booleans(),
    twice=st.booleans(),
    q=quantizations,
    seed=seeds,
)
@some
def test_concatenation(
    bench: Workbench,
    axis: int,
    widths: list[int],
    other_dims: tuple[int, int],
    computed: bool,
    twice: bool,
    q: Quantization,
    seed: int,
) -> None:
    def shape(width: int) -> tuple[int, ...]:
        dims = list(other_dims)
        dims.insert(axis % 3, width)
        return tuple(dims)

    model = ModelBuilder()
    values, parts = {}, []
    for index, width in enumerate(widths):
        values[f"x{index}"] = int8_values(seed + index, shape(width))
        part = model.input(f"x{index}", shape(width), *q.pair)
        if computed:  # an op that can write into the concatenation's output itself
            relu = model.tensor(shape(width), *q.pair)
            model.op("RELU", [part], [relu])
            part = relu
        parts.append(part)
    if twice:
        parts.append(parts[0])
        widths = [*widths, widths[0]]
    out = model.tensor(shape(sum(widths)), *q.pair)
    model.op("CONCATENATION", parts, [out], axis=axis)
    bench.check(model.bytes({"y": out}), values)


@pytest.mark.slow
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    order=st.permutations([0, 1, 2, 3]),
    q=quantizations,
    seed=seeds,
)
@some
def test_reshape_and_transpose_of_unit_axes(
    bench: Workbench, shape: list[int], order: list[int], q: Quantization, seed: int
) -> None:
    spread = [*shape, *[1] * (4 - len(shape))]
    moved = [axis for axis in order if spread[axis] != 1]
    assume(moved == sorted(moved))
    model = ModelBuilder()
    source = model.input("x", (prod(shape),), *q.pair)
    wide = model.tensor(spread, *q.pair)
    target_shape = model.tensor((4,), data=spread, dtype="INT32")
    model.op("RESHAPE", [source, target_shape], [wide], newShape=spread)
    out = model.tensor([spread[axis] for axis in order], *q.pair)
    permutation = model.tensor((4,), data=order, dtype="INT32")
    model.op("TRANSPOSE", [wide, permutation], [out])
    result = model.tensor([spread[axis] for axis in order], 0.3, 1)
    model.op("QUANTIZE", [out], [result])
    bench.check(model.bytes({"y": out, "z": result}), {"x": int8_values(seed, (prod(shape),))})


@pytest.mark.parametrize(("rows", "half"), [(1, 1), (1, 8), (3, 5), (4, 2)])
def test_other_shapes(bench: Workbench, rows: int, half: int) -> None:
    bench.check(*layout(rows, half, "INT8"))
