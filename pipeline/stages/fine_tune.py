"""What the stages that train a model further have in common: they pass weights on, or change them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.network.tf_setup import load_tensorflow
from pipeline.stages.artifacts import SENTENCES
from pipeline.tasks.sentence_files import read_pairs
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.workflow.artifacts import TOKENIZER, WEIGHTS
from pipeline.workflow.shipped import TRAINING_STAGES, read_weights_metadata, training_facts
from pipeline.workflow.stage import StageContext

if TYPE_CHECKING:
    import tf_keras as keras

    from pipeline.training.loop import Progress, TrainingData

__all__ = ["fine_tune_stage", "load_training_data", "read_training_data"]

History = list[dict[str, float]]


def fine_tune_stage(
    context: StageContext, stage: str, title: str, work: Callable[[keras.Model, TrainingData, Progress], History]
) -> str:
    """Writes `weights.npz`: those of the stage before as they are, where the recipe does not ask for the stage or the
    weights have been through it, else what the work makes of them, in place."""
    recipe = context.recipe
    before = context.path(WEIGHTS.of(TRAINING_STAGES[TRAINING_STAGES.index(stage) - 1]))
    facts = read_weights_metadata(before)
    requested = recipe.sections[stage] is not None
    if not requested or TRAINING_STAGES.index(facts["stage"]) >= TRAINING_STAGES.index(stage):
        WEIGHTS.copy(context.out, before)
        return "the shipped weights have it" if requested else "not asked for"
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import build_from, save_model
    from pipeline.training.progress import training_progress

    model = build_from(before, recipe.model, recipe.train.dropout)
    with training_progress(context.console, title) as report:
        history = work(model, load_training_data(context), report)
    save_model(context.target(WEIGHTS), model, training_facts(recipe, stage, {**facts["history"], stage: history}))
    return f"exact match on dev {100 * history[-1]['dev_exact_match']:.1f} %"


def load_training_data(context: StageContext) -> TrainingData:
    """The task's sentences and tokenizer, from the `data` stage."""
    return read_training_data(context.input("data"), context.recipe.model.context)


def read_training_data(data: Path, context: int) -> TrainingData:
    """The sentences and the tokenizer in a folder of the `data` stage, for a model that sees `context` tokens.

    Raises:
        ThimbleError: a file is missing or damaged.
    """
    from pipeline.training.loop import TrainingData

    return TrainingData(
        Tokenizer.load(TOKENIZER.path(data)),
        read_pairs(SENTENCES.path(data, split="train")),
        read_pairs(SENTENCES.path(data, split="dev")),
        context,
    )
