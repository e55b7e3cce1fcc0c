"""prune: magnitude pruning with fine-tuning, where the recipe asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.stages import SUMMARIES
from pipeline.stages.fine_tune import fine_tune_stage
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
        return prune(model, recipe.model, recipe.prune, recipe.train, training_data, progress)

    return fine_tune_stage(context, "prune", "pruning", work)


STAGE = Stage(
    name="prune",
    summary=SUMMARIES["prune"],
    needs=("data", "distill"),
    sections=("prune", "train", "model"),
    sources=("pipeline/training/prune.py",),
    run=run,
)
