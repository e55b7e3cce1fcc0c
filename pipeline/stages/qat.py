"""qat: fine-tuning with the integers' rounding in the forward pass, where the recipe asks for it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pipeline.network.tf_setup import load_tensorflow
from pipeline.recipes.load import Recipe
from pipeline.recipes.schema import QatConfig
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import DOCUMENTS, EVALUATION_TEXT, SENTENCES
from pipeline.stages.fine_tune import fine_tune_stage, finish_training, tensorboard_folder, training_modules
from pipeline.tasks.registry import TASK_FILES, load_task, task_tools
from pipeline.workflow.artifacts import CALIBRATED_INTEGERS, TOKENIZER, TRAINING_LOG, WEIGHTS
from pipeline.workflow.shipped import is_trained_here, read_weights_metadata, recognizes_weights
from pipeline.workflow.stage import Stage, StageContext

if TYPE_CHECKING:
    import tf_keras as keras

    from pipeline.training.loop import Progress, TrainingData

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `weights.npz`: the weights as they are, or fine-tuned for what `quantize` makes of them; with an imported
    model's also `integers.json`, the ranges that were learned and the keys' means."""
    recipe = context.recipe
    if recipe.weights is not None and recipe.qat is not None:
        return _fit(context, recipe.qat)

    def work(model: keras.Model, training_data: TrainingData, progress: Progress) -> list[dict[str, float]]:
        from pipeline.training.qat import train_quantized

        assert recipe.qat is not None
        return train_quantized(
            model,
            recipe.model,
            recipe.qat,
            recipe.quantize.weights,
            recipe.train,
            training_data,
            context.out,
            progress,
        )

    return fine_tune_stage(context, "qat", "training in integers", work)


def _fit(context: StageContext, tuning: QatConfig) -> str:
    """An imported model is fitted to integers on text of its own."""
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import build_from, save_model
    from pipeline.training.fit_int import fit_reparameterization
    from pipeline.training.progress import training_progress

    recipe, before = context.recipe, context.path(WEIGHTS.of("prune"))
    model = build_from(before, recipe.model)
    text, seed = context.load(EVALUATION_TEXT.of("data")).fitting, load_task(recipe).seed
    with training_progress(context.console, "fitting to integers", tensorboard_folder(context)) as report:
        fit = fit_reparameterization(
            model, recipe.model, tuning, recipe.quantize.activations, text, seed, context.out, report
        )
    facts = {**read_weights_metadata(before), "stage": "qat", "history": {"qat": fit.history}}
    save_model(context.target(WEIGHTS), model, facts, exact=True)
    means = {layer: mean.tolist() for layer, mean in fit.key_means.items()}
    context.save(CALIBRATED_INTEGERS, {"ranges": fit.ranges, "key_means": means})
    finish_training(context.out)
    share = 100 * fit.history[-1]["agreement"]
    return f"in integers {share:.1f} % of the tokens are float's, on the text that it was fitted on"


def _work(recipe: Recipe) -> tuple[str, ...]:
    return (__name__, *training_modules(recipe), "pipeline.training.fit_int", "pipeline.training.qat")


def _tools(recipe: Recipe) -> tuple[str, ...]:
    return (
        "tensorflow",
        "tf-keras",
        "tensorflow-model-optimization",
        "ai-edge-litert",
        "numpy",
        "tokenizers",
        *task_tools(recipe.task),
    )


STAGE = Stage(
    name="qat",
    summary=SUMMARIES["qat"],
    run=run,
    reads=(
        TOKENIZER.of("data"),
        SENTENCES.of("data", split="train"),
        DOCUMENTS.of("data"),
        SENTENCES.of("data", split="dev"),
        EVALUATION_TEXT.of("data"),
        WEIGHTS.of("prune"),
    ),
    writes=(WEIGHTS, TRAINING_LOG, CALIBRATED_INTEGERS),
    sections=("qat", "quantize", "train", "model"),
    work=_work,
    data=TASK_FILES,
    tools=_tools,
    is_training=partial(is_trained_here, stage="qat"),
    recognizes=partial(recognizes_weights, stage="qat"),
    resumable=True,
)
