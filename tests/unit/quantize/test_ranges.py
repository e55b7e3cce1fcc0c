"""Ranges that are fitted: a floor where only the best counts, and the steps that this makes finer."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.quantize.ptq import quantize
from pipeline.quantize.ranges import fitted_floor
from pipeline.verification.oracle import Oracle
from tests.support.tiny_models import config_of, lively

KIND = "rmsnorm, gated, rotary, grouped"


def test_the_floor_is_where_the_softmax_hardly_sees_it() -> None:
    rng = np.random.default_rng(1)
    rows = np.concatenate([rng.normal(0, 2, (500, 20)), rng.normal(-150, 20, (500, 20))], axis=1)
    high = float(rows.max())
    floor = fitted_floor(rows, high)
    assert -30 < floor < -5, "far values are cut off, near ones are not"
    flat = rng.normal(0, 0.5, (500, 20))
    assert fitted_floor(flat, float(flat.max())) < -1.0, "what counts is kept"
    assert fitted_floor(np.ones((3, 4)), 2.0) == 1.0, "nothing below 0: as it is"


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("window", [{}, {"window": 30, "sinks": 2}], ids=["context", "window"])
def test_fitted_ranges_make_a_better_step(window: dict[str, object]) -> None:
    config = config_of(KIND, context=48, **window)
    model = lively(config, seed=3)
    for i in range(config.layers):  # sharp attention, scores far below the best
        kernel = model.get_layer(f"layer{i}_k").kernel
        kernel.assign(kernel * 6)
    rng = np.random.default_rng(3)
    text = rng.integers(0, config.vocab_size, (11, config.context))
    exact = _log_softmax(model(text[8:]).numpy().astype(float))
    errors, steps = {}, {}
    for ranges in ("minmax", "fitted"):
        oracle = Oracle(quantize(model, config, text[:8].tolist(), ranges=ranges))
        graph = oracle.graph
        logits = graph.tensors[graph.outputs["logits"]]
        logits_of_step = np.stack([_logits(oracle, row, logits.scale) for row in text[8:]])
        divergence = np.exp(exact) * (exact - _log_softmax(logits_of_step))
        errors[ranges] = divergence.sum(axis=-1).mean()
        (op,) = [op for op in graph.ops if op.kind == "SOFTMAX"][:1]
        steps[ranges] = graph.tensors[op.inputs[0]].scale
    assert steps["fitted"] < 0.9 * steps["minmax"]
    assert errors["fitted"] < errors["minmax"]


def _logits(oracle: Oracle, text: np.ndarray, scale: float) -> np.ndarray:
    oracle.reset()
    return np.stack([oracle.step(int(token)).astype(float) * scale for token in text])


def _log_softmax(rows: np.ndarray) -> np.ndarray:
    shifted = rows - rows.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
