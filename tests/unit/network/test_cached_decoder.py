"""Decoding with a cache gives what the whole sequence anew for every token gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pipeline.network.cached_decoder import CachedDecoder
from tests.support.tiny_models import IMPORTED_KINDS, KINDS, config_of, lively

EOS = 3
GROUPED = "rmsnorm, gated, rotary, grouped"
CONFIGURATIONS: dict[str, tuple[str, dict[str, object]]] = {
    **{kind: (kind, {}) for kind in [*KINDS, *IMPORTED_KINDS]},
    "sliding window": (GROUPED, {"window": 8, "sinks": 2}),
    "strided window": (GROUPED, {"window": 10, "sinks": 1, "stride": 5}),
    "strided window, learned": ("layernorm, gated, learned, one K/V head", {"window": 10, "stride": 4}),
    "shared layers": (GROUPED, {"layers": 4, "shared_layers": 2}),
}


def plain(model: keras.Model, prompts: Sequence[Sequence[int]], context: int) -> list[list[int]]:
    """Greedy decoding by the training model alone, all rows at once, the whole context at each token."""
    rows = np.zeros((len(prompts), context), np.int32)
    ends = [len(prompt) for prompt in prompts]
    for row, prompt in zip(rows, prompts, strict=True):
        row[: len(prompt)] = prompt
    best = tf.function(lambda tokens: tf.argmax(model(tokens, training=False), axis=-1))
    answers: list[list[int]] = [[] for _ in prompts]
    running = set(range(len(prompts)))
    while running:
        chosen = best(tf.constant(rows)).numpy()
        for index in sorted(running):
            token = int(chosen[index, ends[index] - 1])
            if token != EOS:
                answers[index].append(token)
            if token == EOS or ends[index] == context:  # the last token has no place, and is not fed
                running.discard(index)
            else:
                rows[index, ends[index]] = token
                ends[index] += 1
    return answers


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_it_decodes_as_the_whole_sequence_does(name: str) -> None:
    kind, changes = CONFIGURATIONS[name]
    config = config_of(kind, **changes)
    model = lively(config)
    rng = np.random.default_rng(1)
    lengths = (1, 5, 9, 13, config.context - 1, 2, 5)
    prompts = [rng.integers(4, config.vocab_size, length).tolist() for length in lengths]
    expected = plain(model, prompts, config.context)
    decoder = CachedDecoder(model, config)
    assert decoder.greedy(prompts, config.context, EOS) == expected
    assert decoder.greedy(prompts, 3, EOS) == [answer[:3] for answer in expected]
    # A token that some answers hold ends them there.
    stop = expected[0][2]
    assert decoder.greedy(prompts, config.context, stop)[0] == expected[0][: expected[0].index(stop)]


def test_more_prompts_than_a_batch_in_their_order() -> None:
    config = config_of(GROUPED)
    decoder = CachedDecoder(lively(config), config)
    rng = np.random.default_rng(2)
    prompts = [rng.integers(4, config.vocab_size, rng.integers(1, 9)).tolist() for _ in range(150)]
    progress: list[int] = []
    together = decoder.greedy(prompts, 4, EOS, progress.append)
    assert progress[-1] == 150 and len(progress) == 2
    assert [together[index] for index in (0, 77, 149)] == [
        decoder.greedy([prompts[index]], 4, EOS)[0] for index in (0, 77, 149)
    ]
    assert decoder.greedy([], 4, EOS) == []


def test_changed_weights_count() -> None:
    config = config_of("rmsnorm, relu, learned, tied")
    model = lively(config)
    decoder = CachedDecoder(model, config)
    before = decoder.greedy([[5, 6, 7]], 8, EOS)
    for weight, other in zip(model.trainable_variables, lively(config, seed=9).trainable_variables, strict=True):
        weight.assign(other)
    after = decoder.greedy([[5, 6, 7]], 8, EOS)
    assert after != before and after[0] == plain(model, [[5, 6, 7]], config.context)[0][:8]
