"""Attention: the fused kernel counts the masked columns in closed form, and gives the .tflite's bytes at any scales."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compiler import WeightLayout
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.fusions.attention import find_attentions, fitting_attentions, missed_attentions
from pipeline.verification.oracle import Oracle
from tests.support.attention_step import VOCAB, AttentionSpec, attention_step, default_mask
from tests.support.changed_tflite import changed
from tests.support.run_model import Workbench
from tests.support.strategies import Quantization, some, zero_points


def quantized(low: float, high: float) -> st.SearchStrategy[Quantization]:
    """Scales from 2^low to 2^high, any zero point."""
    return st.builds(Quantization, st.floats(low, high).map(lambda power: float(np.float32(2.0**power))), zero_points)


specs = st.builds(
    AttentionSpec,
    kv_heads=st.integers(1, 3),
    group=st.integers(1, 3),
    head_dim=st.sampled_from([4, 8, 12, 16]),
    context=st.integers(1, 9),
    x=quantized(-7, -3),
    q=quantized(-7, -2),
    k=quantized(-7, -2),
    v=quantized(-7, -2),
    scores=quantized(-7, 1),
    mask=quantized(-5, 0),
    masked_scores=quantized(-7, 1),
    out=quantized(-8, -2),
    unmasked=st.integers(-128, 127),
    masked=st.integers(-128, 127),
    beta=st.sampled_from([1.0, 1.0, 0.5]),
    mask_first=st.booleans(),
    seed=st.integers(0, 500),
)


def assert_equal(bench: Workbench, tflite: bytes, seed: int, fused: int) -> None:
    """All positions of the context, whatever the caches' packing, and the fused kernel as often as given."""
    oracle = Oracle(tflite)
    tokens = [int(token) for token in np.random.default_rng(seed).integers(0, VOCAB, oracle.context)]
    expected = [oracle.step(token) for token in tokens]
    for packing in (WeightLayout.INTERLEAVED_2, WeightLayout.ROW_MAJOR):
        compiled, actual = bench.steps(tflite, tokens, packing)
        assert [layer.kind for layer in compiled.layers].count("attention") == fused
        for position in range(oracle.context):
            different = np.flatnonzero(expected[position] != actual[position])
            assert not different.size, (
                f"{packing}, position {position}: bytes {different[:8].tolist()} of {compiled.vocab} differ"
            )


@pytest.mark.slow
@given(spec=specs)
@some
def test_any_scales(bench: Workbench, spec: AttentionSpec) -> None:
    tflite = attention_step(spec)
    assert len(find_attentions(read_tflite(tflite))) == 1
    assert_equal(bench, tflite, spec.seed, len(fitting_attentions(read_tflite(tflite))))  # none at extreme scales


@given(specs, quantized(-9, 0))
@some
def test_scores_that_are_scaled_after_the_product(bench: Workbench, spec: AttentionSpec, scaled: Quantization) -> None:
    spec = replace(spec, scaled_scores=scaled)
    tflite = attention_step(spec)
    matches = find_attentions(read_tflite(tflite))
    assert len(matches) == 1 and len(matches[0].scalings) == 1
    assert_equal(bench, tflite, spec.seed, len(fitting_attentions(read_tflite(tflite))))


@pytest.mark.parametrize(("unmasked", "masked"), [(127, -128), (-128, 127), (0, 0), (-128, -128)])
def test_masks_that_hide_all_some_or_nothing(bench: Workbench, unmasked: int, masked: int) -> None:
    """The masked columns count in the softmax as the .tflite has it, even where the mask favours them."""
    assert_equal(bench, attention_step(AttentionSpec(unmasked=unmasked, masked=masked)), 3, fused=1)


@pytest.mark.parametrize(("scale", "fused"), [(0.001, 0), (0.02, 1), (4.0, 1)])
def test_scores_that_saturate_or_are_all_alike(bench: Workbench, scale: float, fused: int) -> None:
    """The first is so absurd that only the general ops hold it."""
    spec = AttentionSpec(scores=Quantization(scale, 0), masked_scores=Quantization(scale, 0))
    assert_equal(bench, attention_step(spec), 4, fused=fused)


def test_a_context_of_hundreds(bench: Workbench) -> None:
    """Hundreds of columns of equal weight: probabilities of one and of no step."""
    spec = AttentionSpec(kv_heads=1, group=2, head_dim=4, context=300, scores=Quantization(2.0, 0))
    assert_equal(bench, attention_step(spec), 5, fused=1)


@pytest.mark.parametrize("caches", [(0, 1), (1, 0)])
def test_each_layer_has_the_cache_of_its_name(bench: Workbench, caches: tuple[int, ...]) -> None:
    assert_equal(bench, attention_step(AttentionSpec(), caches), 6, fused=2)


@pytest.mark.slow
@given(spec=specs, row=st.integers(0, 8), column=st.integers(0, 9))
@some
def test_any_other_mask_takes_the_general_ops(bench: Workbench, spec: AttentionSpec, row: int, column: int) -> None:
    spec = replace(spec, context=max(spec.context, 2), unmasked=max(spec.unmasked, spec.masked + 1))
    spec = replace(spec, unmasked=min(spec.unmasked, 127), masked=min(spec.masked, 126))
    mask = default_mask(spec)
    cell = row % spec.context, column % (spec.context + 1)
    mask[cell] = spec.masked if mask[cell] == spec.unmasked else spec.unmasked
    tflite = attention_step(spec, masks={0: mask})
    assert find_attentions(read_tflite(tflite)) == []
    assert_equal(bench, tflite, spec.seed, fused=0)


@pytest.mark.parametrize("general", [0, 1])
def test_one_layer_fused_and_one_not(bench: Workbench, general: int) -> None:
    """Each keeps to its own cache."""
    mask = default_mask(AttentionSpec())
    mask[2, 1] = 5
    assert_equal(bench, attention_step(AttentionSpec(), (0, 1), {general: mask}), 8, fused=1)


@pytest.mark.parametrize("head_dim", [3, 6, 68])
def test_heads_that_the_fused_kernel_does_not_take(bench: Workbench, head_dim: int) -> None:
    assert_equal(bench, attention_step(AttentionSpec(head_dim=head_dim)), 7, fused=0)


def _first_table_row(model: Any) -> None:
    """A mask that lets the first column through at position 0."""
    step, graph = AttentionSpec(), model.subgraphs[0]
    table = next(t for t in graph.tensors if list(t.shape) == [step.context, step.context + 1])
    data = np.array(model.buffers[table.buffer].data)
    data[1] = 0
    model.buffers[table.buffer].data = data


def _own_scale(model: Any) -> None:
    for entry in model.signatureDefs[0].outputs:
        if entry.name == b"k_new_0":
            model.subgraphs[0].tensors[entry.tensorIndex].quantization.scale = [0.06]


def _transposed(model: Any) -> None:
    for operator in model.subgraphs[0].operators:
        if hasattr(operator.builtinOptions, "adjY"):
            operator.builtinOptions.adjY = False


@pytest.mark.parametrize(
    ("change", "reason"),
    [(_first_table_row, "the mask is no row"), (_own_scale, "of one quantization"), (_transposed, "transpose_b=True")],
)
def test_an_attention_that_nearly_is_one_says_why(change: Callable[[Any], None], reason: str) -> None:
    (said,) = missed_attentions(read_tflite(changed(attention_step(AttentionSpec()), change))).values()
    assert reason in said
    assert not missed_attentions(read_tflite(attention_step(AttentionSpec())))
