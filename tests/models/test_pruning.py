"""Pruning: the sparsity that was asked for, in the Dense kernels, with what the model learned kept."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras
from tiny import PAIRS, config_of, tokenizer_of

from models.config import PruneConfig, TrainConfig
from models.decoder import build_decoder
from models.pruning import prune

TOKENIZER = tokenizer_of(340)


@pytest.mark.parametrize("steps", [1, 30, 70])
@pytest.mark.parametrize("kind", ["rmsnorm, gated, rotary, grouped", "layernorm, relu, rotary, untied"])
def test_kernels_reach_the_sparsity(kind: str, steps: int) -> None:
    keras.utils.set_random_seed(1)
    config = config_of(kind, vocab_size=TOKENIZER.vocab_size, layers=1, context=48)
    model = build_decoder(config)
    embedding = model.get_layer("embed").table.numpy()
    shown: list[int] = []
    history = prune(
        model,
        PruneConfig(sparsity=0.4, steps=steps),
        TrainConfig(batch_size=4),
        TOKENIZER,
        PAIRS,
        PAIRS[:3],
        config.context,
        lambda done, of, figures: shown.append(done),
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            share = float(np.mean(layer.kernel.numpy() == 0))
            assert share == pytest.approx(0.0 if layer.name == "head" else 0.4, abs=0.01), layer.name
    assert (model.get_layer("embed").table.numpy() != embedding).any()  # fine-tuned with the rest
    assert (model.get_layer("embed").table.numpy() != 0).all()
    assert not any("prune" in layer.name for layer in model.layers)
    assert history[-1]["step"] == steps
    assert np.isfinite(history[-1]["loss"])
    assert shown[-1] == steps


def test_pruning_is_reproducible() -> None:
    found = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        config = config_of("rmsnorm, relu, learned, tied", vocab_size=TOKENIZER.vocab_size, layers=1, context=48)
        model = build_decoder(config, dropout=0.1)
        prune(
            model,
            PruneConfig(steps=4),
            TrainConfig(batch_size=4),
            TOKENIZER,
            PAIRS,
            PAIRS[:2],
            config.context,
            lambda *_: None,
        )
        found.append([weight.numpy() for weight in model.trainable_variables])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
