"""Text that a model writes itself: what calibrates an imported model's integers, and measures what they cost.

Its training data need not be at hand. Tokens are drawn from the float decode step, at temperature 1, many texts at
once; the step's own logits on the way are what the quantized step is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.network.decode_step import DecodeStep

__all__ = ["SampledText", "sample_text"]

_AT_ONCE = 256  # texts, each with caches of its own


@dataclass(frozen=True)
class SampledText:
    """Texts of one length, with the float step's predictions of each token after the first.

    `tokens` int32 [texts, length]; `nll` float32 [texts, length − 1], in nats; `top1` int32 [texts, length − 1], the
    most likely token there.
    """

    tokens: np.ndarray
    nll: np.ndarray
    top1: np.ndarray


def sample_text(
    step: DecodeStep, first: int, texts: int, seed: int, progress: Callable[[int], None] | None = None
) -> SampledText:
    """Draws texts as long as the step's context, the same ones for the same seed.

    Args:
        first: the token that each begins with.
        progress: called with the number of tokens done, of all texts.
    """
    length = step.config.context
    chances = np.random.default_rng(seed).random((length - 1, texts))
    tokens = np.full((texts, length), first, np.int32)
    nll, top1 = np.zeros((texts, length - 1), np.float32), np.zeros((texts, length - 1), np.int32)
    for start in range(0, texts, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        for position in _draw(step, chances[:, part], tokens[part], nll[part], top1[part]):
            if progress is not None:
                progress(start * (length - 1) + (position + 1) * len(tokens[part]))
    return SampledText(tokens, nll, top1)


def _draw(
    step: DecodeStep, chances: np.ndarray, tokens: np.ndarray, nll: np.ndarray, top1: np.ndarray
) -> Iterator[int]:
    """Fills the texts in; yields each position that is done. `chances`: random numbers [length − 1, texts]."""
    cache = {name: np.repeat(rows[None], len(tokens), axis=0) for name, rows in step.empty_cache().items()}
    every = np.arange(len(tokens))
    for position, chance in enumerate(chances):
        outputs = step.batch(position, tokens[:, position], cache)
        logits = outputs["logits"].numpy()[:, 0].astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        sums = np.cumsum(np.exp(logits), axis=-1)
        drawn = (sums < chance[:, None] * sums[:, -1:]).sum(axis=-1)
        tokens[:, position + 1] = np.minimum(drawn, step.config.vocab_size - 1)
        nll[:, position] = np.log(sums[:, -1]) - logits[every, tokens[:, position + 1]]
        top1[:, position] = logits.argmax(axis=-1)
        step.keep(position, outputs, cache)
        yield position
