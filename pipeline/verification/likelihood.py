"""How good a language model is that writes text: likelihood of text, and how often it agrees with the float model."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ThimbleError

__all__ = [
    "TEXT_FIGURES",
    "EvaluationText",
    "StepEngine",
    "format_metric",
    "format_metrics",
    "likelihood",
    "measure",
    "read_text",
    "write_text",
]

TEXT_FIGURES = {
    "nll": "negative log-likelihood of the text, nats a token",
    "perplexity": "e to that power",
    "perplexity_loss": "by how much the float model's perplexity is lower",
    "agreement": "tokens where the same next one is most likely as with the float model",
    "tokens": "tokens measured",
}


@dataclass(frozen=True)
class EvaluationText:
    """Texts of one length that the float model wrote: those to calibrate with and to fit weights on, int32 [texts,
    length], and those to measure with, `tokens` int32 [texts, length], with what the float model says of each token
    after the first: `nll` in nats, and `top1`, the most likely token there."""

    calibration: NDArray[np.int32]
    fitting: NDArray[np.int32]
    tokens: NDArray[np.int32]
    nll: NDArray[np.float32]
    top1: NDArray[np.int32]


class StepEngine(Protocol):
    """What is needed of an engine."""

    def reset(self) -> None: ...

    def step(self, token: int) -> NDArray[np.signedinteger]: ...


def write_text(path: Path, text: EvaluationText) -> None:
    """Writes the texts."""
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **vars(text))


def read_text(path: Path) -> EvaluationText:
    """Reads what `write_text` wrote.

    Raises:
        ThimbleError: no such file, or a damaged one.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return EvaluationText(**{name: data[name] for name in EvaluationText.__dataclass_fields__})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ThimbleError(f"cannot read {path}: {error}", "run the `data` stage again with --force") from None


def likelihood(nll: NDArray[np.floating]) -> dict[str, float]:
    """`nll` in nats a token, `perplexity`, and the number of `tokens`."""
    mean = float(nll.mean(dtype=np.float64))
    return {"nll": round(mean, 5), "perplexity": round(math.exp(mean), 5), "tokens": nll.size}


def measure(
    engine: StepEngine, text: EvaluationText, scale: float, progress: Callable[[int], None] | None = None
) -> dict[str, float]:
    """Feeds the text to the engine: its `likelihood`, by how much of the float model's perplexity it is worse
    (`perplexity_loss`), and the share of tokens where both find the same one most likely (`agreement`).

    Args:
        scale: of the logits. progress: called with the number of texts done.
    """
    nll = np.zeros(text.nll.shape, np.float64)
    agreed = 0
    for row, sequence in enumerate(text.tokens):
        engine.reset()
        for position, (token, following) in enumerate(pairwise(sequence)):
            logits = engine.step(int(token)).ravel().astype(np.float64) * scale
            agreed += int(logits.argmax() == text.top1[row, position])
            logits -= logits.max()
            nll[row, position] = math.log(np.exp(logits).sum()) - logits[following]
        if progress is not None:
            progress(row + 1)
    loss = math.exp(float(nll.mean() - text.nll.mean(dtype=np.float64))) - 1
    return {**likelihood(nll), "perplexity_loss": round(loss, 6), "agreement": round(agreed / nll.size, 6)}


def format_metric(key: str, value: float) -> str:
    """A figure of a table: shares in percent, nats and perplexity as they are, tokens as a count."""
    if key in ("nll", "perplexity"):
        return f"{value:.4f}"
    return f"{value:,.0f}" if key == "tokens" else f"{100 * value:.{2 if 'loss' in key else 1}f} %"


def format_metrics(quality: Mapping[str, float]) -> str:
    """All figures in one line."""
    return ", ".join(f"{key.replace('_', ' ')} {format_metric(key, value)}" for key, value in quality.items())
