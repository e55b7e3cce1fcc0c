"""prune: magnitude pruning with fine-tuning, where the recipe asks for it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pipeline.recipes.load import Recipe
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import DOCUMENTS, SENTENCES
from pipeline.stages.fine_tune import fine_tune_stage, training_modules
from pipeline.tasks.registry import TASK_FILES, task_tools
from pipeline.workflow.artifacts import TOKENIZER, TRAINING_LOG, WEIGHTS
from pipeline.workflow.shipped import is_trained_here, recognizes_weights
from pipeline.workflow.stage import Stage, StageContext

if TYPE_CHECKING:
    import tf_keras as keras

    from pipeline.training.loop import Progress, TrainingData

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `weights.npz`: the weights as they are, or pruned."""
    recipe = context.recipe

    def work(model: keras.Model, training_data: TrainingData, progress: Progress) -> list[dict[str, float]]:
        from pipeline.training.prune import prune

        assert recipe.prune is not None
        return prune(model, recipe.model, recipe.prune, recipe.train, training_data, context.out, progress)

    return fine_tune_stage(context, "prune", "pruning", work)


def _work(recipe: Recipe) -> tuple[str, ...]:
    return (__name__, *training_modules(recipe), "pipeline.training.prune")


def _tools(recipe: Recipe) -> tuple[str, ...]:
    return ("tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy", "tokenizers", *task_tools(recipe.task))


STAGE = Stage(
    name="prune",
    summary=SUMMARIES["prune"],
    run=run,
    reads=(
        TOKENIZER.of("data"),
        SENTENCES.of("data", split="train"),
        DOCUMENTS.of("data"),
        SENTENCES.of("data", split="dev"),
        WEIGHTS.of("distill"),
    ),
    writes=(WEIGHTS, TRAINING_LOG),
    sections=("prune", "train", "model"),
    work=_work,
    data=TASK_FILES,
    tools=_tools,
    is_training=partial(is_trained_here, stage="prune"),
    recognizes=partial(recognizes_weights, stage="prune"),
    resumable=True,
)
