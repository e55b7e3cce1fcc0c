"""Text that a model writes itself: drawn from its own distribution, the same for a seed, window or not."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.network.decode_step import DecodeStep
from pipeline.training.sampled_text import sample_text
from tests.support.tiny_models import config_of, lively

KIND = "rmsnorm, gated, rotary, grouped"


@pytest.mark.parametrize("window", [{}, {"window": 8, "sinks": 2}], ids=["context", "window"])
def test_the_text_is_the_models_own(window: dict[str, object]) -> None:
    config = config_of(KIND, **window)
    model = lively(config)
    reported: list[int] = []
    text = sample_text(DecodeStep(model, config), 1, 6, 3, reported.append)
    assert text.tokens.shape == (6, config.context) and (text.tokens[:, 0] == 1).all()
    assert reported[-1] == 6 * (config.context - 1)
    logits = model(text.tokens).numpy()[:, :-1].astype(np.float64)
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    drawn = np.take_along_axis(logits, text.tokens[:, 1:, None], axis=-1)[..., 0]
    np.testing.assert_allclose(text.nll, -drawn, atol=5e-3)
    assert (text.top1 == logits.argmax(axis=-1)).mean() > 0.98


def test_draws_follow_the_probabilities_and_the_seed() -> None:
    config = config_of(KIND, context=2)
    step = DecodeStep(lively(config), config)
    text = sample_text(step, 5, 3000, 7)
    repeated, other_seed = sample_text(step, 5, 3000, 7), sample_text(step, 5, 3000, 8)
    assert (repeated.tokens == text.tokens).all() and (other_seed.tokens != text.tokens).any()
    entropy = text.nll.mean()  # of 3,000 draws from one distribution
    counts = np.bincount(text.tokens[:, 1], minlength=config.vocab_size) / 3000
    probabilities = np.zeros(config.vocab_size)
    for token, nll in zip(text.tokens[:, 1], text.nll[:, 0], strict=True):
        probabilities[token] = np.exp(-nll)
    assert abs(counts - probabilities)[counts > 0].max() < 0.03
    assert 1.0 < entropy < np.log(config.vocab_size) + 0.1
