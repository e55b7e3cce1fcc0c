"""Attention with int16 activations: the masked columns in closed form give the .tflite's bytes at any scales."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.fusions.attention import find_attentions
from pipeline.verification.oracle import Oracle
from tests.support.build_model import ModelBuilder
from tests.support.run_model import Workbench
from tests.support.strategies import int8_values, some

VOCAB = 24


def float32(power: float) -> float:
    """2^power as float32."""
    return float(np.float32(2.0**power))


@dataclass(frozen=True)
class Spec:
    """One attention: its size, each tensor's scale as a power of two (`out` on top of `v`), the mask's two int8 values,
    and the weights' seed. With `scaled` scores are multiplied by `factor` / 32768, as often as there are scales."""

    kv_heads: int = 2
    group: int = 2
    head_dim: int = 8
    context: int = 6
    q: float = -13.0
    k: float = -13.0
    v: float = -12.0
    scores: float = -10.0
    mask: float = -2.0
    masked_scores: float = -10.0
    out: float = -0.5
    unmasked: int = 0
    masked: int = -127
    beta: float = 1.0
    mask_first: bool = False
    irregular: bool = False
    scaled: tuple[float, ...] = ()
    factor: int = 11585
    seed: int = 0


def attention_step(spec: Spec) -> bytes:
    """A decode step: embedding, the attention, and its output as logits."""
    model = ModelBuilder()
    width = spec.kv_heads * spec.group * spec.head_dim
    token, position = (model.input(name, (1,), dtype="INT32") for name in ("token", "position"))
    cache_shape = (spec.kv_heads, spec.context, spec.head_dim)
    caches = {
        kind: model.input(f"{kind}_cache_0", cache_shape, float32(power), dtype="INT16")
        for kind, power in (("k", spec.k), ("v", spec.v))
    }
    filled = np.arange(spec.context + 1)[None, :] < np.arange(spec.context)[:, None]
    filled[:, spec.context] = True
    values = np.where(filled, spec.unmasked, spec.masked).astype(np.int8)
    if spec.irregular:
        values[-1, 0] = values[0, 0] + 1
    mask_scale = max(spec.mask, spec.masked_scores - 6)  # what 127 steps of it need in int16
    mask = model.tensor((1, spec.context + 1), float32(mask_scale - 7), dtype="INT16")
    row = model.tensor((1, spec.context + 1), float32(mask_scale))
    model.op("GATHER", [model.tensor(values.shape, float32(mask_scale), data=values), position], [row], axis=0)
    model.op("QUANTIZE", [row], [mask])
    table = model.tensor((VOCAB, width), 2.0**-6, data=int8_values(4 * spec.seed, (VOCAB, width)))
    narrow, x = model.tensor((1, width), 2.0**-6), model.tensor((1, width), 2.0**-14, dtype="INT16")
    model.op("GATHER", [table, token], [narrow], axis=0)
    model.op("QUANTIZE", [narrow], [x])

    def product(rows: int, power: float, shape: tuple[int, ...], number: int) -> int:
        weights = int8_values(4 * (spec.seed + number), (rows, width), -127)
        scale = float(np.float32(2.0 ** (power + 15) / (73 * width**0.5)))
        flat = model.tensor((1, rows), float32(power), dtype="INT16")
        shaped = model.tensor(shape, float32(power), dtype="INT16")
        model.op("FULLY_CONNECTED", [x, model.tensor((rows, width), scale, data=weights)], [flat], keepNumDims=True)
        model.op("RESHAPE", [flat, model.tensor((len(shape),), data=list(shape), dtype="INT32")], [shaped])
        return shaped

    q = product(width, spec.q, (spec.kv_heads, spec.group, spec.head_dim), 1)
    rows = spec.kv_heads * spec.head_dim
    new = {
        kind: product(rows, power, (spec.kv_heads, 1, spec.head_dim), number)
        for kind, power, number in (("k", spec.k, 2), ("v", spec.v, 3))
    }
    whole = {}
    for kind, power in (("k", spec.k), ("v", spec.v)):
        whole[kind] = model.tensor((spec.kv_heads, spec.context + 1, spec.head_dim), float32(power), dtype="INT16")
        model.op("CONCATENATION", [caches[kind], new[kind]], [whole[kind]], axis=1)
    square = (spec.kv_heads, spec.group, spec.context + 1)
    scores = model.tensor(square, float32(spec.scores), dtype="INT16")
    model.op("BATCH_MATMUL", [q, whole["k"]], [scores], adjX=False, adjY=True)
    for power in spec.scaled:
        product_of_both, scores = scores, model.tensor(square, float32(power), dtype="INT16")
        number = model.tensor((), 2.0**-15, data=spec.factor, dtype="INT16")
        model.op("MUL", [number, product_of_both] if spec.mask_first else [product_of_both, number], [scores])
    added = model.tensor(square, float32(spec.masked_scores), dtype="INT16")
    model.op("ADD", [mask, scores] if spec.mask_first else [scores, mask], [added])
    probabilities = model.tensor(square, 2.0**-15, dtype="INT16")
    model.op("SOFTMAX", [added], [probabilities], beta=spec.beta)
    out = model.tensor((spec.kv_heads, spec.group, spec.head_dim), float32(spec.v + spec.out), dtype="INT16")
    model.op("BATCH_MATMUL", [probabilities, whole["v"]], [out], adjX=False, adjY=False)
    logits = model.tensor((1, width), float32(spec.v + spec.out), dtype="INT16")
    model.op("RESHAPE", [out, model.tensor((2,), data=[1, width], dtype="INT32")], [logits])
    return model.bytes({"k_new_0": new["k"], "v_new_0": new["v"], "logits": logits})


def assert_equal(bench: Workbench, spec: Spec, fused: int) -> None:
    """All positions of the context, and the fused kernel as often as given."""
    tflite = attention_step(spec)
    oracle = Oracle(tflite)
    tokens = [
        int(token) for token in np.random.default_rng(spec.seed).integers(0, min(VOCAB, oracle.vocab), oracle.context)
    ]
    compiled, actual = bench.steps(tflite, tokens)
    assert [layer.kind for layer in compiled.layers].count("attention") == fused
    for position, token in enumerate(tokens):
        expected = oracle.step(token)
        assert expected.dtype == actual[position].dtype == np.int16
        different = np.flatnonzero(expected != actual[position])
        assert not different.size, f"position {position}: {different.size} of {expected.size} differ"


def powers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high) | st.integers(int(np.ceil(low)), int(high)).map(float)


specs = st.builds(
    Spec,
    kv_heads=st.integers(1, 3),
    group=st.integers(1, 3),
    head_dim=st.sampled_from([4, 8, 12, 16, 20, 36]),
    context=st.integers(1, 9),
    q=powers(-15, -11),
    k=powers(-15, -11),
    v=powers(-15, -11),
    scores=powers(-14, -8),
    mask=powers(-8, 0),
    masked_scores=powers(-13, -8),
    out=powers(-4, 2),
    unmasked=st.integers(-128, 127) | st.just(0),
    masked=st.integers(-128, 127) | st.just(-127),
    beta=st.sampled_from([1.0, 1.0, 0.5]),
    mask_first=st.booleans(),
    irregular=st.just(False),
    seed=st.integers(0, 500),
)


@pytest.mark.slow
@given(spec=specs)
@some
def test_any_scales(bench: Workbench, spec: Spec) -> None:
    assert_equal(bench, spec, fused=1)


@pytest.mark.slow
@given(spec=specs, up=st.floats(-2, 6), factor=st.integers(-32768, 32767))
@some
def test_scores_that_are_scaled_after_the_product(bench: Workbench, spec: Spec, up: float, factor: int) -> None:
    """As most people write it."""
    spec = dataclasses.replace(spec, scaled=(max(spec.scores - up, spec.masked_scores - 1),), factor=factor)
    assert_equal(bench, spec, fused=1)


def test_scores_that_are_scaled_twice_take_the_general_ops(bench: Workbench) -> None:
    assert_equal(bench, Spec(scaled=(-11.0,)), fused=1)
    assert_equal(bench, Spec(scaled=(-11.0, -12.0)), fused=0)


@pytest.mark.parametrize(("unmasked", "masked"), [(0, -127), (-127, 127), (0, 0), (127, 127)])
def test_masks_that_hide_all_some_or_nothing(bench: Workbench, unmasked: int, masked: int) -> None:
    """The masked columns count in the softmax as the .tflite has it, even where the mask favours them."""
    assert_equal(bench, Spec(unmasked=unmasked, masked=masked), fused=1)


def test_an_unmasked_score_stays_as_it_is_where_the_scales_agree(bench: Workbench) -> None:
    spec = Spec(scores=-8.0, mask=-1.0, masked_scores=-8.0)
    assert_equal(bench, spec, fused=1)


@pytest.mark.parametrize("scores", [-16.0, -3.0])
def test_scores_that_saturate_or_are_all_alike(bench: Workbench, scores: float) -> None:
    assert_equal(bench, Spec(scores=scores, masked_scores=max(scores, -12)), fused=1)


def test_a_context_of_hundreds(bench: Workbench) -> None:
    """Hundreds of columns of equal weight."""
    assert_equal(bench, Spec(kv_heads=1, group=1, head_dim=4, context=300, scores=-4.0, seed=3), fused=1)


@pytest.mark.parametrize(
    "spec", [Spec(irregular=True, context=4), Spec(head_dim=6), Spec(out=-14.0), Spec(q=-8.0, k=-8.0, scores=-17.0)]
)
def test_what_the_fused_kernel_does_not_take(bench: Workbench, spec: Spec) -> None:
    """Another mask, an odd head, and scales at which its sums could pass 32 bits."""
    if spec.irregular or spec.head_dim % 4:
        assert find_attentions(read_tflite(attention_step(spec))) == []
    assert_equal(bench, spec, fused=0)
