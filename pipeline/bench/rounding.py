"""What integers cost, and what training in them brings back, on the home task's held-out sentences.

`thimble bench rounding --variant nano` takes the shipped weights and prints, for float, int8 and int4
weights (activations in int8), each as the converter rounds them and after `qat`: exact match, how many points were lost
against float, with the standard error of this difference (the sentences are the same), nats a token of the true
actions, and the share of tokens at which another one is most likely than in float.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from pipeline.bench.held_out import HomeModel, load_home_model, matching, nats_and_best
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.files import write_json
from pipeline.recipes.schema import QatConfig
from pipeline.resources import ROOT
from pipeline.verification.host_engine import host_engine

__all__ = ["measure_rounding"]


def measure_rounding(
    variant: str, kinds: Sequence[str], steps: int, learning_rate: float, build: Path, console: Console
) -> None:
    """Prints the table and writes it as JSON.

    Args:
        variant: of the shipped models for English commands, such as `nano`.
        kinds: of weights: `int8`, `int4`.
        steps: of training in integers.
        learning_rate: of that training.
        build: where artifacts go.
        console: gets the table.

    Raises:
        ThimbleError: no such model.
    """
    home = load_home_model(ROOT / "models" / f"home-en-{variant}" / "recipe.yaml", build, console)
    before = [weight.numpy() for weight in home.model.trainable_variables]
    exact = _float(home)
    measurements = {"float": exact}
    for weights in kinds:
        with console.status(f"{weights}, after training"):
            measurements[weights] = _integers(home, weights)
        with console.status(f"{weights}, {steps:,} steps of qat"):
            _train(home, weights, QatConfig(steps=steps, learning_rate=learning_rate))
            measurements[f"{weights} + qat"] = _integers(home, weights)
        for weight, value in zip(home.model.trainable_variables, before, strict=True):
            weight.assign(value)
    rows = {name: _row(measurement, exact) for name, measurement in measurements.items()}
    facts = {"variant": variant, "steps": steps, "learning_rate": learning_rate}
    _print(console, variant, home, rows)
    folder = build / "rounding"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{variant}.json", {**facts, "rows": rows})


@dataclass(frozen=True)
class _Measured:
    """By split, for each sentence whether its action is right; of each token of the true actions its nats, and the
    token that is most likely there."""

    right: dict[str, list[bool]]
    nats: NDArray[np.float64]
    best: NDArray[np.intp]


def _measured(
    home: HomeModel, right: dict[str, list[bool]], logits_of: Callable[[list[int]], NDArray[np.floating]]
) -> _Measured:
    """`logits_of` gives the logits [T, vocab] after each of T tokens."""
    sentences = [nats_and_best(logits_of(tokens[:-1]), tokens) for tokens in _held_out(home)]
    nats, best = zip(*sentences, strict=True)
    return _Measured(right, np.concatenate(nats), np.concatenate(best))


def _float(home: HomeModel) -> _Measured:
    import tensorflow as tf

    from pipeline.network.cached_decoder import CachedDecoder
    from pipeline.training.evaluation import matches

    decoder, codec = CachedDecoder(home.model, home.recipe.model), home.training_data.codec
    right = {name: matches(decoder, codec, pairs) for name, pairs in home.splits.items()}
    return _measured(home, right, lambda tokens: home.model(tf.constant([tokens])).numpy()[0])


def _integers(home: HomeModel, weights: str) -> _Measured:
    from pipeline.quantize.ptq import quantize

    recipe = home.recipe
    calibration = home.training_data.sequences[: recipe.quantize.calibration_sentences]
    tflite = quantize(home.model, recipe.model, calibration, weights=weights)
    graph = read_tflite(tflite)
    scale = graph.tensors[graph.outputs["logits"]].scale
    with host_engine(tflite) as engine:

        def logits_of(tokens: list[int]) -> NDArray[np.floating]:
            engine.reset()
            return np.stack([engine.step(token) for token in tokens]) * scale

        return _measured(home, matching(engine, home.training_data.codec, home.splits), logits_of)


def _row(measured: _Measured, exact: _Measured) -> dict[str, Any]:
    """Shares of what was measured, beside the float model's."""
    float_right, right = (
        np.concatenate(list(measurement.right.values())).astype(float) for measurement in (exact, measured)
    )
    lost = float_right - right
    return {
        "match": {name: float(np.mean(matches)) for name, matches in measured.right.items()},
        "lost": float(lost.mean()),
        "lost_error": float(lost.std() / np.sqrt(lost.size)),
        "nats": float(measured.nats.mean()),
        "other": float((measured.best != exact.best).mean()),
    }


def _train(home: HomeModel, weights: str, config: QatConfig) -> None:
    from pipeline.training.qat import train_quantized

    settings = home.recipe.train.replace(seed=1)
    with tempfile.TemporaryDirectory() as out:
        train_quantized(
            home.model, home.recipe.model, config, weights, settings, home.training_data, Path(out), lambda *_: None
        )


def _held_out(home: HomeModel) -> list[list[int]]:
    """The sentences of all splits with their actions, as tokens."""
    from pipeline.training.evaluation import encode_pairs

    pairs = [pair for split in home.splits.values() for pair in split]
    return encode_pairs(home.training_data.codec, pairs, home.training_data.context)


def _print(console: Console, variant: str, home: HomeModel, rows: dict[str, dict[str, Any]]) -> None:
    sentences = sum(map(len, home.splits.values()))
    table = Table(title=f"{variant}, {sentences:,} held-out sentences: exact match in %", box=SIMPLE, padding=0)
    for title in (
        "weights",
        *(name.replace("_", " ") for name in home.splits),
        "mean",
        "lost",
        "nats a token",
        "not as float",
    ):
        table.add_column(title)
    for name, row in rows.items():
        values = [*row["match"].values(), float(np.mean(list(row["match"].values())))]
        cells = [f"{100 * value:.1f}" for value in values]
        lost = f"{100 * row['lost']:.2f} ± {100 * row['lost_error']:.2f}"
        table.add_row(name, *cells, lost, f"{row['nats']:.4f}", f"{100 * row['other']:.2f} %")
    console.print(table)
