"""What the stages that train a model further have in common: they pass weights on, or change them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.network.tf_setup import load_tensorflow
from pipeline.recipes.load import Recipe
from pipeline.stages.artifacts import SENTENCES
from pipeline.tasks.registry import load_task, task_module
from pipeline.tasks.sentence_files import WATCHED, read_pairs
from pipeline.tasks.text_path import load_codec
from pipeline.text.codec import StructuredCodec
from pipeline.workflow.artifacts import WEIGHTS
from pipeline.workflow.shipped import TRAINING_STAGES, read_weights_metadata, training_facts
from pipeline.workflow.stage import StageContext

if TYPE_CHECKING:
    import tf_keras as keras

    from pipeline.training.loop import Progress, TrainingData

__all__ = [
    "dev_outcome",
    "fine_tune_stage",
    "finish_training",
    "load_training_data",
    "read_training_data",
    "tensorboard_folder",
    "training_modules",
]

History = list[dict[str, float]]


def fine_tune_stage(
    context: StageContext, stage: str, title: str, work: Callable[[keras.Model, TrainingData, Progress], History]
) -> str:
    """Writes `weights.npz`: a copy of the previous stage's, where the recipe has no such section or the weights are
    already past this stage, else the weights that `work` fine-tuned."""
    recipe = context.recipe
    before = context.path(WEIGHTS.of(TRAINING_STAGES[TRAINING_STAGES.index(stage) - 1]))
    facts = read_weights_metadata(before)
    requested = getattr(recipe, stage) is not None
    if not requested or TRAINING_STAGES.index(facts["stage"]) >= TRAINING_STAGES.index(stage):
        WEIGHTS.copy(context.out, before)
        return "the shipped weights have it" if requested else "not asked for"
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import build_from, save_model
    from pipeline.training.progress import training_progress

    model = build_from(before, recipe.model, recipe.train.dropout)
    with training_progress(context.console, title, tensorboard_folder(context)) as report:
        history = work(model, load_training_data(context), report)
    made = training_facts(recipe, stage, {**facts["history"], stage: history}, context.modules)
    save_model(context.target(WEIGHTS), model, made)
    finish_training(context.out)
    return dev_outcome(history)


def dev_outcome(history: History, is_best: bool = False) -> str:
    """What the last evaluation on dev found, or the one with the least loss, in words.

    Args:
        history: as `pipeline.training.loop.fit` returns it.
        is_best: whether the weights are those of the least loss.
    """
    entry = min(history, key=lambda entry: entry["dev_loss"]) if is_best else history[-1]
    if "dev_exact_match" in entry:
        return f"exact match on dev {100 * entry['dev_exact_match']:.1f} %"
    return f"loss on dev {entry['dev_loss']:.4f} nats a token"


def training_modules(recipe: Recipe) -> tuple[str, ...]:
    """The modules that every stage's training works with: weights, and the task that draws its sentences."""
    return (
        "pipeline.network.checkpoint",
        "pipeline.network.tf_setup",
        __name__,
        task_module(recipe.task),
        "pipeline.tasks.sentence_files",
    )


def tensorboard_folder(context: StageContext) -> Path | None:
    """Where TensorBoard's event files go, if they are asked for."""
    return context.out / "log" / "tensorboard" if context.tensorboard else None


def finish_training(folder: Path) -> None:
    """Draws the curve beside `history.csv`, and removes the checkpoint, whose weights are in `weights.npz` now."""
    from pipeline.report.charts import training_curves
    from pipeline.training.checkpointing import HISTORY, discard_checkpoint, read_history

    if (folder / HISTORY).exists():
        (folder / HISTORY).with_suffix(".svg").write_text(training_curves(read_history(folder)), encoding="utf-8")
    discard_checkpoint(folder)


def load_training_data(context: StageContext) -> TrainingData:
    """The task's sentences and codec, from the `data` stage."""
    return read_training_data(context.input("data"), context.recipe)


def read_training_data(data: Path, recipe: Recipe) -> TrainingData:
    """The sentences and the codec in a folder of the `data` stage.

    Args:
        data: the folder.
        recipe: its task, its model's context, and how many sentences it trains on.

    Raises:
        ThimbleError: a file is missing or damaged.
    """
    from pipeline.training.loop import TrainingData
    from pipeline.training.stream import DrawnStream

    codec, context = load_codec(data), recipe.model.context
    text = load_task(recipe).training_text(data, context)
    if text is not None:
        return TrainingData(codec, [], [], context, text=text)
    if not isinstance(codec, StructuredCodec):
        train, dev = (read_pairs(SENTENCES.path(data, split=split)) for split in ("train", "dev"))
        return TrainingData(codec, train, dev, context)
    sequences = max(recipe.train.steps * recipe.train.batch_size, recipe.quantize.calibration_sentences)
    stream = DrawnStream(recipe.task.as_given(), recipe.path.parent, data, context, sequences)
    return TrainingData(codec, [], read_pairs(SENTENCES.path(data, split=WATCHED)), context, stream)
