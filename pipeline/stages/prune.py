"""prune: magnitude pruning with fine-tuning, where the recipe asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.refining import refine
from pipeline.stages import Stage, StageContext

if TYPE_CHECKING:
    import tf_keras as keras

    from models.training import Lessons, Progress

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `weights.npz`: the weights as they are, or pruned."""
    recipe = context.recipe

    def work(model: keras.Model, lessons: Lessons, progress: Progress) -> list[dict[str, float]]:
        from models.pruning import prune

        assert recipe.prune is not None
        return prune(model, recipe.model, recipe.prune, recipe.train, lessons, progress)

    return refine(context, "prune", "pruning", work)


STAGE = Stage(
    name="prune",
    summary="prunes and fine-tunes",
    needs=("data", "distill"),
    sections=("prune", "train", "model"),
    sources=("models/pruning.py",),
    run=run,
)
