"""The task of imported models: the model itself writes the data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ThimbleError
from pipeline.tasks.imported import read_text, write_text
from pipeline.tasks.registry import load_task
from pipeline.tasks.task import TextWriter

LENGTH = 8


@dataclass(frozen=True)
class Written:
    tokens: np.ndarray
    nll: np.ndarray
    top1: np.ndarray


def written(texts: int, seed: int) -> Written:
    tokens = np.arange(texts * LENGTH, dtype=np.int32).reshape(texts, LENGTH) + seed
    return Written(tokens, tokens[:, 1:].astype(np.float32), tokens[:, 1:])


def text_task(**config: int) -> dict[str, object]:
    return {"name": "text", "seed": 5, "calibration_tokens": 16, "measured_tokens": 14, "fitting_tokens": 24, **config}


@pytest.mark.parametrize("is_fitted", [False, True])
def test_the_texts_are_shared_out(tmp_path: Path, is_fitted: bool) -> None:
    task = load_task(text_task())
    text = task.dataset(TextWriter(LENGTH, is_fitted, written)).text
    assert text is not None
    counts = (len(text.tokens), len(text.calibration), len(text.fitting))
    assert counts == (2, 2, 3 if is_fitted else 0)
    together = np.concatenate([text.tokens, text.calibration, text.fitting])
    np.testing.assert_array_equal(together, written(len(together), 5).tokens)
    assert text.nll.shape == text.top1.shape == (2, LENGTH - 1)

    write_text(tmp_path / "text.npz", text)
    assert task.calibration(tmp_path, 1, LENGTH) == text.calibration.tolist()
    assert task.proof(tmp_path, 4) == {"text 1": text.tokens[0].tolist()}
    stored = task.text(tmp_path, LENGTH)
    assert stored is not None and np.array_equal(stored.sequences, text.tokens)
    assert stored.predictions is not None and np.array_equal(stored.predictions.nll, text.nll.ravel())
    assert task.training_text(tmp_path, LENGTH) is None


def test_it_has_no_pairs(tmp_path: Path) -> None:
    task = load_task(text_task())
    assert task.prompts() == ("",)
    assert not task.splits and task.held_out(tmp_path) == {} and task.score([], []) == []
    assert task.vocabulary() is None and task.grammar() is None


def test_damaged_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match=r"text\.npz"):
        read_text(tmp_path / "text.npz")
    (tmp_path / "text.npz").write_bytes(b"nothing")
    with pytest.raises(ThimbleError, match=r"text\.npz"):
        read_text(tmp_path / "text.npz")
