"""Norms, gates and rotary positions in one kernel each: the bytes of TensorFlow Lite Micro, at any scales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compiler import WeightLayout, explain
from pipeline.errors import UnsupportedModel
from tests.support.build_model import ModelBuilder
from tests.support.run_model import Workbench
from tests.support.strategies import Quantization, int8_values, quantizations, some, zero_points

pytestmark = pytest.mark.slow
packings = pytest.mark.parametrize("packing", [WeightLayout.INTERLEAVED_2, WeightLayout.ROW_MAJOR])
scales = st.floats(-7, 0).map(lambda power: float(np.float32(2.0**power)))


def norm(x: Quantization, columns: int, square: float, mean: float, root: float, y: Quantization) -> bytes:
    """x / sqrt(mean(x · x) + epsilon); squares, means and roots are not negative."""
    model = ModelBuilder()
    source = model.input("x", (1, columns), *x.pair)
    axis = model.tensor((1,), data=np.array([-1], np.int32), dtype="INT32")
    epsilon = model.tensor((), mean, -128, np.array(-127, np.int8))
    squared, averaged = model.tensor((1, columns), square, -128), model.tensor((1, 1), mean, -128)
    added, inverse = model.tensor((1, 1), mean, -128), model.tensor((1, 1), root, -128)
    out = model.tensor((1, columns), *y.pair)
    model.op("MUL", [source, source], [squared])
    model.op("MEAN", [squared, axis], [averaged], keepDims=True)
    model.op("ADD", [averaged, epsilon], [added])
    model.op("RSQRT", [added], [inverse])
    model.op("MUL", [source, inverse], [out])
    return model.bytes({"y": out})


@pytest.mark.parametrize("kinds", [["NEG"], ["ABS"], ["SQUARE"], ["SQRT"], ["SQUARE", "NEG"], ["NEG", "ABS", "SQRT"]])
@given(scale=scales, zero=zero_points, y=quantizations)
@some
def test_functions_in_float_are_tables(
    bench: Workbench, kinds: list[str], scale: float, zero: int, y: Quantization
) -> None:
    """All 256 inputs, and the operator before it in the same table; of roots those that are numbers."""
    model = ModelBuilder()
    rooted = "SQRT" in kinds[-1] and "ABS" not in kinds
    source = model.input("x", (1, 256), scale, zero)
    least = model.tensor((), scale, zero, min(zero + 1, 127))
    held = model.tensor((1, 256), scale, zero)
    if rooted:  # x · x / 256 + 1 of a scale is above 0
        squared, held = model.tensor((1, 256), scale, -128), model.tensor((1, 256), scale, -128)
        model.op("MUL", [source, source], [squared])
        model.op("ADD", [squared, model.tensor((), scale, -128, -127)], [held])
    else:
        model.op("ADD", [source, least], [held])
    real = model.tensor((1, 256), dtype="FLOAT32")
    model.op("DEQUANTIZE", [held], [real])
    for kind in kinds:
        inner, real = real, model.tensor((1, 256), dtype="FLOAT32")
        model.op(kind, [inner], [real])
    out = model.tensor((1, 256), *y.pair)
    model.op("QUANTIZE", [real], [out])
    tflite = model.bytes({"y": out})
    explained = explain(tflite)
    assert explained.fusions == {"table": 1} and not explained.alone
    bench.check(tflite, {"x": np.arange(-128, 128).astype(np.int8).reshape(1, 256)})


def test_a_function_in_float_that_has_no_number_is_refused(bench: Workbench) -> None:
    model = ModelBuilder()
    source, real, root = model.input("x", (1, 8), 0.1, 0), *(model.tensor((1, 8), dtype="FLOAT32") for _ in range(2))
    out = model.tensor((1, 8), 0.1, 0)
    model.op("DEQUANTIZE", [source], [real])
    model.op("SQRT", [real], [root])
    model.op("QUANTIZE", [root], [out])
    with pytest.raises(UnsupportedModel, match="SQRT"):
        bench.build(model.bytes({"y": out}))


@pytest.mark.variants(keep=1)
@packings
@given(
    x=quantizations,
    columns=st.integers(1, 40).map(lambda half: 2 * half) | st.just(33),
    square=scales,
    mean=scales,
    root=scales,
    y=quantizations,
    seed=st.integers(0, 1000),
)
@some
def test_norms(
    bench: Workbench,
    x: Quantization,
    columns: int,
    square: float,
    mean: float,
    root: float,
    y: Quantization,
    seed: int,
    packing: WeightLayout,
) -> None:
    bench.check(norm(x, columns, square, mean, root, y), {"x": int8_values(seed, (1, columns))}, packing)


@pytest.mark.variants(keep=1)
@packings
@given(
    gate=quantizations,
    product=quantizations,
    up=quantizations,
    y=quantizations,
    columns=st.integers(1, 70),
    seed=st.integers(0, 1000),
)
@some
def test_gates(
    bench: Workbench,
    gate: Quantization,
    product: Quantization,
    up: Quantization,
    y: Quantization,
    columns: int,
    seed: int,
    packing: WeightLayout,
) -> None:
    """(gate · logistic(gate)) · up."""
    model = ModelBuilder()
    source, up_input = model.input("gate", (1, columns), *gate.pair), model.input("up", (1, columns), *up.pair)
    logistic, activated = model.tensor((1, columns), 1 / 256, -128), model.tensor((1, columns), *product.pair)
    out = model.tensor((1, columns), *y.pair)
    model.op("LOGISTIC", [source], [logistic])
    model.op("MUL", [source, logistic], [activated])
    model.op("MUL", [activated, up_input], [out])
    values = {"gate": int8_values(seed, (1, columns)), "up": int8_values(seed + 1, (1, columns))}
    bench.check(model.bytes({"y": out}), values, packing)


def test_a_gate_of_several_rows_that_is_joined_to_others(bench: Workbench) -> None:
    """Its kernel writes row after row: it cannot write into a part of each row of the joined tensor."""
    model = ModelBuilder()
    source, up, beside = (model.input(name, (3, 8), 0.04, 5) for name in ("gate", "up", "beside"))
    logistic, out = model.tensor((3, 8), 1 / 256, -128), model.tensor((3, 8), 0.02, 2)
    moved, joined = model.tensor((3, 8), 0.02, 2), model.tensor((3, 16), 0.02, 2)
    model.op("LOGISTIC", [source], [logistic])
    model.op("MUL", [logistic, up], [out])
    model.op("QUANTIZE", [beside], [moved])
    model.op("CONCATENATION", [moved, out], [joined], axis=-1)
    values = {name: int8_values(seed, (3, 8)) for seed, name in enumerate(("gate", "up", "beside"))}
    bench.check(model.bytes({"y": joined}), values)


def rotary(heads: int, half: int, q: tuple[Quantization, ...]) -> bytes:
    """Pairs of x times matrices; q: of x, the matrices and the result."""
    model = ModelBuilder()
    x = model.input("x", (1, heads * 2 * half), *q[0].pair)
    rotation = model.input("matrices", (half, 2, 2), *q[1].pair)
    split = model.tensor((heads, 2, half), *q[0].pair)
    turned = [model.tensor((half, heads, 2), *quantization.pair) for quantization in (q[0], q[2])]
    out = model.tensor((heads, 2, half), *q[2].pair)
    shape, there, back = (
        model.tensor((3,), data=np.array(values, np.int32), dtype="INT32")
        for values in ((heads, 2, half), (2, 0, 1), (1, 2, 0))
    )
    model.op("RESHAPE", [x, shape], [split], newShape=[heads, 2, half])
    model.op("TRANSPOSE", [split, there], [turned[0]])
    model.op("BATCH_MATMUL", [turned[0], rotation], [turned[1]])
    model.op("TRANSPOSE", [turned[1], back], [out])
    return model.bytes({"y": out})


products = st.builds(Quantization, st.floats(-6, -3).map(lambda power: float(np.float32(2.0**power))), zero_points)
factors = st.builds(Quantization, st.just(1 / 128), zero_points)


@pytest.mark.variants(keep=1)
@packings
@given(
    heads=st.integers(1, 5),
    half=st.integers(1, 12),
    q=st.tuples(products, factors, products),
    seed=st.integers(0, 1000),
)
@some
def test_rotary_positions(
    bench: Workbench, heads: int, half: int, q: tuple[Quantization, ...], seed: int, packing: WeightLayout
) -> None:
    values = {"x": int8_values(seed, (1, 2 * heads * half)), "matrices": int8_values(seed + 1, (half, 2, 2))}
    bench.check(rotary(heads, half, q), values, packing)


def test_rotary_positions_are_one_kernel(bench: Workbench) -> None:
    q = (Quantization(0.05, 3), Quantization(1 / 128, -1), Quantization(0.06, 7))
    _, _, folder = bench.build(rotary(3, 8, q))
    text = (folder / "model.c").read_text()
    assert "thimble_rotary_s8(&" in text and "thimble_batch_matmul_s8" not in text and "thimble_copy" not in text


def test_norms_and_gates_are_one_kernel_each(bench: Workbench) -> None:
    _, _, folder = bench.build(norm(Quantization(0.05, 3), 64, 0.1, 0.02, 0.05, Quantization(0.05, 0)))
    text = (folder / "model.c").read_text()
    assert "thimble_norm_s8(&" in text and "thimble_mean_s8" not in text and "thimble_table_s8" not in text
