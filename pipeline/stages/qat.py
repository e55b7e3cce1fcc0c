"""qat: fine-tuning with the integers' rounding in the forward pass, where the recipe asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.refining import refine
from pipeline.stages import Stage, StageContext

if TYPE_CHECKING:
    import tf_keras as keras

    from models.training import Lessons, Progress

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `weights.npz`: the weights as they are, or fine-tuned for what `quantize` makes of them."""
    recipe = context.recipe

    def work(model: keras.Model, lessons: Lessons, progress: Progress) -> list[dict[str, float]]:
        from models.qat import train_quantized

        assert recipe.qat is not None
        return train_quantized(
            model, recipe.model, recipe.qat, recipe.quantize.weights, recipe.train, lessons, progress
        )

    return refine(context, "qat", "training in integers", work)


STAGE = Stage(
    name="qat",
    summary="fine-tunes for integers",
    needs=("data", "prune"),
    sections=("qat", "quantize", "train", "model"),
    sources=("models/qat.py",),
    run=run,
)
