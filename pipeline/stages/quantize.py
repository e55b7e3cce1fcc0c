"""quantize: the decode step as a full-integer .tflite, and how good the float model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.network.tf_setup import load_tensorflow
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import EVALUATION_TEXT, SENTENCES
from pipeline.tasks.sentence_files import HELD_OUT, read_pairs
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.likelihood import format_metrics, likelihood
from pipeline.workflow.artifacts import CALIBRATED_INTEGERS, QUALITY, TFLITE, TOKENIZER, WEIGHTS
from pipeline.workflow.stage import Stage, StageContext

if TYPE_CHECKING:
    import tf_keras as keras

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `model.tflite` and `quality.json`."""
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import build_from
    from pipeline.quantize.ptq import quantize, tflite_sparsity
    from pipeline.training.loop import limit_threads

    recipe = context.recipe
    limit_threads()
    model = build_from(context.path(WEIGHTS.of("qat")), recipe.model)
    if recipe.text is None:
        calibration, quality = _sentences(context, model)
    else:
        text = context.load(EVALUATION_TEXT.of("data"))
        calibration, quality = text.calibration.tolist(), likelihood(text.nll)
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
    context.save(QUALITY, {"float": quality, "sparsity": sparsity, "bytes": len(tflite)})
    return f"{len(tflite) / 1024:.0f} KB, {100 * sparsity:.0f} % of the weights zero; float: {format_metrics(quality)}"


def _learned(context: StageContext) -> tuple[dict[str, tuple[float, float]], dict[str, np.ndarray]]:
    """Ranges and the keys' means that `qat` found."""
    learned = CALIBRATED_INTEGERS.of("qat")
    if not context.path(learned).exists():
        return {}, {}
    data = context.load(learned)
    ranges = {name: (low, high) for name, (low, high) in data["ranges"].items()}
    return ranges, {layer: np.array(mean, np.float32) for layer, mean in data["key_means"].items()}


def _sentences(context: StageContext, model: keras.Model) -> tuple[list[list[int]], dict[str, float]]:
    """Training sentences for the calibration, and exact match on each held-out split."""
    from pipeline.training.evaluation import exact_match

    recipe, sentences = context.recipe, SENTENCES.of("data")
    tokenizer = Tokenizer.load(context.path(TOKENIZER.of("data")))
    calibration = [
        tokenizer.encode_pair(pair.sentence, pair.action)
        for pair in read_pairs(context.path(sentences, split="train"), recipe.quantize.calibration_sentences)
    ]
    quality: dict[str, float] = {}
    for split in HELD_OUT:
        pairs = read_pairs(context.path(sentences, split=split), recipe.evaluate.host_sentences)
        if pairs:
            with context.console.status(f"float: {split.replace('_', ' ')}"):
                quality[split] = exact_match(model, tokenizer, pairs, recipe.model.context)
    return calibration, quality


STAGE = Stage(
    name="quantize",
    summary=SUMMARIES["quantize"],
    run=run,
    reads=(
        TOKENIZER.of("data"),
        SENTENCES.of("data"),
        EVALUATION_TEXT.of("data"),
        WEIGHTS.of("qat"),
        CALIBRATED_INTEGERS.of("qat"),
    ),
    writes=(TFLITE, QUALITY),
    sections=("task", "model", "quantize", "evaluate"),
    work=(
        __name__,
        "pipeline.network.checkpoint",
        "pipeline.network.tf_setup",
        "pipeline.quantize.ptq",
        "pipeline.tasks.sentence_files",
        "pipeline.training.evaluation",
        "pipeline.training.loop",
        "pipeline.verification.likelihood",
    ),
    tools=("tensorflow", "tf-keras", "ai-edge-litert", "numpy", "tokenizers"),
)
