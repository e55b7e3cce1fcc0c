"""train: the Keras model trained from the recipe's seed or from other weights, the shipped weights if they are the
recipe's, or what was imported."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.network.tf_setup import load_tensorflow
from pipeline.recipes.load import Recipe
from pipeline.recipes.paths import imported_weights
from pipeline.resources import ROOT
from pipeline.stages import SUMMARIES
from pipeline.stages.fine_tune import load_training_data
from pipeline.workflow.shipped import read_weights_metadata, shipped_weights, training_facts
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `weights.npz`; its metadata holds the learning curve."""
    recipe = context.recipe
    if recipe.text is not None:
        weights = imported_weights(recipe)
        shutil.copyfile(weights, context.out / "weights.npz")
        return f"imported: {read_weights_metadata(weights)['source']}, {recipe.model.parameter_count:,} parameters"
    shipped = None if context.retrain else shipped_weights(recipe)
    if shipped is not None:
        shutil.copyfile(shipped, context.out / "weights.npz")
        return f"took the shipped weights, {recipe.model.parameter_count:,} parameters (--retrain trains them anew)"
    start = _start(recipe)
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import save_model
    from pipeline.training.loop import train
    from pipeline.training.progress import training_progress

    with training_progress(context.console, "training") as report:
        model, history = train(recipe.model, recipe.train, load_training_data(context), context.out, report, start)
    save_model(context.out / "weights.npz", model, training_facts(recipe, "train", {"train": history}))
    outcome = f"exact match on dev {100 * history[-1]['dev_exact_match']:.1f} %" if history else "as they are"
    begun = f" from {recipe.train.start}" if start else ""
    return f"{recipe.model.parameter_count:,} parameters{begun}, {outcome}"


def _start(recipe: Recipe) -> Path | None:
    """The weights in which training begins, if the recipe names any.

    Raises:
        ThimbleError: no such file, a damaged one, or one of another task or tokenizer, whose tokens mean other things.
    """
    if not recipe.train.start:
        return None
    path = ROOT / recipe.train.start
    made_for = read_weights_metadata(path).get("recipe", {})
    for section in ("task", "tokenizer"):
        if made_for.get(section) != recipe.part(section)[section]:
            raise ThimbleError(
                f"`train.start`: {path} was trained with `{section}` {made_for.get(section)}",
                f"use the same `{section}` in {recipe.path}, or other weights",
            )
    return path


def _start_digest(context: StageContext) -> dict[str, str]:
    start = _start(context.recipe)
    return {"start": hashlib.sha256(start.read_bytes()).hexdigest()} if start else {}


def _should_rerun(context: StageContext) -> bool:
    """`--retrain` replaces shipped weights, and goes on with weights that were trained here."""
    shipped = shipped_weights(context.recipe) if context.retrain else None
    return shipped is not None and (context.input("train") / "weights.npz").read_bytes() == shipped.read_bytes()


STAGE = Stage(
    name="train",
    summary=SUMMARIES["train"],
    needs=("data",),
    sections=("task", "tokenizer", "model", "train"),
    sources=(
        "pipeline/network/decoder.py",
        "pipeline/training/loop.py",
    ),
    run=run,
    resumable=True,
    environment_facts=_start_digest,
    should_rerun=_should_rerun,
)
