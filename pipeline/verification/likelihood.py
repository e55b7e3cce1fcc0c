"""How good a language model is that writes text: likelihood of text, and how often it agrees with the float model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks.task import MeasuredText, Predictions

__all__ = [
    "TEXT_FIGURES",
    "StepEngine",
    "format_metric",
    "format_metrics",
    "likelihood",
    "measure",
]

TEXT_FIGURES = {
    "nll": "negative log-likelihood of the text, nats a token",
    "perplexity": "e to that power",
    "perplexity_loss": "by how much the float model's perplexity is lower",
    "nats_per_byte": "the same a byte of text, which other tokenizers can be compared by",
    "agreement": "tokens where the same next one is most likely as with the float model",
    "tokens": "tokens measured",
}


class StepEngine(Protocol):
    """Interface of an engine under measurement."""

    def reset(self) -> None: ...

    def step(self, token: int) -> NDArray[np.signedinteger]: ...


def likelihood(nll: NDArray[np.floating], num_bytes: int | None = None) -> dict[str, float]:
    """`nll` in nats a token, `perplexity`, and the number of `tokens`; `nats_per_byte` where the bytes are known.

    Args:
        nll: of each token, in nats.
        num_bytes: of text that the tokens stand for.
    """
    mean = float(nll.mean(dtype=np.float64))
    by_byte = {"nats_per_byte": round(mean * nll.size / num_bytes, 5)} if num_bytes else {}
    return {"nll": round(mean, 5), "perplexity": round(math.exp(mean), 5), **by_byte, "tokens": nll.size}


def measure(
    engine: StepEngine,
    text: MeasuredText,
    predictions: Predictions,
    scale: float,
    progress: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Evaluates the engine on the text: `likelihood`, the relative increase of the float model's perplexity
    (`perplexity_loss`), and the share of tokens with the same top-1 prediction (`agreement`).

    Args:
        engine: what is measured.
        text: what it is measured on.
        predictions: the float model's.
        scale: of the logits.
        progress: called with the number of sequences done.
    """
    nll = np.zeros(predictions.nll.shape, np.float64)
    agreed = done = 0
    for number, sequence in enumerate(text.sequences, 1):
        engine.reset()
        for token, following in pairwise(sequence):
            logits = engine.step(int(token)).ravel().astype(np.float64) * scale
            agreed += int(logits.argmax() == predictions.top1[done])
            logits -= logits.max()
            nll[done] = math.log(np.exp(logits).sum()) - logits[following]
            done += 1
        if progress is not None:
            progress(number)
    loss = math.exp(float(nll.mean() - predictions.nll.mean(dtype=np.float64))) - 1
    return {
        **likelihood(nll, text.num_bytes),
        "perplexity_loss": round(loss, 6),
        "agreement": round(agreed / nll.size, 6),
    }


def format_metric(key: str, value: float) -> str:
    """A figure of a table: shares in percent, nats and perplexity as they are, tokens as a count."""
    if key in ("nll", "perplexity", "nats_per_byte"):
        return f"{value:.4f}"
    return f"{value:,.0f}" if key == "tokens" else f"{100 * value:.{2 if 'loss' in key else 1}f} %"


def format_metrics(quality: Mapping[str, float]) -> str:
    """All figures in one line."""
    return ", ".join(f"{key.replace('_', ' ')} {format_metric(key, value)}" for key, value in quality.items())
