"""quantize: the decode step as a full-integer .tflite."""

from __future__ import annotations

import numpy as np

from pipeline.network.tf_setup import load_tensorflow
from pipeline.recipes.load import Recipe
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import DOCUMENTS, EVALUATION_TEXT, SENTENCES
from pipeline.tasks.registry import TASK_FILES, load_task, task_module, task_tools
from pipeline.workflow.artifacts import CALIBRATED_INTEGERS, TFLITE, TFLITE_FACTS, TOKENIZER, WEIGHTS
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `model.tflite`, and `tflite.json` with its size and the share of zeros among its weights."""
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import build_from
    from pipeline.quantize.ptq import quantize, tflite_sparsity
    from pipeline.training.loop import limit_threads

    recipe = context.recipe
    limit_threads()
    model = build_from(context.path(WEIGHTS.of("qat")), recipe.model)
    calibration = load_task(recipe).calibration(
        context.input("data"), recipe.quantize.calibration_sentences, recipe.model.context
    )
    with context.console.status("calibrating and converting"):
        chosen = recipe.quantize
        tflite = quantize(
            model,
            recipe.model,
            calibration,
            chosen.activations,
            chosen.weights,
            chosen.ranges,
            *_learned(context),
        )
    sparsity = tflite_sparsity(context.save(TFLITE, tflite))
    context.save(TFLITE_FACTS, {"sparsity": sparsity, "bytes": len(tflite)})
    return f"{len(tflite) / 1024:.0f} KB, {100 * sparsity:.0f} % of the weights zero"


def _learned(context: StageContext) -> tuple[dict[str, tuple[float, float]], dict[str, np.ndarray]]:
    """Ranges and the keys' means that `qat` found."""
    learned = CALIBRATED_INTEGERS.of("qat")
    if not context.path(learned).exists():
        return {}, {}
    data = context.load(learned)
    ranges = {name: (low, high) for name, (low, high) in data["ranges"].items()}
    return ranges, {layer: np.array(mean, np.float32) for layer, mean in data["key_means"].items()}


def _work(recipe: Recipe) -> tuple[str, ...]:
    """The modules that do the work, with those that draw the task's sentences."""
    return (
        __name__,
        "pipeline.network.checkpoint",
        "pipeline.network.tf_setup",
        "pipeline.quantize.ptq",
        task_module(recipe.task),
        "pipeline.training.loop",
    )


def _tools(recipe: Recipe) -> tuple[str, ...]:
    return ("tensorflow", "tf-keras", "ai-edge-litert", "numpy", "tokenizers", *task_tools(recipe.task))


STAGE = Stage(
    name="quantize",
    summary=SUMMARIES["quantize"],
    run=run,
    reads=(
        TOKENIZER.of("data"),
        SENTENCES.of("data", split="train"),
        DOCUMENTS.of("data"),
        EVALUATION_TEXT.of("data"),
        WEIGHTS.of("qat"),
        CALIBRATED_INTEGERS.of("qat"),
    ),
    writes=(TFLITE, TFLITE_FACTS),
    sections=("task", "model", "quantize"),
    work=_work,
    data=TASK_FILES,
    tools=_tools,
)
