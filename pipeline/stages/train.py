"""train: the Keras model trained from the recipe's seed or from other weights, the shipped weights if they are the
recipe's, or what was imported."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.network.tf_setup import load_tensorflow
from pipeline.recipes.load import Recipe
from pipeline.recipes.paths import imported_weights, task_files
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import ANSWERS, SENTENCES
from pipeline.stages.fine_tune import finish_training, load_training_data, tensorboard_folder
from pipeline.tasks.registry import TASK_FILES, task_module, task_tools
from pipeline.workflow.artifacts import TOKENIZER, TRAINING_LOG, WEIGHTS
from pipeline.workflow.shipped import (
    is_trained_here,
    newer_modules,
    newer_packages,
    read_weights_metadata,
    recognizes_weights,
    shipped_weights,
    training_facts,
)
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `weights.npz`; its metadata holds the learning curve."""
    recipe = context.recipe
    if recipe.weights is not None:
        weights = imported_weights(recipe)
        WEIGHTS.copy(context.out, weights)
        return f"imported: {read_weights_metadata(weights)['source']}, {recipe.model.parameter_count:,} parameters"
    shipped = None if context.retrain else shipped_weights(recipe)
    if shipped is not None:
        facts = WEIGHTS.load_file(WEIGHTS.copy(context.out, shipped))
        newer = [*newer_modules(facts, context.modules), *newer_packages(facts)]
        than = f", older than {', '.join(newer)}" if newer else ""
        return (
            f"took the shipped weights, {recipe.model.parameter_count:,} parameters{than} (--retrain trains them anew)"
        )
    start = _start(recipe)
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import save_model
    from pipeline.training.loop import train
    from pipeline.training.progress import training_progress

    with training_progress(context.console, "training", tensorboard_folder(context)) as report:
        model, history = train(recipe.model, recipe.train, load_training_data(context), context.out, report, start)
    save_model(context.target(WEIGHTS), model, training_facts(recipe, "train", {"train": history}, context.modules))
    finish_training(context.out)
    outcome = f"exact match on dev {100 * history[-1]['dev_exact_match']:.1f} %" if history else "as they are"
    begun = f" from {recipe.train.start}" if start else ""
    return f"{recipe.model.parameter_count:,} parameters{begun}, {outcome}"


def _start(recipe: Recipe) -> Path | None:
    """The weights in which training begins, if the recipe names any.

    Raises:
        ThimbleError: no such file, a damaged one, or one of another task or tokenizer, whose tokens mean other things.
    """
    path = recipe.start_path
    if path is None:
        return None
    made_for = read_weights_metadata(path).get("recipe", {})
    for section in ("task", "tokenizer"):
        if made_for.get(section) != recipe.part(section)[section]:
            raise ThimbleError(
                f"`train.start`: {path} was trained with `{section}` {made_for.get(section)}",
                f"use the same `{section}` in {recipe.path}, or other weights",
            )
    return path


def _environment_facts(context: StageContext) -> dict[str, str]:
    """The weights that the recipe names: to begin with, imported, or shipped where they are not trained here."""
    recipe = context.recipe
    if recipe.weights is not None:
        named: dict[str, Path | None] = {"imported": imported_weights(recipe)}
    else:
        named = {"start": _start(recipe), **task_files(recipe, for_training=True)}
        if not is_trained_here(context, "train"):
            named["shipped"] = shipped_weights(recipe)
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in named.items() if path}


def _should_rerun(context: StageContext) -> bool:
    """`--retrain` replaces shipped weights, and goes on with weights that were trained here."""
    shipped = shipped_weights(context.recipe) if context.retrain else None
    return shipped is not None and context.workspace.path(WEIGHTS.of("train")).read_bytes() == shipped.read_bytes()


def _work(recipe: Recipe) -> tuple[str, ...]:
    """The modules that do the work, with those that draw the task's sentences."""
    return (
        __name__,
        "pipeline.network.checkpoint",
        "pipeline.network.tf_setup",
        "pipeline.recipes.paths",
        "pipeline.stages.fine_tune",
        task_module(recipe.task),
        "pipeline.tasks.sentence_files",
        "pipeline.training.loop",
    )


def _tools(recipe: Recipe) -> tuple[str, ...]:
    return ("tensorflow", "tf-keras", "numpy", "tokenizers", *task_tools(recipe.task))


STAGE = Stage(
    name="train",
    summary=SUMMARIES["train"],
    run=run,
    reads=(
        TOKENIZER.of("data"),
        ANSWERS.of("data"),
        SENTENCES.of("data", split="train"),
        SENTENCES.of("data", split="dev"),
    ),
    writes=(WEIGHTS, TRAINING_LOG),
    sections=("task", "tokenizer", "model", "train"),
    work=_work,
    data=TASK_FILES,
    tools=_tools,
    resumable=True,
    environment_facts=_environment_facts,
    is_training=partial(is_trained_here, stage="train"),
    recognizes=partial(recognizes_weights, stage="train"),
    should_rerun=_should_rerun,
)
