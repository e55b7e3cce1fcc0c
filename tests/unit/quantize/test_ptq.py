"""The quantized decode step: integers throughout, caches that fit their rows, near the float one, zeros kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.ir.graph import Graph
from pipeline.quantize.ptq import quantize, tflite_sparsity
from pipeline.recipes.schema import ModelConfig
from pipeline.verification.oracle import Oracle
from tests.support.tiny_models import KINDS, config_of, lively

SPARSITY = 0.6


@dataclass
class Quantized:
    """A model with zeros in its Dense kernels, and its .tflite."""

    config: ModelConfig
    model: keras.Model
    tflite: bytes
    graph: Graph
    tokens: np.ndarray


@pytest.fixture(scope="module", params=KINDS)
def quantized(request: pytest.FixtureRequest) -> Quantized:
    config = config_of(request.param)
    model = lively(config)
    rng = np.random.default_rng(7)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense) and layer.name != "head":
            values = layer.kernel.numpy()
            values[rng.permutation(values.size).reshape(values.shape) < SPARSITY * values.size] = 0.0
            layer.kernel.assign(values)
    calibration = rng.integers(0, config.vocab_size, (12, config.context))
    tflite = quantize(model, config, calibration.tolist())
    return Quantized(config, model, tflite, read_tflite(tflite), calibration)


@pytest.mark.variants(keep=1)
def test_no_float_anywhere(quantized: Quantized) -> None:
    graph = quantized.graph
    assert {tensor.dtype for tensor in graph.tensors} <= {"INT8", "INT32"}
    assert not {"QUANTIZE", "DEQUANTIZE", "CAST"} & {op.kind for op in graph.ops}
    assert all(graph.tensors[index].dtype == "INT32" for name, index in graph.inputs.items() if "cache" not in name)
    assert all(graph.tensors[index].dtype == "INT8" for index in graph.outputs.values())


def test_new_rows_are_quantized_as_their_cache(quantized: Quantized) -> None:
    graph, config = quantized.graph, quantized.config
    for layer in range(config.layers):
        for kind in "kv":
            cache = graph.tensors[graph.inputs[f"{kind}_cache_{layer}"]]
            new = graph.tensors[graph.outputs[f"{kind}_new_{layer}"]]
            assert (cache.scale, cache.zero_point) == (new.scale, new.zero_point)
            assert cache.shape == (config.kv_heads, config.context, config.head_dim)
            assert new.shape == (config.kv_heads, 1, config.head_dim)


def test_weights_are_symmetric_by_channel(quantized: Quantized) -> None:
    graph = quantized.graph
    products = [op for op in graph.ops if op.kind == "FULLY_CONNECTED"]
    per_layer = 7 if quantized.config.ffn == "gated" else 6
    assert len(products) == per_layer * quantized.config.layers + 1
    for op in products:
        weights = graph.tensors[op.inputs[1]]
        assert len(weights.scales) == weights.shape[0]
        assert not weights.zero_points.any()


def test_micro_runs_it_near_the_float_model(quantized: Quantized) -> None:
    oracle = Oracle(quantized.tflite)
    logits = quantized.graph.tensors[quantized.graph.outputs["logits"]]
    tokens = quantized.tokens[0]
    actual = np.stack([oracle.step(int(token)) for token in tokens]).astype(np.float32)
    actual = (actual - logits.zero_point) * logits.scale
    expected = quantized.model(tokens[None].astype(np.int32)).numpy()[0]
    assert np.corrcoef(actual.ravel(), expected.ravel())[0, 1] > 0.98
    assert np.abs(actual - expected).mean() < 0.15 * expected.std()


def test_pruned_zeros_survive(quantized: Quantized, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(quantized.tflite)
    assert SPARSITY - 0.01 <= tflite_sparsity(path) < SPARSITY + 0.05


def test_the_same_model_gives_the_same_bytes() -> None:
    config = config_of("rmsnorm, relu, learned, tied", layers=1, context=8)
    model = lively(config)
    calibration = [[1, 20, 30, 2, 40], [1, 50, 2, 60]]
    assert quantize(model, config, calibration) == quantize(model, config, calibration)
