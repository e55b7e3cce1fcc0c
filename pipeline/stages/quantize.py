"""quantize: the decode step as a full-integer .tflite, and how good the float model is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from pipeline.files import write_json
from pipeline.network.tf_setup import load_tensorflow
from pipeline.stages import SUMMARIES
from pipeline.tasks.sentence_files import HELD_OUT, read_pairs
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.likelihood import format_metrics, likelihood, read_text
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
    model = build_from(context.input("qat") / "weights.npz", recipe.model)
    if recipe.text is None:
        calibration, quality = _sentences(context, model)
    else:
        text = read_text(context.input("data") / "text.npz")
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
    path = context.out / "model.tflite"
    path.write_bytes(tflite)
    sparsity = tflite_sparsity(path)
    write_json(context.out / "quality.json", {"float": quality, "sparsity": sparsity, "bytes": len(tflite)})
    return f"{len(tflite) / 1024:.0f} KB, {100 * sparsity:.0f} % of the weights zero; float: {format_metrics(quality)}"


def _learned(context: StageContext) -> tuple[dict[str, tuple[float, float]], dict[str, np.ndarray]]:
    """Ranges and the keys' means that `qat` found."""
    path = context.input("qat") / "integers.json"
    if not path.exists():
        return {}, {}
    data = json.loads(path.read_text(encoding="utf-8"))
    ranges = {name: (low, high) for name, (low, high) in data["ranges"].items()}
    return ranges, {layer: np.array(mean, np.float32) for layer, mean in data["key_means"].items()}


def _sentences(context: StageContext, model: keras.Model) -> tuple[list[list[int]], dict[str, float]]:
    """Training sentences for the calibration, and exact match on each held-out split."""
    from pipeline.training.evaluation import exact_match

    recipe, data = context.recipe, context.input("data")
    tokenizer = Tokenizer.load(data / "tokenizer.json")
    calibration = [
        tokenizer.encode_pair(pair.sentence, pair.action)
        for pair in read_pairs(data / "train.tsv", recipe.quantize.calibration_sentences)
    ]
    quality: dict[str, float] = {}
    for split in HELD_OUT:
        pairs = read_pairs(data / f"{split}.tsv", recipe.evaluate.host_sentences)
        if pairs:
            with context.console.status(f"float: {split.replace('_', ' ')}"):
                quality[split] = exact_match(model, tokenizer, pairs, recipe.model.context)
    return calibration, quality


STAGE = Stage(
    name="quantize",
    summary=SUMMARIES["quantize"],
    needs=("data", "qat"),
    sections=("task", "model", "quantize", "evaluate"),
    sources=(
        "pipeline/network/decode_step.py",
        "pipeline/network/key_centering.py",
        "pipeline/quantize/*.py",
        "pipeline/training/evaluation.py",
    ),
    run=run,
)
