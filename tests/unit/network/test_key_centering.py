"""Keys less their mean: the same attention in float, smaller integers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pipeline.network.decode_step import DecodeStep
from pipeline.network.decoder import rope_matrices
from pipeline.network.key_centering import rope_offset
from pipeline.numerics.rope import rope_frequencies
from pipeline.quantize.ptq import quantize
from pipeline.verification.oracle import Oracle
from tests.support.tiny_models import config_of, lively

KIND = "rmsnorm, gated, rotary, grouped"


@pytest.mark.parametrize(
    ("context", "head_dim", "slow"), [(256, 8, 1), (256, 64, 14), (20, 4, 1), (1, 8, 4), (1024, 4, 0)]
)
def test_the_drift_is_what_slow_pairs_have_turned(context: int, head_dim: int, slow: int) -> None:
    frequencies = rope_frequencies(head_dim).tolist()
    moved = rope_offset(context, frequencies)
    assert moved.slow.tolist() == [False] * (head_dim // 2 - slow) + [True] * slow
    assert np.abs(moved.matrices).max() <= 1 and (moved.matrices[:, ~moved.slow] == 0).all()
    turned = np.eye(2) + moved.matrices / moved.factor[:, None, None]
    np.testing.assert_allclose(turned[:, moved.slow], rope_matrices(context, frequencies)[:, moved.slow], atol=1e-6)


@pytest.mark.parametrize("kind", [KIND, "layernorm, relu, rotary, untied"])
def test_attention_does_not_see_what_all_keys_are_less(kind: str) -> None:
    config = config_of(kind)
    model, rng = lively(config), np.random.default_rng(7)
    slow = rope_offset(config.context, config.rope_frequencies).slow
    assert slow.any() and not slow.all()
    shape = (config.kv_heads, 2, slow.size)
    means = {f"layer{i}": 3 * rng.normal(size=shape).astype(np.float32) * slow for i in range(config.layers)}
    tokens = rng.integers(0, config.vocab_size, config.context)
    logits, caches = [], []
    for key_means in (None, means):
        step = DecodeStep(model, config, key_means=key_means)
        cache = step.empty_cache()
        for position, token in enumerate(tokens):
            inputs = step.inputs_at(position, int(token), cache)
            outputs = step.function(**{name: tf.constant(value) for name, value in inputs.items()})
            logits.append(outputs["logits"].numpy()[0])
            step.keep(position, outputs, cache)
        caches.append(cache)
    plain, smooth = np.split(np.array(logits), 2)
    np.testing.assert_allclose(smooth, plain, atol=1e-4 * np.abs(plain).max())
    for i in range(config.layers):
        less = caches[0][f"k_cache_{i}"] - caches[1][f"k_cache_{i}"]
        expected = means[f"layer{i}"].reshape(config.kv_heads, 1, config.head_dim)
        np.testing.assert_allclose(less, np.broadcast_to(expected, less.shape), atol=1e-4)


@pytest.mark.variants(keep=0)
def test_integers_of_keys_are_finer() -> None:
    """Where all keys of a head have a large part in common."""
    config = config_of("layernorm, relu, rotary, untied")
    model, rng = lively(config), np.random.default_rng(8)
    norm, slow = model.get_layer("layer0_norm_attention"), rope_offset(config.context, config.rope_frequencies).slow
    norm.beta.assign(8 * np.sign(model.get_layer("layer0_k").kernel.numpy()[:, 1]))  # of head 0 the slow pair's a
    common = (norm.beta.numpy() @ model.get_layer("layer0_k").kernel.numpy()).reshape(config.kv_heads, 2, slow.size)
    text = rng.integers(0, config.vocab_size, (6, config.context)).tolist()
    steps = []
    for means in (None, {"layer0": (common * slow).astype(np.float32)}):
        graph = Oracle(quantize(model, config, text, ranges="fitted", key_means=means)).graph
        steps.append(graph.tensors[graph.inputs["k_cache_0"]].scale)
    assert steps[1] < 0.8 * steps[0]
