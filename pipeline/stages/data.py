"""data: the task's sentences, split, and the tokenizer trained on them."""

from __future__ import annotations

import shutil

from models.tasks import load_task
from models.tokenizer import Tokenizer
from pipeline.sentences import HELD_OUT, write_pairs
from pipeline.shipped import shipped_tokenizer
from pipeline.stages import Stage, StageContext
from pipeline.workspace import write_json

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `train.tsv`, `dev.tsv`, one `.tsv` a held-out split, `tokenizer.json` and `summary.json`."""
    recipe = context.recipe
    task = load_task(recipe.task)
    with context.console.status("sampling sentences from the templates"):
        dataset = task.build()
    splits = {"train": dataset.train, "dev": dataset.dev, **{name: dataset.splits[name] for name in HELD_OUT}}
    for name, pairs in splits.items():
        write_pairs(context.out / f"{name}.tsv", pairs)
    shipped = None if context.retrain else shipped_tokenizer(recipe)
    if shipped is None:
        with context.console.status("training the tokenizer"):
            texts = [text for pair in dataset.train for text in (pair.sentence, pair.action)]
            Tokenizer.train(texts, recipe.vocab_size).save(context.out / "tokenizer.json")
    else:
        shutil.copyfile(shipped, context.out / "tokenizer.json")
    write_json(
        context.out / "summary.json",
        {
            "sentences": {name: len(pairs) for name, pairs in splits.items()},
            "examples": [[pair.sentence, pair.action] for pair in task.examples],
        },
    )
    held_out = ", ".join(f"{len(dataset.splits[name])} {name.replace('_', ' ')}" for name in HELD_OUT)
    return f"{len(dataset.train):,} sentences to train on; held out: {held_out}"


STAGE = Stage(
    name="data",
    summary="samples sentences and trains the tokenizer",
    needs=(),
    sections=("task", "tokenizer"),
    sources=("models/tasks/**/*.py", "models/tokenizer.py"),
    run=run,
)
