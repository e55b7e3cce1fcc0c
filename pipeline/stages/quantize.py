"""quantize: the decode step as a full-integer .tflite."""

from __future__ import annotations

import json

import numpy as np

from pipeline.files import write_json
from pipeline.network.tf_setup import load_tensorflow
from pipeline.tasks.registry import load_task
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
    model = build_from(context.input("qat") / "weights.npz", recipe.model)
    calibration = load_task(recipe.task).calibration(context.input("data"), recipe.quantize.calibration_sentences)
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
    write_json(context.out / "tflite.json", {"sparsity": sparsity, "bytes": len(tflite)})
    return f"{len(tflite) / 1024:.0f} KB, {100 * sparsity:.0f} % of the weights zero"


def _learned(context: StageContext) -> tuple[dict[str, tuple[float, float]], dict[str, np.ndarray]]:
    """Ranges and the keys' means that `qat` found."""
    path = context.input("qat") / "integers.json"
    if not path.exists():
        return {}, {}
    data = json.loads(path.read_text(encoding="utf-8"))
    ranges = {name: (low, high) for name, (low, high) in data["ranges"].items()}
    return ranges, {layer: np.array(mean, np.float32) for layer, mean in data["key_means"].items()}


STAGE = Stage(
    name="quantize",
    summary="quantizes the decode step to integers",
    needs=("data", "qat"),
    sections=("task", "model", "quantize"),
    sources=(
        "pipeline/network/decode_step.py",
        "pipeline/network/key_centering.py",
        "pipeline/quantize/*.py",
    ),
    run=run,
)
