"""quantize: the decode step as a full-integer .tflite, and how good the float model is."""

from __future__ import annotations

from models.quiet import load_tensorflow
from models.tokenizer import Tokenizer
from pipeline.sentences import HELD_OUT, read_pairs
from pipeline.stages import Stage, StageContext
from pipeline.workspace import write_json

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `model.tflite` and `quality.json`."""
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from models.checkpoint import build_from
    from models.evaluation import exact_match
    from models.quantization import quantize, tflite_sparsity
    from models.training import limit_threads

    recipe, data = context.recipe, context.input("data")
    limit_threads()
    model = build_from(context.input("qat") / "weights.npz", recipe.model)
    tokenizer = Tokenizer.load(data / "tokenizer.json")
    calibration = [
        tokenizer.encode_pair(pair.sentence, pair.action)
        for pair in read_pairs(data / "train.tsv", recipe.quantize.calibration_sentences)
    ]
    with context.console.status("calibrating and converting"):
        tflite = quantize(model, recipe.model, calibration, recipe.quantize.activations, recipe.quantize.weights)
    path = context.out / "model.tflite"
    path.write_bytes(tflite)
    quality: dict[str, float] = {}
    for split in HELD_OUT:
        pairs = read_pairs(data / f"{split}.tsv", recipe.evaluate.host_sentences)
        if pairs:
            with context.console.status(f"float: {split.replace('_', ' ')}"):
                quality[split] = exact_match(model, tokenizer, pairs, recipe.model.context)
    sparsity = tflite_sparsity(path)
    write_json(context.out / "quality.json", {"float": quality, "sparsity": sparsity, "bytes": len(tflite)})
    accuracy = ", ".join(f"{split.replace('_', ' ')} {100 * share:.1f} %" for split, share in quality.items())
    return f"{len(tflite) / 1024:.0f} KB, {100 * sparsity:.0f} % of the weights zero; float: {accuracy}"


STAGE = Stage(
    name="quantize",
    summary="quantizes the decode step to integers",
    needs=("data", "qat"),
    sections=("model", "quantize", "evaluate"),
    sources=("models/decode_step.py", "models/quantization.py", "models/int16x8.py", "models/evaluation.py"),
    run=run,
)
