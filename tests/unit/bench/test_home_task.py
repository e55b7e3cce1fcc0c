"""The home task's measures: what is counted of an action's tokens."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.bench.held_out import nats_and_best
from pipeline.text.tokenizers.byte_bpe import SEP


def test_only_the_actions_tokens_count() -> None:
    tokens = [1, 7, 8, SEP, 5, 6]
    logits = np.zeros((5, 10))
    logits[:3] = 50  # the sentence's own, which nobody asks
    logits[3, 5] = 2.0
    logits[4, 9] = 1.0
    nats, best = nats_and_best(logits, tokens)
    assert best.tolist() == [5, 9]
    assert nats.tolist() == pytest.approx([np.log(np.exp(2) + 9) - 2, np.log(np.e + 9)])
