"""The int16x8 decode step: operators that TensorFlow Lite Micro has, exact look-ups, and nearer the float one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import tf_keras as keras

from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.ir.graph import Graph
from pipeline.errors import ThimbleError
from pipeline.network.decode_step import DecodeStep
from pipeline.quantize.ptq import quantize
from pipeline.recipes.schema import ModelConfig
from pipeline.verification.oracle import Oracle
from tests.support.tiny_models import KINDS, config_of, lively

RMSNORM = [kind for kind in KINDS if "rmsnorm" in kind]


@dataclass
class Quantized:
    """A model and its .tflite with int16 activations."""

    config: ModelConfig
    model: keras.Model
    tflite: bytes
    graph: Graph
    tokens: np.ndarray


@pytest.fixture(scope="module", params=RMSNORM)
def quantized(request: pytest.FixtureRequest) -> Quantized:
    config = config_of(request.param)
    model = lively(config)
    tokens = np.random.default_rng(7).integers(0, config.vocab_size, (6, config.context))
    tflite = quantize(model, config, tokens.tolist(), "int16")
    return Quantized(config, model, tflite, read_tflite(tflite), tokens)


@pytest.mark.variants(keep=1)
def test_only_the_norms_root_is_float(quantized: Quantized) -> None:
    graph = quantized.graph
    norms = 2 * quantized.config.layers + 1
    real = {tensor.index for tensor in graph.tensors if tensor.dtype == "FLOAT32"}
    floats = [op for op in graph.ops if real & {*op.inputs, *op.outputs}]
    assert [op.kind for op in floats] == ["DEQUANTIZE", "ADD", "RSQRT", "QUANTIZE"] * norms
    assert all(graph.tensors[op.outputs[0]].size == 1 for op in floats)


def test_weights_are_int8_and_activations_int16(quantized: Quantized) -> None:
    graph = quantized.graph
    for op in graph.ops:
        if op.kind == "FULLY_CONNECTED":
            x, weights, out = (graph.tensors[i] for i in (op.inputs[0], op.inputs[1], op.outputs[0]))
            assert (x.dtype, weights.dtype, out.dtype) == ("INT16", "INT8", "INT16")
        if op.kind == "GATHER":
            assert graph.tensors[op.inputs[0]].dtype == "INT8"
    assert all(graph.tensors[index].dtype == "INT16" for index in graph.outputs.values())
    assert all(graph.tensors[index].dtype == "INT16" for name, index in graph.inputs.items() if "cache" in name)


def test_new_rows_are_quantized_as_their_cache(quantized: Quantized) -> None:
    graph, config = quantized.graph, quantized.config
    for layer in range(config.layers):
        for kind in "kv":
            cache = graph.tensors[graph.inputs[f"{kind}_cache_{layer}"]]
            new = graph.tensors[graph.outputs[f"{kind}_new_{layer}"]]
            assert (cache.scale, cache.zero_point) == (new.scale, 0)
            assert cache.shape == (config.kv_heads, config.context, config.head_dim)
            assert new.shape == (config.kv_heads, 1, config.head_dim)
            (concatenation,) = graph.consumers(cache.index)
            assert concatenation.kind == "CONCATENATION"
            assert concatenation.inputs == (cache.index, new.index)


def test_tables_add_up_to_the_embedding(quantized: Quantized) -> None:
    """The high and the low bytes hold each number of the embedding to half a step of int16."""
    graph = quantized.graph
    step = DecodeStep(quantized.model, quantized.config)
    expected = step.weights["embed"]
    total = np.zeros(expected.shape)
    scales = []
    for op in graph.ops:
        if op.kind == "GATHER" and op.inputs[1] == graph.inputs["token"]:
            table = graph.tensors[op.inputs[0]]
            assert table.data is not None
            total += table.scale * (table.data.astype(np.float64) - table.zero_point)
            scales.append(table.scale)
    assert len(scales) == 2
    assert np.abs(total - expected).max() <= 0.51 * min(scales)


@pytest.mark.variants(keep=1)
def test_micro_runs_it_nearer_the_float_model(quantized: Quantized) -> None:
    """Less than half of the error of int8; what is left comes from the weights."""
    expected = quantized.model(quantized.tokens[:1].astype(np.int32)).numpy()[0]
    errors = []
    for activations in ("int8", "int16"):
        tflite = quantized.tflite
        if activations == "int8":
            tflite = quantize(quantized.model, quantized.config, quantized.tokens.tolist())
        oracle = Oracle(tflite)
        logits = oracle.graph.tensors[oracle.graph.outputs["logits"]]
        actual = np.stack([oracle.step(int(token)) for token in quantized.tokens[0]]).astype(np.float32)
        errors.append(float(np.abs((actual - logits.zero_point) * logits.scale - expected).mean()))
    assert errors[1] < 0.5 * errors[0]
    assert errors[1] < 0.02 * expected.std()


def test_layernorm_is_refused() -> None:
    config = config_of("layernorm, relu, rotary, untied")
    with pytest.raises(ThimbleError, match="LayerNorm with int16 activations"):
        quantize(lively(config), config, [[1, 2]], "int16")
