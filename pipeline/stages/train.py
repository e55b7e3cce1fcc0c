"""train: the Keras model trained from the recipe's seed, or the shipped weights if they are the recipe's."""

from __future__ import annotations

import shutil

from models.quiet import load_tensorflow
from models.tokenizer import Tokenizer
from pipeline.sentences import read_pairs
from pipeline.shipped import shipped_weights, training_facts
from pipeline.stages import Stage, StageContext

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `weights.npz`; its metadata holds the learning curve."""
    recipe = context.recipe
    shipped = None if context.retrain else shipped_weights(recipe)
    if shipped is not None:
        shutil.copyfile(shipped, context.out / "weights.npz")
        return f"took the shipped weights, {recipe.model.parameter_count:,} parameters (--retrain trains them anew)"
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from models.checkpoint import save_model
    from models.training import train
    from pipeline.training_view import training_progress

    data = context.input("data")
    tokenizer = Tokenizer.load(data / "tokenizer.json")
    with training_progress(context.console, "training") as report:
        model, history = train(
            recipe.model,
            recipe.train,
            tokenizer,
            read_pairs(data / "train.tsv"),
            read_pairs(data / "dev.tsv"),
            context.out,
            report,
        )
    save_model(context.out / "weights.npz", model, training_facts(recipe, "train", {"train": history}))
    match = f"{100 * history[-1]['dev_exact_match']:.1f} %" if history else "not measured"
    return f"{recipe.model.parameter_count:,} parameters, exact match on dev {match}"


def _redo(context: StageContext) -> bool:
    """`--retrain` replaces shipped weights, and goes on with weights that were trained here."""
    shipped = shipped_weights(context.recipe) if context.retrain else None
    return shipped is not None and (context.input("train") / "weights.npz").read_bytes() == shipped.read_bytes()


STAGE = Stage(
    name="train",
    summary="trains the model",
    needs=("data",),
    sections=("task", "tokenizer", "model", "train"),
    sources=("models/decoder.py", "models/training.py"),
    run=run,
    resumable=True,
    redo=_redo,
)
