"""train: the Keras model trained from the recipe's seed or from other weights, the shipped weights if they are the
recipe's, or what was imported."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ThimbleError
from pipeline.network.tf_setup import load_tensorflow
from pipeline.recipes.load import Recipe
from pipeline.recipes.paths import imported_weights, task_files
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import ANSWERS, DOCUMENTS, SENTENCES
from pipeline.stages.fine_tune import (
    dev_outcome,
    finish_training,
    load_training_data,
    tensorboard_folder,
    training_modules,
)
from pipeline.tasks.registry import TASK_FILES, task_tools
from pipeline.text.answers import AnswerSchema
from pipeline.text.transfer import TokenTable, token_sources
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

if TYPE_CHECKING:
    from pipeline.network.checkpoint import StartWeights

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
        begin = None if start is None else _start_weights(context, start)
        model, history = train(recipe.model, recipe.train, load_training_data(context), context.out, report, begin)
    save_model(context.target(WEIGHTS), model, training_facts(recipe, "train", {"train": history}, context.modules))
    finish_training(context.out)
    outcome = dev_outcome(history, bool(recipe.train.early_stopping)) if history else "as they are"
    begun = f" from {recipe.train.start}" if start else ""
    return f"{recipe.model.parameter_count:,} parameters{begun}, {outcome}"


def _start(recipe: Recipe) -> Path | None:
    """The weights in which training begins, if the recipe names any.

    Raises:
        ThimbleError: no such file, a damaged one, or one of other tokens that nothing beside it tells.
    """
    path = recipe.start_path
    if path is not None and _has_other_tokens(recipe, path):
        _tokens_of(path)
    return path


def _has_other_tokens(recipe: Recipe, path: Path) -> bool:
    """Whether weights were trained for another task or tokenizer, whose ids mean other things."""
    made_for = read_weights_metadata(path).get("recipe", {})
    return any(made_for.get(section) != recipe.part(section)[section] for section in ("task", "tokenizer"))


def _tokens_of(weights: Path) -> tuple[Path, ...]:
    """The files that tell the tokens of weights: beside them, as those of shipped models, or in the folder of `data`.

    Raises:
        ThimbleError: there are none.
    """
    for folder in (weights.parent, weights.parent.parent / "data"):
        if TOKENIZER.path(folder).exists():
            return tuple(path for path in (TOKENIZER.path(folder), ANSWERS.path(folder)) if path.exists())
    raise ThimbleError(
        f"`train.start`: {weights} was trained for another task, and there is no {TOKENIZER.name} beside it",
        "put the tokenizer (and answers.json) of these weights beside them, or take weights of the same task",
    )


def _start_weights(context: StageContext, path: Path) -> StartWeights:
    """The weights, and which of their tokens this model's tokens begin as."""
    from pipeline.network.checkpoint import StartWeights

    if not _has_other_tokens(context.recipe, path):
        return StartWeights(path)
    own = context.workspace.path(TOKENIZER.of("data")).parent
    return StartWeights(path, token_sources(_token_table(_tokens_of(path)[0].parent), _token_table(own)))


def _token_table(folder: Path) -> TokenTable:
    answers = ANSWERS.path(folder)
    schema = AnswerSchema.load(answers) if answers.exists() else None
    return TokenTable(TOKENIZER.load(folder), schema)


def _environment_facts(context: StageContext) -> dict[str, str]:
    """The weights that the recipe names: to begin with, imported, or shipped where they are not trained here."""
    recipe = context.recipe
    if recipe.weights is not None:
        named: dict[str, Path | None] = {"imported": imported_weights(recipe)}
    else:
        start = _start(recipe)
        named = {"start": start, **task_files(recipe, for_training=True)}
        if start is not None and _has_other_tokens(recipe, start):
            named |= {f"start {path.name}": path for path in _tokens_of(start)}
        if not is_trained_here(context, "train"):
            named["shipped"] = shipped_weights(recipe)
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in named.items() if path}


def _should_rerun(context: StageContext) -> bool:
    """`--retrain` replaces shipped weights, and goes on with weights that were trained here."""
    shipped = shipped_weights(context.recipe) if context.retrain else None
    return shipped is not None and context.workspace.path(WEIGHTS.of("train")).read_bytes() == shipped.read_bytes()


def _work(recipe: Recipe) -> tuple[str, ...]:
    return (
        __name__,
        *training_modules(recipe),
        "pipeline.recipes.paths",
        "pipeline.text.transfer",
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
        DOCUMENTS.of("data"),
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
