"""Steps that put their own row into whole caches: the bytes of TensorFlow Lite Micro, fused with attention or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compiler import WeightLayout, compile_decode_step, explain
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.fusions.attention import fitting_attentions
from pipeline.compiler.fusions.cache_update import fuse_cache_updates
from pipeline.errors import UnsupportedModel
from pipeline.quantize.tflite_file import schema
from pipeline.verification.oracle import Oracle
from tests.oracle.test_attention import quantized, specs
from tests.support.attention_step import UPDATES, VOCAB, AttentionSpec, attention_step, default_mask
from tests.support.changed_tflite import changed
from tests.support.run_model import Workbench
from tests.support.strategies import Quantization, some


def assert_equal(bench: Workbench, tflite: bytes, fused: int) -> None:
    """All positions of the context, twice, whatever the caches' packing."""
    oracle = Oracle(tflite)
    for seed in (1, 2):
        oracle.reset()
        tokens = [int(token) for token in np.random.default_rng(seed).integers(0, VOCAB, oracle.context)]
        expected = [oracle.step(token) for token in tokens]
        for packing in (WeightLayout.INTERLEAVED_2, WeightLayout.ROW_MAJOR):
            compiled, actual = bench.steps(tflite, tokens, packing)
            assert [layer.kind for layer in compiled.layers].count("attention") == fused
            assert np.array_equal(expected, actual)


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("context", [2, 4, 6, 7, 8])
def test_every_way_to_put_a_row_in(bench: Workbench, update: str, context: int) -> None:
    assert_equal(bench, attention_step(AttentionSpec(update=update, context=context), (0, 1)), fused=2)


@pytest.mark.parametrize("update", UPDATES)
def test_without_a_fused_attention_the_row_is_written_in_its_place(bench: Workbench, update: str) -> None:
    """A mask that no kernel has, and a context of which a packed cache would be too short."""
    spec = AttentionSpec(update=update)
    mask = default_mask(spec)
    mask[2, 1] = 5
    assert_equal(bench, attention_step(spec, (0, 1), {1: mask}), fused=1)
    assert_equal(bench, attention_step(replace(spec, context=5)), fused=0)
    (said,) = explain(attention_step(replace(spec, context=5))).missed
    assert "one more than a multiple of 4" in said


@pytest.mark.parametrize("update", ["one-hot", "slice in float"])
def test_a_row_of_another_scale_is_rounded_once_before_it_is_put_in(bench: Workbench, update: str) -> None:
    spec = AttentionSpec(update=update, row=Quantization(0.07, -3))
    assert_equal(bench, attention_step(spec), fused=1)


@pytest.mark.slow
@given(spec=specs, update=st.sampled_from(UPDATES), row=quantized(-7, -2))
@some
def test_any_scales(bench: Workbench, spec: AttentionSpec, update: str, row: Quantization) -> None:
    of_own_scale = update.startswith("one-hot") or update == "slice in float"
    spec = replace(spec, update=update, context=max(spec.context, 2), row=row if of_own_scale else None)
    tflite = attention_step(spec)
    assert_equal(bench, tflite, len(fitting_attentions(fuse_cache_updates(read_tflite(tflite)))))


def _kept_rows_of_another_scale(model: Any) -> None:
    graph, codes = model.subgraphs[0], model.operatorCodes
    kinds = [codes[operator.opcodeIndex].builtinCode for operator in graph.operators]
    first = graph.operators[kinds.index(18)]  # MUL
    graph.tensors[first.outputs[0]].quantization.scale = [0.06]


def _two_hot(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        if list(tensor.shape) == [6, 6] and np.array(model.buffers[tensor.buffer].data)[1] == 128:
            data = np.array(model.buffers[tensor.buffer].data)
            data[1] = 127
            model.buffers[tensor.buffer].data = data


def _another_cache(model: Any) -> None:
    for entry in model.signatureDefs[0].outputs:
        if entry.name == b"k_new_0":
            model.subgraphs[0].tensors[entry.tensorIndex].quantization.scale = [0.06]


def _joined_numbers(model: Any) -> None:
    """What packed the place's three numbers concatenates them, though they are no vectors."""
    for code in model.operatorCodes:
        if code.builtinCode == 83:  # PACK
            code.builtinCode = code.deprecatedBuiltinCode = 2
    for operator in model.subgraphs[0].operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode == 2:
            operator.builtinOptionsType = schema.BuiltinOptions.ConcatenationOptions
            operator.builtinOptions = schema.ConcatenationOptionsT()


def _backwards(model: Any) -> None:
    """The place is sliced with a step of -1, up to -1."""
    for operator in model.subgraphs[0].operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode == 45:  # STRIDED_SLICE
            step = model.subgraphs[0].tensors[operator.inputs[3]]
            model.buffers[step.buffer].data = np.full(4, 255, np.uint8)


@pytest.mark.parametrize(
    ("update", "change", "reason"),
    [
        ("slice", _backwards, "the slice does not begin at [0, position, 0]"),
        ("slice", _joined_numbers, "the slice does not begin at [0, position, 0]"),
        ("one-hot", _kept_rows_of_another_scale, "rows that are kept change"),
        ("one-hot", _two_hot, "is no one-hot row"),
        ("one-hot", _another_cache, "scale 0.06"),
        ("slice", _another_cache, "scale 0.06"),
    ],
)
def test_what_is_no_update_is_refused_with_the_reason(
    update: str, change: Callable[[Any], None], reason: str, tmp_path: Path
) -> None:
    tflite = changed(attention_step(AttentionSpec(update=update)), change)
    with pytest.raises(UnsupportedModel) as raised:
        compile_decode_step(tflite, tmp_path)
    assert "'k_new_0'" in raised.value.what and reason in raised.value.what
    assert "show the converter each whole cache" in str(raised.value) or "docs/bring-your-own-model.md" in str(
        raised.value
    )


def test_a_constant_that_an_operator_of_an_update_makes_is_refused(tmp_path: Path) -> None:
    """No operator of it is left when it is fused; TensorFlow Lite Micro would write into the .tflite."""

    def change(model: Any) -> None:
        graph, codes = model.subgraphs[0], model.operatorCodes
        kinds = [codes[operator.opcodeIndex].builtinCode for operator in graph.operators]
        place = graph.operators[kinds.index(83)].outputs[0]  # PACK
        graph.tensors[place].buffer = next(i for i, one in enumerate(model.buffers) if one.data is not None and i > 3)

    tflite = changed(attention_step(AttentionSpec(update="slice")), change)
    with pytest.raises(UnsupportedModel, match="bytes of values, and its shape"):
        compile_decode_step(tflite, tmp_path)
