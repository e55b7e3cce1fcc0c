"""The training model: every kind builds, learns, looks back only."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pipeline.network.decoder import NORM_EPSILON, build_decoder, rope_matrices
from pipeline.numerics.rope import rope_frequencies
from pipeline.recipes.schema import TrainConfig
from pipeline.text.codec import PlainCodec
from pipeline.training.batches import batches
from pipeline.training.evaluation import encode_pairs
from pipeline.training.loop import TrainingStep
from tests.support.tiny_models import IMPORTED_KINDS, KINDS, PAIRS, config_of, lively, tokenizer_of


@pytest.mark.parametrize("kind", [*KINDS, *IMPORTED_KINDS])
def test_shapes_and_size(kind: str) -> None:
    config = config_of(kind)
    model = build_decoder(config)
    assert model(np.zeros((3, 7), np.int32)).shape == (3, 7, config.vocab_size)
    assert model.count_params() == config.parameter_count
    assert model.get_layer("layer1_k").kernel.shape == (config.d_model, config.kv_heads * config.head_dim)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_sees_the_past_only(kind: str) -> None:
    config = config_of(kind)
    model = lively(config)
    rng = np.random.default_rng(2)
    tokens = rng.integers(0, config.vocab_size, (1, config.context)).astype(np.int32)
    changed = tokens.copy()
    changed[0, 9] = (changed[0, 9] + 1) % config.vocab_size
    before, after = model(tokens).numpy()[0], model(changed).numpy()[0]
    np.testing.assert_allclose(before[:9], after[:9], atol=1e-5)
    assert (np.abs(before[9:] - after[9:]).max(axis=-1) > 1e-4).all()


@pytest.mark.parametrize("kind", KINDS)
def test_order_matters(kind: str) -> None:
    """The last token's logits change when two tokens before it change places: positions reach attention."""
    config = config_of(kind)
    model = lively(config)
    there = model(np.array([[5, 6, 7, 8]], np.int32)).numpy()[0, -1]
    back = model(np.array([[6, 5, 7, 8]], np.int32)).numpy()[0, -1]
    assert np.abs(there - back).max() > 1e-4


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_learn_a_batch(kind: str) -> None:
    tokenizer = tokenizer_of(400)
    config = config_of(kind, vocab_size=tokenizer.vocab_size, context=48)
    keras.utils.set_random_seed(1)
    model = build_decoder(config)
    batch = next(batches(encode_pairs(PlainCodec(tokenizer), PAIRS, 48), 12, seed=1, context=48))
    step = TrainingStep(model, TrainConfig(weight_decay=0.0))
    losses = [step.run(batch, number, 0.01) for number in range(25)]
    step.close()
    assert losses[-1] < 0.7 * losses[0]
    assert np.isfinite(losses).all()


def test_grouped_heads_share_in_order() -> None:
    """Grouped attention is multi-head attention with each K/V head repeated for its group."""
    grouped = lively(config_of("rmsnorm, gated, rotary, grouped"))
    full = build_decoder(config_of("rmsnorm, gated, rotary, grouped", kv_heads=4))
    names = [weight.name for weight in full.trainable_variables]
    for name, weight, source in zip(names, full.trainable_variables, grouped.trainable_variables, strict=True):
        values = source.numpy()
        if values.shape != tuple(weight.shape):
            heads = values.reshape(values.shape[0], 2, 4)
            values = np.repeat(heads, 2, axis=1).reshape(values.shape[0], -1)
            assert name.split("_")[1][0] in "kv"
        weight.assign(values)
    tokens = np.arange(10, 20, dtype=np.int32)[None]
    np.testing.assert_allclose(grouped(tokens), full(tokens), atol=1e-5)


def test_norms_are_their_definitions() -> None:
    x = np.random.default_rng(1).normal(2, 3, (4, 16)).astype(np.float32)
    for kind in ("rmsnorm, relu, learned, tied", "layernorm, relu, rotary, untied"):
        layer = lively(config_of(kind)).get_layer("norm_final")
        if "layernorm" in kind:
            centred = x - x.mean(-1, keepdims=True)
            expected = centred / np.sqrt(x.var(-1, keepdims=True) + NORM_EPSILON) * layer.gamma + layer.beta
        else:
            expected = x / np.sqrt((x * x).mean(-1, keepdims=True) + NORM_EPSILON) * layer.gamma
        np.testing.assert_allclose(layer(tf.constant(x)), expected, rtol=1e-4, atol=1e-5)


def test_rotary_scores_depend_on_distance() -> None:
    """Turned by their positions, two rows' product is a function of how far they are apart."""
    matrices = rope_matrices(32, rope_frequencies(8).tolist())
    rng = np.random.default_rng(3)
    q, k = rng.normal(size=8), rng.normal(size=8)

    def turned(x: np.ndarray, position: int) -> np.ndarray:
        return np.asarray(np.einsum("kp,pkj->jp", x.reshape(2, 4), matrices[position]).reshape(8))

    near = [turned(q, offset + 5) @ turned(k, offset) for offset in range(20)]
    np.testing.assert_allclose(near, near[0], rtol=1e-4)
    assert abs(turned(q, 9) @ turned(k, 0) - near[0]) > 1e-3
