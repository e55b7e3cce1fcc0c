"""prune: magnitude pruning with fine-tuning, where the recipe asks for it."""

from __future__ import annotations

import shutil

from models.quiet import load_tensorflow
from models.tokenizer import Tokenizer
from pipeline.sentences import read_pairs
from pipeline.shipped import metadata_of, training_facts
from pipeline.stages import Stage, StageContext

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `weights.npz`: the trained weights as they are, or pruned."""
    recipe = context.recipe
    trained = context.input("train") / "weights.npz"
    facts = metadata_of(trained)
    if recipe.prune is None or facts["stage"] == "prune":
        shutil.copyfile(trained, context.out / "weights.npz")
        return "nothing to prune" if recipe.prune is None else "the shipped weights are pruned already"
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from models.checkpoint import build_from, save_model
    from models.pruning import prune
    from pipeline.training_view import training_progress

    data = context.input("data")
    model = build_from(trained, recipe.model, recipe.train.dropout)
    with training_progress(context.console, "pruning") as report:
        history = prune(
            model,
            recipe.prune,
            recipe.train,
            Tokenizer.load(data / "tokenizer.json"),
            read_pairs(data / "train.tsv"),
            read_pairs(data / "dev.tsv"),
            recipe.model.context,
            report,
        )
    curves = {**facts["history"], "prune": history}
    save_model(context.out / "weights.npz", model, training_facts(recipe, "prune", curves))
    match = f"{100 * history[-1]['dev_exact_match']:.1f} %"
    return f"{100 * recipe.prune.sparsity:.0f} % of the Dense weights are zero, exact match on dev {match}"


STAGE = Stage(
    name="prune",
    summary="prunes and fine-tunes",
    needs=("data", "train"),
    sections=("prune", "train", "model"),
    sources=("models/pruning.py",),
    run=run,
)
