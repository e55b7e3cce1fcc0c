"""Text that a model writes itself: what calibrates an imported model's integers, and measures what they cost.

Its training data need not be at hand. Tokens are drawn from the float decode step, at temperature 1, many texts at
once; the step's own logits on the way are what the quantized step is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.decode_step import DecodeStep

__all__ = ["SampledText", "sample_text"]


@dataclass(frozen=True)
class SampledText:
    """Texts of one length, and what the float step says of each token after the first.

    `tokens` int32 [texts, length]; `nll` float32 [texts, length − 1], in nats; `best` int32 [texts, length − 1], the
    most likely token there.
    """

    tokens: np.ndarray
    nll: np.ndarray
    best: np.ndarray


def sample_text(
    step: DecodeStep, first: int, texts: int, seed: int, told: Callable[[int], None] | None = None
) -> SampledText:
    """Draws texts as long as the step's context, the same ones for the same seed.

    Args:
        first: the token that each begins with. told: called with the number of tokens done, of all texts.
    """
    config, rng = step.config, np.random.default_rng(seed)
    length = config.context
    cache = {name: np.repeat(rows[None], texts, axis=0) for name, rows in step.empty_cache().items()}
    tokens = np.full((texts, length), first, np.int32)
    nll, best = np.zeros((texts, length - 1), np.float32), np.zeros((texts, length - 1), np.int32)
    every = np.arange(texts)
    for position in range(length - 1):
        outputs = step.batch(position, tokens[:, position], cache)
        logits = outputs["logits"].numpy()[:, 0].astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        likely = np.exp(logits)
        sums = np.cumsum(likely, axis=-1)
        drawn = (sums < rng.random((texts, 1)) * sums[:, -1:]).sum(axis=-1)
        tokens[:, position + 1] = np.minimum(drawn, config.vocab_size - 1)
        nll[:, position] = np.log(sums[:, -1]) - logits[every, tokens[:, position + 1]]
        best[:, position] = logits.argmax(axis=-1)
        step.keep(position, outputs, cache)
        if told is not None:
            told((position + 1) * texts)
    return SampledText(tokens, nll, best)
