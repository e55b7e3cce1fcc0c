"""Likelihood of text, of sequences of any length."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.recipes.schema import Budgets
from pipeline.tasks.task import MeasuredText, Predictions
from pipeline.verification.budgets import DEFAULT_MAX_PERPLEXITY_LOSS, text_failures
from pipeline.verification.likelihood import TEXT_FIGURES, format_metric, likelihood, measure

SEQUENCES = [np.array([1, 3, 2]), np.array([2, 0])]


class Engine:
    """Holds the token after the last one likely, and begins anew when it is reset."""

    def __init__(self) -> None:
        self.fed: list[list[int]] = []

    def reset(self) -> None:
        self.fed.append([])

    def step(self, token: int) -> np.ndarray:
        self.fed[-1].append(token)
        logits = np.zeros(4, np.int8)
        logits[(token + 1) % 4] = 10
        return logits[None]


def test_each_token_but_the_first_of_a_sequence_is_measured() -> None:
    engine = Engine()
    done: list[int] = []
    likely, other = math.log(math.e**2 + 3) - 2, math.log(math.e**2 + 3)
    predictions = Predictions(np.array([other, likely, likely], np.float32), np.array([2, 0, 3], np.int32))
    text = MeasuredText(SEQUENCES, num_bytes=6)
    figures = measure(engine, text, predictions, 0.2, done.append)
    assert engine.fed == [[1, 3], [2]] and done == [1, 2]
    assert figures["nll"] == pytest.approx(other, abs=1e-5), "3 follows 1, 2 follows 3 and 0 follows 2: none is likely"
    assert figures["nats_per_byte"] == pytest.approx(3 * other / 6, abs=1e-5)
    assert figures["perplexity_loss"] == pytest.approx(math.exp(4 / 3) - 1, abs=1e-5)
    assert figures["agreement"] == 1.0 and figures["tokens"] == 3
    assert set(figures) == set(TEXT_FIGURES)


def test_bytes_need_not_be_known() -> None:
    figures = likelihood(np.array([1.0, 3.0]))
    assert figures == {"nll": 2.0, "perplexity": pytest.approx(math.e**2, abs=1e-5), "tokens": 2}
    assert format_metric("nats_per_byte", 0.51234) == "0.5123"


def test_budgets_of_perplexity() -> None:
    figures = {"perplexity": 4.2, "perplexity_loss": 0.08}
    assert text_failures(Budgets(), figures, is_imported=False) == []
    assert text_failures(Budgets(max_perplexity=5, max_perplexity_loss=8), figures, is_imported=True) == []
    (line,) = text_failures(Budgets(max_perplexity=4), figures, is_imported=False)
    assert "perplexity is 4.20, the budget is 4" in line
    (line,) = text_failures(Budgets(max_perplexity_loss=5), figures, is_imported=True)
    assert "8.0 % above float's, the budget is 5 %" in line


def test_without_a_budget_a_trained_model_may_not_fall_apart() -> None:
    broken = {"perplexity": 9.0, "perplexity_loss": 0.01 + DEFAULT_MAX_PERPLEXITY_LOSS / 100}
    (line,) = text_failures(Budgets(), broken, is_imported=False)
    assert "without a budget that fails above 25 %" in line
    assert text_failures(Budgets(), broken, is_imported=True) == []
    assert text_failures(Budgets(max_perplexity=20), broken, is_imported=False) == []
