"""The home task's shipped models with their data, and an int8 model's figures on the held-out sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pipeline.network.tf_setup import load_tensorflow
from pipeline.recipes.load import Recipe, load_recipe
from pipeline.stages.fine_tune import read_training_data
from pipeline.stages.registry import run_recipe
from pipeline.tasks.accuracy import Generator, matches
from pipeline.tasks.registry import load_task
from pipeline.tasks.task import Pair
from pipeline.text.codec import Codec
from pipeline.text.tokenizers.byte_bpe import SEP
from pipeline.workflow.artifacts import WEIGHTS
from pipeline.workflow.runner import RunOptions
from pipeline.workflow.shipped import has_weights

if TYPE_CHECKING:
    import tf_keras as keras

    from pipeline.training.loop import TrainingData

__all__ = ["HomeModel", "announce_training", "load_home_model", "matching", "nats_and_best"]

Splits = Mapping[str, list[Pair]]


@dataclass(frozen=True)
class HomeModel:
    """A recipe's trained model, what it learned from, and the held-out splits."""

    recipe: Recipe
    model: keras.Model
    training_data: TrainingData
    splits: Splits


def load_home_model(path: Path, build: Path, console: Console) -> HomeModel:
    """A shipped recipe's model; its data are made in `build` if they are not there.

    Raises:
        ThimbleError: from the stages.
    """
    recipe = load_recipe(path)
    announce_training(recipe, build, console)
    workspace = run_recipe(recipe, RunOptions(build=build, until="prune"), console)
    with console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import build_from
    from pipeline.training.loop import limit_threads

    limit_threads()
    data = workspace.stage("data")
    training_data = read_training_data(data, recipe)
    model = build_from(workspace.path(WEIGHTS.of("prune")), recipe.model)
    return HomeModel(recipe, model, training_data, load_task(recipe).held_out(data))


def announce_training(recipe: Recipe, build: Path, console: Console) -> None:
    """Says in one line that a model has no weights and is trained first, where that is so.

    Args:
        recipe: of the model.
        build: the folder of the runs' workspaces.
        console: gets the line.
    """
    if not has_weights(recipe, build):
        what = f"{recipe.name} has no weights: it is trained first, {recipe.train.steps:,} steps, and kept in {build}"
        console.print(what, markup=False, highlight=False, soft_wrap=True)


def matching(engine: Generator, codec: Codec, splits: Splits) -> dict[str, list[bool]]:
    """By split, for each sentence whether the whole action is right."""
    return {name: matches(engine, codec, pairs) for name, pairs in splits.items()}


def nats_and_best(logits: NDArray[np.floating], tokens: list[int]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """For each token of the action: its negative log-likelihood in nats, and the token that is most likely there.

    Args:
        logits: [T − 1, vocab], after each token but the last.
        tokens: T.
    """
    begin = tokens.index(SEP)
    rows = logits[begin:].astype(np.float64)
    rows -= rows.max(axis=-1, keepdims=True)
    likely = rows - np.log(np.exp(rows).sum(axis=-1, keepdims=True))
    true = np.array(tokens[begin + 1 :])
    return -likely[np.arange(len(true)), true], rows.argmax(axis=-1)
