"""Every op with int16 activations, alone: the generated C gives the bytes of TensorFlow Lite Micro."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.compiler.arithmetic_s16 import MAX_SHIFT
from pipeline.errors import ThimbleError
from tests.support.build_model import ModelBuilder
from tests.support.run_model import Workbench
from tests.support.single_op_models import (
    BROADCASTS,
    SLICES,
    batch_matmul,
    elementwise,
    fully_connected,
    layout,
    norm_s16,
    strided_slice,
)
from tests.support.strategies import Quantization, int8_values, int16_values, some, zero_points

seeds = st.integers(0, 10_000)
activations = st.sampled_from([0, 0, 1, 2, 3])
scales = st.floats(-15, -4).map(lambda power: float(np.float32(2.0**power))) | st.sampled_from([2.0**-15, 2.0**-12])
symmetric = st.builds(Quantization, scales, st.just(0))


@pytest.mark.variants(keep=1)
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL"])
@given(
    shapes=st.sampled_from(BROADCASTS),
    swap=st.booleans(),
    constant=st.sampled_from([None, 0, 1]),
    quantized=st.tuples(symmetric, symmetric, symmetric),
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
    a, b, y = quantized
    if kind == "MUL":
        y = Quantization(max(y.scale, float(np.float32(2.1 * a.scale * b.scale))), 0)
    operands = shapes[::-1] if swap else shapes
    bench.check(*elementwise(kind, operands, (a, b, y), seed, constant, activation, "INT16"))


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("seed", range(4))
def test_tens_of_thousands_of_values(bench: Workbench, kind: str, seed: int) -> None:
    """A multiplier that is wrong in its last bits changes one result in thousands."""
    random = np.random.default_rng(seed)
    a, b, y = (float(np.float32(value)) for value in 2.0 ** random.uniform(-13, -11, 3))
    model = ModelBuilder()
    size = 40_000
    inputs = [model.input(name, (size,), scale, dtype="INT16") for name, scale in (("a", a), ("b", b))]
    out = model.tensor((size,), y if kind != "MUL" else float(np.float32(33_000 * a * b)), dtype="INT16")
    model.op(kind, inputs, [out])
    values = {name: random.integers(-32768, 32768, size).astype(np.int16) for name in "ab"}
    bench.check(model.bytes({"y": out}), values)


@pytest.mark.parametrize("kind", ["MUL", "ADD"])
def test_minus_32768_twice(bench: Workbench, kind: str) -> None:
    """Its square, doubled, needs 33 bits."""
    for power in (1.3, 4, 14.7, 15.3):
        model = ModelBuilder()
        a = model.input("a", (4,), 2.0**-10, dtype="INT16")
        out = model.tensor((4,), float(np.float32(2.0 ** (power - 20))), dtype="INT16")
        model.op(kind, [a, a], [out])
        bench.check(model.bytes({"y": out}), {"a": np.array([-32768, -32767, 32767, 0], np.int16)})


@pytest.mark.slow
@given(
    rows=st.integers(1, 21),
    depth=st.integers(1, 37) | st.sampled_from([64, 127, 128, 172]),
    per_channel=st.booleans(),
    bias_type=st.sampled_from([None, np.int32, np.int64]),
    lowest=st.sampled_from([-127, -128]),
    activation=activations,
    power=st.floats(-12, -3),
    x=symmetric,
    y=symmetric,
    seed=seeds,
)
@some
def test_fully_connected(
    bench: Workbench,
    rows: int,
    depth: int,
    per_channel: bool,
    bias_type: type | None,
    lowest: int,
    activation: int,
    power: float,
    x: Quantization,
    y: Quantization,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    drawn = 2.0**power * random.uniform(0.1, 1, rows if per_channel else 1)
    weight_scales = [float(value) for value in drawn.astype(np.float32)]
    bias: np.ndarray | None = None if bias_type is None else random.integers(-(10**8), 10**8, rows).astype(bias_type)
    weights = int8_values(seed + 1, (rows, depth), lowest)
    tflite = fully_connected(weights, weight_scales, bias, x, y, activation, dtype="INT16")
    bench.check(tflite, {"x": int16_values(seed + 2, (1, depth))})


@pytest.mark.parametrize("why", ["minus 128", "sum", "bias", "large scale", "small scale", "32-bit bias"])
def test_rows_that_the_packing_cannot_hold_take_the_plain_kernel(bench: Workbench, why: str) -> None:
    rows, depth = 6, 520 if why == "sum" else 40
    weights = int8_values(3, (rows, depth), -127)
    bias = np.zeros(rows, np.int32 if why == "32-bit bias" else np.int64)
    y = {"large scale": 2.0**-15, "small scale": 2.0**9}.get(why, 2.0**-4)
    if why == "minus 128":
        weights[3, 5] = -128
    if why == "sum":
        weights[2] = 127
    if why == "bias":
        bias[1] = 1 << 40
    tflite = fully_connected(weights, [2.0**-8], bias, Quantization(2.0**-8, 0), Quantization(y, 0), dtype="INT16")
    _, _, folder = bench.build(tflite)
    assert "thimble_fully_connected_plain_s16(&" in (folder / "model.c").read_text()
    for seed in range(4):
        bench.check(tflite, {"x": int16_values(seed, (1, depth))})


@pytest.mark.parametrize("bias", [0, 32768 * 5 - 1, -32768 * 5])
def test_the_largest_sums_that_the_packing_holds(bench: Workbench, bias: int) -> None:
    """Σ|w| · 32768 + |bias| just below 2^31: 516 weights of 127 leave room for 4 more."""
    assert 127 * 516 < 1 << 16 <= 127 * 517
    weights = np.zeros((4, 516), np.int8)
    weights[:, :516] = [[127], [-127], [127], [-127]]
    room = (1 << 31) - 127 * 516 * 32768
    biases = np.array([room - 1, 1 - room, bias % room, -(bias % room)], np.int64)
    x, y = Quantization(2.0**-10, 0), Quantization(2.0**-4, 0)
    tflite = fully_connected(weights, [2.0**-10], biases, x, y, dtype="INT16")
    _, _, folder = bench.build(tflite)
    assert "thimble_fully_connected_s16(&" in (folder / "model.c").read_text()
    for value in (-32768, 32767):
        bench.check(tflite, {"x": np.full((1, 516), value, np.int16)})


@pytest.mark.slow
@given(
    batches=st.sampled_from([(), (1,), (3,), (2, 2)]),
    transposed=st.booleans(),
    rows=st.integers(1, 4),
    depth=st.integers(1, 20),
    columns=st.integers(1, 9),
    quantized=st.tuples(symmetric, symmetric, symmetric),
    seed=seeds,
)
@some
def test_batch_matmul(
    bench: Workbench,
    batches: tuple[int, ...],
    transposed: bool,
    rows: int,
    depth: int,
    columns: int,
    quantized: tuple[Quantization, Quantization, Quantization],
    seed: int,
) -> None:
    x, y, out = (each.scale for each in quantized)
    assume(x * y / out < 2.0**MAX_SHIFT)  # what is above is refused by name
    right = (*batches, columns, depth) if transposed else (*batches, depth, columns)
    bench.check(*batch_matmul((*batches, rows, depth), right, quantized, seed, transposed, dtype="INT16"))


@pytest.mark.slow
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 40),
    scale=st.floats(-18, 0).map(lambda power: float(np.float32(2.0**power))),
    beta=st.sampled_from([1.0, 0.5]),
    seed=seeds,
)
@some
def test_softmax(bench: Workbench, rows: int, columns: int, scale: float, beta: float, seed: int) -> None:
    model = ModelBuilder()
    x = model.input("x", (rows, columns), scale, dtype="INT16")
    out = model.tensor((rows, columns), 2.0**-15, dtype="INT16")
    model.op("SOFTMAX", [x], [out], beta=beta)
    bench.check(model.bytes({"y": out}), {"x": int16_values(seed, (rows, columns))})


def test_softmax_at_every_difference(bench: Workbench) -> None:
    """Two columns whose difference takes all values: every entry of both tables, and what lies between."""
    model = ModelBuilder()
    x = model.input("x", (65536, 2), float(np.float32(10 / 65535)), dtype="INT16")
    out = model.tensor((65536, 2), 2.0**-15, dtype="INT16")
    model.op("SOFTMAX", [x], [out], beta=1.0)
    values = np.stack([np.full(65536, 32767), np.arange(-32768, 32768)], axis=1).astype(np.int16)
    bench.check(model.bytes({"y": out}), {"x": values})


def test_softmax_of_many_columns(bench: Workbench) -> None:
    """Sums of exponentials up to 2^26."""
    model = ModelBuilder()
    x = model.input("x", (3, 2000), 2.0**-12, dtype="INT16")
    out = model.tensor((3, 2000), 2.0**-15, dtype="INT16")
    model.op("SOFTMAX", [x], [out], beta=1.0)
    values = np.stack([np.full(2000, 7), np.arange(2000), 16 * np.arange(2000)]).astype(np.int16)
    bench.check(model.bytes({"y": out}), {"x": values})


@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH"])
@pytest.mark.parametrize("scale", [2.0**-12, 2.0**-11, 2.0**-15, 2.0**-3, 0.000215, 0.00123, 0.31, 1e-9, 2.5])
def test_sigmoids_at_every_input(bench: Workbench, kind: str, scale: float) -> None:
    model = ModelBuilder()
    x = model.input("x", (65536,), float(np.float32(scale)), dtype="INT16")
    out = model.tensor((65536,), 2.0**-15, dtype="INT16")
    model.op(kind, [x], [out])
    bench.check(model.bytes({"y": out}), {"x": np.arange(-32768, 32768).astype(np.int16)})


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.01, 0.3, 1.5, 0.0])
@pytest.mark.parametrize(("source", "target"), [(0.000215, 0.00123), (0.00123, 0.000215), (2.0**-12, 2.0**-12)])
def test_leaky_relu_at_every_input(bench: Workbench, alpha: float, source: float, target: float) -> None:
    model = ModelBuilder()
    x = model.input("x", (65536,), float(np.float32(source)), dtype="INT16")
    out = model.tensor((65536,), float(np.float32(target)), dtype="INT16")
    model.op("LEAKY_RELU", [x], [out], alpha=alpha)
    bench.check(model.bytes({"y": out}), {"x": np.arange(-32768, 32768).astype(np.int16)})


@pytest.mark.slow
@given(
    shapes=st.sampled_from(BROADCASTS),
    swap=st.booleans(),
    left=scales,
    right=scales,
    power=st.floats(-4, 2),
    seed=seeds,
)
@some
def test_squared_difference(
    bench: Workbench,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    swap: bool,
    left: float,
    right: float,
    power: float,
    seed: int,
) -> None:
    out = float(np.float32(max(left, right) ** 2 * 65536 * 2.0**power))
    quantized = Quantization(left, 0), Quantization(right, 0), Quantization(out, 0)
    operands = shapes[::-1] if swap else shapes
    bench.check(*elementwise("SQUARED_DIFFERENCE", operands, quantized, seed, dtype="INT16"))


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("kind", ["QUANTIZE", "RELU", "RELU6"])
@given(size=st.integers(1, 40), source=scales, target=scales, same=st.booleans(), seed=seeds)
@some
def test_rescaling(bench: Workbench, kind: str, size: int, source: float, target: float, same: bool, seed: int) -> None:
    model = ModelBuilder()
    source = max(source, 2.0**-12) if kind == "RELU6" else source
    x = model.input("x", (size,), source, dtype="INT16")
    out = model.tensor((size,), source if same or kind == "RELU6" else target, dtype="INT16")
    model.op(kind, [x], [out])
    bench.check(model.bytes({"y": out}), {"x": int16_values(seed, (size,))})


@pytest.mark.slow
@given(
    size=st.integers(1, 40),
    source=scales,
    target=scales,
    zero_point=zero_points,
    widen=st.booleans(),
    seed=seeds,
)
@some
def test_quantize_between_widths(
    bench: Workbench, size: int, source: float, target: float, zero_point: int, widen: bool, seed: int
) -> None:
    model = ModelBuilder()
    kinds = ("INT8", "INT16") if widen else ("INT16", "INT8")
    zeros = (zero_point, 0) if widen else (0, zero_point)
    x = model.input("x", (size,), source, zeros[0], dtype=kinds[0])
    out = model.tensor((size,), target, zeros[1], dtype=kinds[1])
    model.op("QUANTIZE", [x], [out])
    values = int8_values(seed, (size,)) if widen else int16_values(seed, (size,))
    bench.check(model.bytes({"y": out}), {"x": values})


@pytest.mark.slow
@given(shape=st.sampled_from([(1, 16), (3, 7), (2, 3, 64), (1, 1)]), source=scales, target=scales, seed=seeds)
@some
def test_mean(bench: Workbench, shape: tuple[int, ...], source: float, target: float, seed: int) -> None:
    model = ModelBuilder()
    x = model.input("x", shape, source, dtype="INT16")
    axis = model.tensor((1,), data=[len(shape) - 1], dtype="INT32")
    out = model.tensor((*shape[:-1], 1), target, dtype="INT16")
    model.op("MEAN", [x, axis], [out], keepDims=True)
    bench.check(model.bytes({"y": out}), {"x": int16_values(seed, shape)})


@pytest.mark.slow
@given(
    width=st.integers(1, 24),
    mean=st.floats(-18, -6).map(lambda power: float(np.float32(2.0**power))),
    root=st.floats(-18, -6).map(lambda power: float(np.float32(2.0**power))),
    epsilon=st.sampled_from([1e-5, 1e-8, 0.5]),
    power=st.integers(0, 15),
    seed=seeds,
)
@some
def test_norm(bench: Workbench, width: int, mean: float, root: float, epsilon: float, power: int, seed: int) -> None:
    values = (int16_values(seed, (1, width)) >> power).astype(np.int16)
    bench.check(norm_s16(width, 2.0**-12, 2.0**-10, mean, root, 2.0**-12, epsilon), {"x": values})


def test_a_root_that_no_integer_holds_is_refused(bench: Workbench) -> None:
    with pytest.raises(ThimbleError, match="DEQUANTIZE"):
        bench.build(norm_s16(4, 2.0**-12, 2.0**-10, 2.0**-6, 2.0**-15, 2.0**-12, 1e-10))


@pytest.mark.parametrize("kind", ["GATHER", "MAXIMUM"])
def test_what_micro_or_the_compiler_lacks_is_refused(bench: Workbench, kind: str) -> None:
    model = ModelBuilder()
    if kind == "GATHER":
        table = model.tensor((4, 8), 0.1, data=int16_values(0, (4, 8)), dtype="INT16")
        inputs = [table, model.input("token", (1,), dtype="INT32")]
    else:
        inputs = [model.input(name, (1, 8), 0.1, dtype="INT16") for name in "ab"]
    out = model.tensor((1, 8), 0.1, dtype="INT16")
    model.op(kind, inputs, [out])
    with pytest.raises(ThimbleError, match=kind):
        bench.build(model.bytes({"y": out}))


@pytest.mark.parametrize("case", range(len(SLICES)))
def test_strided_slice(bench: Workbench, case: int) -> None:
    bench.check(*strided_slice(case, "INT16"))


@pytest.mark.parametrize(("rows", "half"), [(1, 1), (1, 8), (3, 5), (4, 2)])
def test_layout(bench: Workbench, rows: int, half: int) -> None:
    bench.check(*layout(rows, half, "INT16"))
