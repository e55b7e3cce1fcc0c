"""data: the task's sentences, split, and the tokenizer trained on them; of an imported model its tokenizer alone."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from pipeline.errors import ThimbleError
from pipeline.network.tf_setup import load_tensorflow
from pipeline.recipes.load import Recipe
from pipeline.recipes.paths import imported_tokenizer, imported_weights
from pipeline.recipes.text_task import TextTask
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import EVALUATION_TEXT, SENTENCES
from pipeline.tasks.registry import load_task, task_module
from pipeline.tasks.sentence_files import HELD_OUT
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.text.tokenizers.load import load_tokenizer
from pipeline.verification.likelihood import EvaluationText, format_metrics, likelihood
from pipeline.workflow.artifacts import SUMMARY, TOKENIZER, WEIGHTS
from pipeline.workflow.shipped import are_of, has_trained_weights, read_weights_metadata, shipped_tokenizer
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE"]


def run(context: StageContext) -> str:
    """Writes `train.tsv`, `dev.tsv`, one `.tsv` a held-out split, `tokenizer.json` and `summary.json`; of an imported
    model `text.npz` and `tokenizer.json`."""
    recipe = context.recipe
    if recipe.text is not None:
        return _own_text(context, recipe.text)
    task = load_task(recipe.task)
    with context.console.status("sampling sentences from the templates"):
        dataset = task.build()
    splits = {"train": dataset.train, "dev": dataset.dev, **{name: dataset.splits[name] for name in HELD_OUT}}
    for name, pairs in splits.items():
        context.save(SENTENCES, pairs, split=name)
    shipped = None if context.retrain else shipped_tokenizer(recipe)
    if shipped is None:
        with context.console.status("training the tokenizer"):
            texts = [text for pair in dataset.train for text in (pair.sentence, pair.action)]
            context.save(TOKENIZER, Tokenizer.train(texts, recipe.vocab_size))
    else:
        TOKENIZER.copy(context.out, shipped)
    context.save(
        SUMMARY,
        {
            "sentences": {name: len(pairs) for name, pairs in splits.items()},
            "examples": [[pair.sentence, pair.action] for pair in task.examples],
        },
    )
    held_out = ", ".join(f"{len(dataset.splits[name])} {name.replace('_', ' ')}" for name in HELD_OUT)
    return f"{len(dataset.train):,} sentences to train on; held out: {held_out}"


def _own_text(context: StageContext, task: TextTask) -> str:
    """The float model writes text: some to calibrate with, other to measure with, and more to fit weights on."""
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import build_from
    from pipeline.network.decode_step import DecodeStep
    from pipeline.training.loop import limit_threads
    from pipeline.training.sampled_text import sample_text

    recipe = context.recipe
    limit_threads()
    tokenizer = load_tokenizer(TOKENIZER.copy(context.out, imported_tokenizer(recipe)))
    if tokenizer.vocab_size != recipe.vocab_size:
        raise ThimbleError(
            f"the tokenizer of {recipe.path} has {tokenizer.vocab_size:,} tokens, the model {recipe.vocab_size:,}",
            "import the checkpoint again, with the tokenizer that belongs to it",
        )
    length = recipe.model.context
    measured, calibrating = task.measured_texts(length), task.calibration_texts(length)
    fitting = task.fitting_texts(length) if recipe.qat else 0
    step = DecodeStep(build_from(imported_weights(recipe), recipe.model), recipe.model)
    with context.console.status("the model writes text") as status:
        text = sample_text(
            step,
            tokenizer.template.bos,
            measured + calibrating + fitting,
            task.seed,
            lambda done: status.update(f"the model writes text: {done:,} tokens"),
        )
    parts = np.split(text.tokens, [measured, measured + calibrating])
    evaluation_text = EvaluationText(parts[1], parts[2], parts[0], text.nll[:measured], text.top1[:measured])
    context.save(EVALUATION_TEXT, evaluation_text)
    return f"{text.tokens.size:,} tokens of text by the model itself; {format_metrics(likelihood(evaluation_text.nll))}"


def _environment_facts(context: StageContext) -> dict[str, str]:
    """What text of the model's own depends on: what was imported, which the recipe only names, and the model."""
    recipe = context.recipe
    if recipe.text is None:
        return {}
    paths = (imported_tokenizer(recipe), imported_weights(recipe))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    model = json.dumps(recipe.part("model"), sort_keys=True)
    return {**digests, "model": model, "fitting": str(recipe.qat is not None)}


def _work(recipe: Recipe) -> tuple[str, ...]:
    """The modules that make the data; of a task its own, so that a further task changes no other one's sentences."""
    if recipe.text is not None:
        return (
            __name__,
            "pipeline.network.checkpoint",
            "pipeline.network.decode_step",
            "pipeline.network.tf_setup",
            "pipeline.recipes.paths",
            "pipeline.text.tokenizers.load",
            "pipeline.training.loop",
            "pipeline.training.sampled_text",
            "pipeline.verification.likelihood",
        )
    return (
        __name__,
        task_module(recipe.task),
        "pipeline.tasks.sentence_files",
        "pipeline.text.tokenizers.byte_bpe",
    )


def _tools(recipe: Recipe) -> tuple[str, ...]:
    if recipe.text is not None:
        return ("tensorflow", "tf-keras", "numpy", "tokenizers")
    return ("home-assistant-intents", "hassil", "tokenizers")


def _recognizes(context: StageContext) -> bool:
    """Weights that fit the recipe were trained on these sentences."""
    try:
        return are_of(context.recipe, read_weights_metadata(context.workspace.path(WEIGHTS.of("train"))))
    except ThimbleError:
        return False


STAGE = Stage(
    name="data",
    summary=SUMMARIES["data"],
    run=run,
    writes=(SENTENCES, TOKENIZER, SUMMARY, EVALUATION_TEXT),
    sections=("task", "tokenizer"),
    work=_work,
    tools=_tools,
    environment_facts=_environment_facts,
    is_training=has_trained_weights,
    recognizes=_recognizes,
)
