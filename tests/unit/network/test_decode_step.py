"""The decode step gives the training model's logits, position by position."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pipeline.network.decode_step import DecodeStep, mask_table
from pipeline.network.decoder import MASK
from tests.support.tiny_models import IMPORTED_KINDS, KINDS, config_of, lively


def run(step: DecodeStep, tokens: np.ndarray, cache: dict[str, np.ndarray]) -> np.ndarray:
    """Logits [T, vocab]; the cache is filled on the way."""
    rows = []
    for position, token in enumerate(tokens):
        inputs = {"token": np.array([token], np.int32), "position": np.array([position], np.int32), **cache}
        outputs = step.function(**{name: tf.constant(value) for name, value in inputs.items()})
        for name, rows_of_cache in cache.items():
            rows_of_cache[:, position] = outputs[name.replace("_cache_", "_new_")].numpy()[:, 0]
        rows.append(outputs["logits"].numpy()[0])
    return np.stack(rows)


@pytest.mark.parametrize("kind", [*KINDS, *IMPORTED_KINDS])
def test_equals_the_training_model(kind: str) -> None:
    config = config_of(kind)
    model = lively(config)
    step = DecodeStep(model, config)
    tokens = np.random.default_rng(4).integers(0, config.vocab_size, config.context).astype(np.int32)
    stepped = run(step, tokens, step.empty_cache())
    whole = model(tokens[None]).numpy()[0]
    assert whole.std() > 0.1
    np.testing.assert_allclose(stepped, whole, atol=2e-4 * max(1.0, float(np.abs(whole).max())))


@pytest.mark.parametrize("kind", KINDS)
def test_rows_not_filled_yet_have_no_say(kind: str) -> None:
    config = config_of(kind)
    step = DecodeStep(lively(config), config)
    tokens = np.arange(40, 46)
    clean = run(step, tokens, step.empty_cache())
    rng = np.random.default_rng(5)
    dirty = {name: rng.normal(size=rows.shape).astype(np.float32) for name, rows in step.empty_cache().items()}
    np.testing.assert_allclose(run(step, tokens, dirty), clean, atol=1e-3)


def test_signature() -> None:
    config = config_of("rmsnorm, gated, rotary, grouped")
    step = DecodeStep(lively(config), config)
    inputs = {spec.name: spec for spec in step.function.structured_input_signature[1].values()}
    caches = {f"{kind}_cache_{layer}" for kind in "kv" for layer in range(config.layers)}
    assert inputs.keys() == {"token", "position", *caches}
    assert all(inputs[name].shape == (config.kv_heads, config.context, config.head_dim) for name in caches)
    news = {name.replace("_cache_", "_new_") for name in caches}
    outputs = step.function.structured_outputs
    assert outputs.keys() == {"logits", *news}
    assert outputs["logits"].shape == (1, config.vocab_size)
    assert all(outputs[name].shape == (config.kv_heads, 1, config.head_dim) for name in news)


def test_mask_table() -> None:
    table = mask_table(6)
    assert table.shape == (6, 7)
    for position, row in enumerate(table):
        assert (row[:position] == 0).all()
        assert (row[position:6] == MASK).all()
        assert row[6] == 0


def test_the_step_keeps_no_gain_of_its_own() -> None:
    """Gains and the query's scale are folded into the kernels, and a pruned zero stays one."""
    config = config_of("rmsnorm, gated, rotary, grouped")
    model = lively(config)
    kernel = model.get_layer("layer0_q").kernel
    kernel.assign(np.where(np.random.default_rng(6).random(kernel.shape) < 0.5, 0.0, kernel))
    weights = DecodeStep(model, config).weights
    assert not any("gamma" in name for name in weights)
    np.testing.assert_array_equal(weights["layer0_q"] == 0, kernel.numpy() == 0)
