"""Compressed forms of weights: exact against TensorFlow Lite Micro, detected in the weights, used where they pay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.bench.structures import prune_blocks, prune_to_n_of_four
from pipeline.compiler import Objective, WeightLayout
from pipeline.compiler.encodings.block_sparse import block_sparse_fits, pack_block_sparse, stored_blocks
from pipeline.compiler.encodings.choose import candidate_encodings, choose
from pipeline.compiler.encodings.int4 import s4_fits
from pipeline.compiler.encodings.nm_sparse import nonzeros_of_four, pack_nm_sparse
from pipeline.compiler.product import Product, normalize_dead_rows
from pipeline.numerics import fixed_point as fp
from tests.oracle.test_whole_steps import assert_clean, assert_equal_steps, engine_of
from tests.support.changed_weights import with_weights
from tests.support.decode_steps import KINDS
from tests.support.run_model import Workbench
from tests.support.single_op_models import fully_connected
from tests.support.strategies import Quantization, int8_values, quantizations, some

SHIFT = 8


@contextmanager
def forced(name: str) -> Iterator[None]:
    """Takes the form with this name wherever it holds the weights, whatever it costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "pipeline.compiler.encodings.choose._best",
            lambda candidates, aim, sharers: next((form for form in candidates if form.name == name), candidates[0]),
        )
        patch.setattr("pipeline.compiler.encodings.choose._CODE_BYTES", {name: -(1 << 20)})
        yield


def product(weights: NDArray[np.int8], bias: NDArray[np.int32] | None = None, shift: int = SHIFT) -> Product:
    rows = len(weights)
    return Product(weights, bias, np.full(rows, 3 << 29, np.int32), np.full(rows, shift, np.int64))


def dense(rows: int, depth: int, seed: int = 3) -> NDArray[np.int8]:
    return np.random.default_rng(seed).integers(-127, 128, (rows, depth)).astype(np.int8)


def check_form(
    bench: Workbench,
    form: str,
    weights: NDArray[np.int8],
    max_bias: int,
    power: float,
    x: Quantization,
    y: Quantization,
    activation: int,
    seed: int,
) -> None:
    """A product in this form equals the oracle's; its scales are drawn below 2^power, its biases below `max_bias` (0:
    none)."""
    rows, depth = weights.shape
    random = np.random.default_rng(seed)
    drawn = 2.0**power * random.uniform(0.1, 1, rows)
    scales = [float(scale) for scale in drawn.astype(np.float32)]
    bias = np.asarray(random.integers(-max_bias, max_bias, rows)) if max_bias else None
    tflite = fully_connected(weights, scales, bias, x, y, activation)
    with forced(form):
        bench.check(tflite, {"x": int8_values(seed + 2, (1, depth))})


@pytest.mark.slow
@given(
    columns=st.sampled_from([4, 8]),
    rows=st.integers(1, 21),
    depth=st.integers(32, 130),
    density=st.sampled_from([0.0, 0.15, 0.4]),
    with_bias=st.booleans(),
    activation=st.sampled_from([0, 1]),
    lowest=st.sampled_from([-127, -128]),
    power=st.floats(-9, -4),
    x=quantizations,
    y=quantizations,
    seed=st.integers(0, 10_000),
)
@some
def test_blocks_equal_the_oracle(
    bench: Workbench,
    columns: int,
    rows: int,
    depth: int,
    density: float,
    with_bias: bool,
    activation: int,
    lowest: int,
    power: float,
    x: Quantization,
    y: Quantization,
    seed: int,
) -> None:
    weights = prune_blocks(int8_values(seed + 1, (rows, depth), lowest), columns, density, seed)
    check_form(bench, f"blocks{columns}", weights, 30_000 if with_bias else 0, power, x, y, activation, seed)


@pytest.mark.slow
@given(
    rows=st.integers(1, 21),
    depth=st.integers(1, 130),
    with_bias=st.booleans(),
    activation=st.sampled_from([0, 1]),
    power=st.floats(-7, -2),
    x=quantizations,
    y=quantizations,
    seed=st.integers(0, 10_000),
)
@some
def test_four_bits_equal_the_oracle(
    bench: Workbench,
    rows: int,
    depth: int,
    with_bias: bool,
    activation: int,
    power: float,
    x: Quantization,
    y: Quantization,
    seed: int,
) -> None:
    weights = int8_values(seed + 1, (rows, depth)) >> 4
    check_form(bench, "nibbles", weights, 3_000 if with_bias else 0, power, x, y, activation, seed)


@pytest.mark.slow
@given(
    nonzeros=st.sampled_from([1, 2]),
    rows=st.integers(1, 21),
    depth=st.integers(1, 130),
    with_bias=st.booleans(),
    activation=st.sampled_from([0, 1]),
    lowest=st.sampled_from([-127, -128]),
    power=st.floats(-9, -4),
    x=quantizations,
    y=quantizations,
    seed=st.integers(0, 10_000),
)
@some
def test_some_of_four_equal_the_oracle(
    bench: Workbench,
    nonzeros: int,
    rows: int,
    depth: int,
    with_bias: bool,
    activation: int,
    lowest: int,
    power: float,
    x: Quantization,
    y: Quantization,
    seed: int,
) -> None:
    weights = prune_to_n_of_four(int8_values(seed + 1, (rows, depth), lowest), nonzeros, seed)
    check_form(bench, f"{nonzeros}:4", weights, 30_000 if with_bias else 0, power, x, y, activation, seed)


@pytest.mark.slow
@pytest.mark.parametrize("packing", list(WeightLayout))
def test_blocks_at_edges_and_far_apart(bench: Workbench, packing: WeightLayout) -> None:
    """Blocks at the ends of the rows, of a depth that is no whole block, with far gaps and rows without any."""
    weights = np.zeros((42, 1003), np.int8)
    values = dense(42, 1003)
    for columns in (slice(0, 4), slice(500, 508), slice(560, 570), slice(996, 1003)):
        weights[:, columns] = values[:, columns]
    weights[8:16] = 0
    weights[20, 500:] = 0
    scales = [0.001 * (1 + row) for row in range(42)]
    x, y = Quantization(0.05, 3), Quantization(4.0, -5)
    tflite = fully_connected(weights, scales, np.arange(42) * 999 - 20_000, x, y, 0)
    compiled, _, _ = bench.build(tflite, packing, Objective.SIZE)
    (stored,) = compiled.products
    assert stored.form == "blocks4"
    assert stored.weight_bytes < 0.11 * stored.plain_weight_bytes
    for seed in range(6):
        bench.check(tflite, {"x": int8_values(seed, (1, 1003))}, packing, Objective.SIZE)


@pytest.mark.variants(keep=2)
@pytest.mark.slow
@pytest.mark.parametrize("columns", [4, 8])
@pytest.mark.parametrize("decode_step", [kind for kind in KINDS if not kind.startswith("int16")], indirect=True)
def test_whole_steps_in_blocks(decode_step: bytes, columns: int, tmp_path: Path) -> None:
    tflite = with_weights(decode_step, lambda weights: prune_blocks(weights, columns, 0.3, 7))
    compiled = assert_equal_steps(tflite, tmp_path, WeightLayout.INTERLEAVED_2, Objective.SPEED)
    encodings = [stored.form for stored in compiled.products]
    assert encodings.count(f"blocks{columns}") > len(encodings) / 2


@pytest.mark.variants(keep=3)
@pytest.mark.slow
@pytest.mark.parametrize("decode_step", [kind for kind in KINDS if not kind.startswith("int16")], indirect=True)
@pytest.mark.parametrize("form", ["nibbles", "1:4", "2:4"])
def test_whole_steps_in_other_forms(decode_step: bytes, form: str, tmp_path: Path) -> None:
    def change(weights: NDArray[np.int8]) -> NDArray[np.int8]:
        return weights >> 4 if form == "nibbles" else prune_to_n_of_four(weights, int(form[0]), 3)

    with forced(form):
        compiled = assert_equal_steps(with_weights(decode_step, change), tmp_path, WeightLayout.INTERLEAVED_2)
    assert {stored.form for stored in compiled.products} == {form}


@pytest.mark.variants(keep=2)
@pytest.mark.slow
@pytest.mark.parametrize("decode_step", [next(iter(KINDS))], indirect=True)
@pytest.mark.parametrize("form", ["blocks4", "blocks8", "nibbles", "1:4", "2:4"])
def test_sanitizers_find_nothing_in_compressed_forms(decode_step: bytes, form: str, tmp_path: Path) -> None:
    def change(weights: NDArray[np.int8]) -> NDArray[np.int8]:
        if form == "nibbles":
            return weights >> 4
        if form.startswith("blocks"):
            return prune_blocks(weights, int(form[-1]), 0.4, 3)
        return prune_to_n_of_four(weights, int(form[0]), 3)

    with forced(form):
        compiled, engine = engine_of(with_weights(decode_step, change), tmp_path)
    assert {stored.form for stored in compiled.products} == {form}
    assert_clean(engine, tmp_path)


@pytest.mark.parametrize(("nonzeros", "size"), [(1, 0.34), (2, 0.63)])
def test_what_some_of_four_save(nonzeros: int, size: float) -> None:
    """Five bytes for eight columns, or for sixteen, but that a row's last word of places may be half empty."""
    products = {index: product(prune_to_n_of_four(dense(96, 96, index), nonzeros, 1)) for index in range(8)}
    chosen = choose(products, WeightLayout.INTERLEAVED_2, Objective.BALANCED)
    assert {choice.form.name for choice in chosen.values()} == {f"{nonzeros}:4"}
    assert all(choice.form.weight_bytes <= size * choice.plain.weight_bytes for choice in chosen.values())
    for choice in chosen.values():
        assert pack_nm_sparse(choice.product.weights, nonzeros).nbytes == choice.form.weight_bytes
    fast = choose(products, WeightLayout.INTERLEAVED_2, Objective.SPEED)
    assert {choice.form.name for choice in fast.values()} == {"pairs"}


def test_a_third_weight_of_four_is_found() -> None:
    weights = prune_to_n_of_four(dense(8, 61), 2, 1)
    assert nonzeros_of_four(weights) == 2
    weights[3, 4:7] = 1
    assert nonzeros_of_four(weights) >= 3
    assert not {form.name for form in candidate_encodings(product(weights), WeightLayout.INTERLEAVED_2)} & {
        "1:4",
        "2:4",
    }


@pytest.mark.parametrize("columns", [4, 8])
def test_a_far_block_gets_one_between(columns: int) -> None:
    """A byte of the index reaches 255 bytes of x, the last one of an iteration 127."""
    weights = np.zeros((4, 4096), np.int8)
    weights[:, :columns] = weights[:, 4000:] = 1
    (stored,) = stored_blocks(weights, columns)
    real = np.flatnonzero(weights[0].reshape(-1, columns).any(axis=1)).tolist()
    assert set(real) <= set(stored) and stored == sorted(set(stored))
    per_word = 32 // columns
    for index, (block, before) in enumerate(zip(stored, [-1, *stored], strict=False), -len(stored) % per_word):
        assert (block - before - 1) * (4 + 2 * columns) <= (127 if index % per_word == 3 else 255)


def test_the_stream_is_as_long_as_its_form_says() -> None:
    """Weights and indices as counted; besides them a header of two words and five a strip, nine with biases."""
    weights = prune_blocks(dense(64, 96), 8, 0.25, 1)
    for bias, each in ((None, 5), (np.zeros(64, np.int32), 9)):
        weighted = product(weights, bias)
        (form,) = [form for form in candidate_encodings(weighted, WeightLayout.INTERLEAVED_2) if form.name == "blocks8"]
        stream = pack_block_sparse(weights, 8, bias, weighted.multipliers, weighted.right_shifts)
        assert stream.nbytes == form.weight_bytes + 4 * (2 + each * 16)


@pytest.mark.parametrize(
    ("change", "agreed"),
    [
        ({}, True),
        ({"shift": 0}, False),
        ({"shift": 17}, False),
        ({"bias": np.full(8, 1 << 22, np.int32)}, False),
        ({"bias": np.full(8, -(1 << 21), np.int32), "shift": 12}, True),
        ({"shift": 1}, False),
    ],
)
def test_limits_of_the_kernel(change: dict[str, object], agreed: bool) -> None:
    weighted = product(prune_blocks(dense(8, 64), 8, 0.5, 2), **change)  # type: ignore[arg-type]
    assert block_sparse_fits(weighted.weights, weighted.bias, weighted.multipliers, weighted.right_shifts) is agreed


def test_sums_have_a_limit() -> None:
    """255 · 127 · 129 < 2^22 ≤ 255 · 127 · 130."""
    for columns, agreed in ((129, True), (130, False)):
        weighted = product(np.full((4, columns), 127, np.int8), shift=16)
        assert block_sparse_fits(weighted.weights, None, weighted.multipliers, weighted.right_shifts) is agreed


@pytest.mark.parametrize(
    ("columns", "density", "fewer_bytes", "fewer_instructions"),
    [(4, 0.5, 0.45, 1.5), (8, 0.5, 0.45, 1.5), (4, 0.25, 0.7, 2.8), (8, 0.25, 0.7, 2.8)],
)
def test_what_blocks_save_on_base_shapes(
    columns: int, density: float, fewer_bytes: float, fewer_instructions: float
) -> None:
    """The products of a layer of `base`, and its logits."""
    shapes = [(96, 96), (48, 96), (48, 96), (96, 96), (192, 96), (192, 96), (96, 192), (768, 96)]
    products = {
        index: product(prune_blocks(dense(*shape), columns, density, index)) for index, shape in enumerate(shapes)
    }
    chosen = choose(products, WeightLayout.INTERLEAVED_2, Objective.BALANCED)
    assert {choice.form.name for choice in chosen.values()} == {f"blocks{columns}"}
    plain = [choice.plain for choice in chosen.values()]
    encodings = [choice.form for choice in chosen.values()]
    assert sum(f.weight_bytes for f in encodings) <= (1 - fewer_bytes) * sum(f.weight_bytes for f in plain)
    assert sum(f.instructions for f in plain) >= fewer_instructions * sum(f.instructions for f in encodings)


def test_four_bits_are_half_the_bytes_and_an_eighth_more_instructions() -> None:
    products = {index: product(dense(96, 96, index) >> 4, shift=7) for index in range(4)}
    for choice in choose(products, WeightLayout.INTERLEAVED_2, Objective.BALANCED).values():
        assert choice.form.name == "nibbles"
        assert choice.form.weight_bytes == choice.plain.weight_bytes / 2
        assert choice.form.instructions < 1.16 * choice.plain.instructions


@pytest.mark.parametrize(("value", "agreed"), [(7, True), (8, False), (-8, True), (-9, False)])
def test_values_of_four_bits(value: int, agreed: bool) -> None:
    weights = np.zeros((4, 8), np.int8)
    weights[1, 3] = value
    weighted = product(weights)
    assert s4_fits(weights, None, weighted.multipliers, weighted.right_shifts) is agreed


@pytest.mark.parametrize(
    ("row", "columns", "agreed"), [(3, 257, True), (3, 258, False), (2, 4096, True), (2, 4113, False)]
)
def test_sums_of_four_bits_have_limits(row: int, columns: int, agreed: bool) -> None:
    """255 · 8 · 257 < 2^19 ≤ 255 · 8 · 258, and 255 · 8 · 4112 < 2^23 ≤ 255 · 8 · 4113."""
    weights = np.zeros((4, columns), np.int8)
    weights[row] = -8
    weighted = product(weights, shift=20)
    assert s4_fits(weights, None, weighted.multipliers, weighted.right_shifts) is agreed


def test_plain_weights_stay_plain() -> None:
    for packing in WeightLayout:
        for aim in Objective:
            (choice,) = choose({0: product(dense(64, 96))}, packing, aim).values()
            assert choice.form is choice.plain and choice.form.name == packing


def test_a_kernel_must_save_more_than_its_code() -> None:
    """One small matrix does not pay for a kernel, many do; for speed alone bytes do not count."""
    small = product(prune_blocks(dense(32, 32), 8, 0.5, 1))
    (alone,) = choose({0: small}, WeightLayout.INTERLEAVED_2, Objective.BALANCED).values()
    assert alone.form.name == "pairs"
    some = {index: product(prune_blocks(dense(32, 32, index), 8, 0.5, index)) for index in range(20)}
    many = choose(some, WeightLayout.INTERLEAVED_2, Objective.BALANCED)
    assert {choice.form.name for choice in many.values()} == {"blocks8"}
    (fast,) = choose({0: small}, WeightLayout.INTERLEAVED_2, Objective.SPEED).values()
    assert fast.form.name == "blocks8"


@pytest.mark.parametrize(("density", "sharers", "form"), [(0.5, 1, "blocks"), (0.5, 2, "pairs"), (0.25, 3, "blocks")])
def test_layers_that_share_weights_share_plain_ones_alone(density: float, sharers: int, form: str) -> None:
    """A stream holds each layer's own scales: it pays where the streams together are smaller than one plain matrix."""
    weighted = product(prune_blocks(dense(192, 192), 8, density, 1))
    chosen = choose(dict.fromkeys(range(sharers), weighted), WeightLayout.INTERLEAVED_2, Objective.BALANCED)
    assert all(choice.form.name.startswith(form) for choice in chosen.values())


def test_aims_differ_where_bytes_cost_instructions() -> None:
    """Half of the blocks are zero: fewer bytes on every core, fewer instructions on Cortex-M4 but not on M55."""
    products = {index: product(prune_blocks(dense(96, 96, index), 8, 0.5, 1)) for index in range(4)}
    names = {aim: choose(products, WeightLayout.ROW_MAJOR, aim)[0].form.name for aim in Objective}
    assert names == {Objective.BALANCED: "rows", Objective.SPEED: "rows", Objective.SIZE: "blocks8"}


@pytest.mark.parametrize(("bias", "shift"), [(0, -3), (1000, -2), (-7, 0), (123_456, 40 - 9), (-(1 << 20), 5)])
@pytest.mark.parametrize("zero_point", [-128, 0, 17])
def test_a_row_without_weights_gets_a_scale_that_fits(bias: int, shift: int, zero_point: int) -> None:
    raw = product(np.zeros((1, 8), np.int8), np.array([bias], np.int32), shift)
    normalized = normalize_dead_rows(raw, zero_point)
    assert normalized.right_shifts.tolist() == [1] and normalized.bias is not None

    def output(p: Product) -> int:
        assert p.bias is not None
        value = fp.multiply(int(p.bias[0]), int(p.multipliers[0]), -int(p.right_shifts[0]))
        return int(np.clip(value + zero_point, -128, 127))

    assert output(normalized) == output(raw)
