"""data: the task's sentences or documents, split, and the tokenizer trained on them; of an imported model its tokenizer
alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from pipeline.errors import ThimbleError
from pipeline.network.tf_setup import load_tensorflow
from pipeline.recipes.load import Recipe
from pipeline.recipes.paths import file_digests, imported_tokenizer, imported_weights, task_files
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import ANSWERS, DOCUMENTS, EVALUATION_TEXT, KNOWN_NAMES, SENTENCES
from pipeline.tasks.corpus import encode_documents
from pipeline.tasks.registry import TASK_FILES, load_task, task_module, task_tools
from pipeline.tasks.sentence_files import WATCHED
from pipeline.tasks.structured import StructuredTask
from pipeline.tasks.task import Dataset, Documents, Pair, Task, TextWriter, WrittenText
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.text.tokenizers.load import load_tokenizer
from pipeline.text.tokenizers.text_bpe import TextTokenizer, train_on_texts
from pipeline.verification.likelihood import format_metrics, likelihood
from pipeline.workflow.artifacts import SUMMARY, TOKENIZER, WEIGHTS
from pipeline.workflow.shipped import are_of, has_trained_weights, read_weights_metadata, shipped_tokenizer
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE"]

_FEWEST_PIECES = 300


def run(context: StageContext) -> str:
    """Writes `train.tsv`, `dev.tsv`, one `.tsv` a held-out split, `tokenizer.json` and `summary.json`; for a task of
    plain text `documents.npz` instead of sentences; for an imported model `text.npz` and `tokenizer.json`."""
    recipe = context.recipe
    task = load_task(recipe)
    if recipe.weights is not None:
        return _imported(context, task)
    if isinstance(task, StructuredTask):
        return _drawn(context, task)
    with context.console.status("reading the task's data"):
        dataset = task.dataset()
    if dataset.documents is not None:
        return _encoded(context, dataset.documents)
    _save_pairs(context, task, {"train": dataset.train, "dev": dataset.dev, **dataset.splits})
    shipped = None if context.retrain else shipped_tokenizer(recipe)
    if shipped is None:
        with context.console.status("training the tokenizer"):
            texts = [text for pair in dataset.train for text in (pair.sentence, pair.action)]
            context.save(TOKENIZER, Tokenizer.train(texts, recipe.vocab_size))
    else:
        TOKENIZER.copy(context.out, shipped)
    return f"{len(dataset.train):,} sentences to train on{_held_out(dataset)}"


def _encoded(context: StageContext, documents: Documents) -> str:
    """Documents as tokens, and the tokenizer that was trained on those to train on."""
    recipe = context.recipe
    shipped = None if context.retrain else shipped_tokenizer(recipe)
    if shipped is None:
        with context.console.status("training the tokenizer"):
            tokenizer = train_on_texts((document.text for document in documents.train), recipe.vocab_size)
        context.save(TOKENIZER, tokenizer)
    else:
        tokenizer = TextTokenizer.load(TOKENIZER.copy(context.out, shipped))
    with context.console.status("encoding the documents"):
        encoded = encode_documents(tokenizer, documents)
    context.save(DOCUMENTS, encoded)
    counts = {name: len(part.keys) for name, part in encoded.items()}
    context.save(SUMMARY, {"documents": counts, "tokens": {name: len(part.tokens) for name, part in encoded.items()}})
    characters = sum(len(document.text) for document in documents.train) / max(len(encoded["train"].tokens), 1)
    return (
        f"{counts['train']:,} documents to train on, {len(encoded['train'].tokens):,} tokens of {characters:.1f} "
        f"characters; {counts['dev']:,} to watch it; held out: {counts['held_out']:,}"
    )


def _drawn(context: StageContext, task: StructuredTask) -> str:
    """Answer tokens, tokenizer and names; training sentences are drawn while the model trains."""
    recipe = context.recipe
    with context.console.status("drawing the held-out sentences"):
        dataset = task.dataset()
    # Training watches these pairs and does not depend on them: another home makes others, and trains nothing anew.
    _save_pairs(context, task, {WATCHED: dataset.dev, **dataset.splits})
    context.save(KNOWN_NAMES, task.names)
    shipped = None if context.retrain else shipped_tokenizer(recipe)
    answers = None if shipped is None else ANSWERS.path(shipped.parent)
    if shipped is not None and answers is not None and answers.exists():
        TOKENIZER.copy(context.out, shipped)
        schema = ANSWERS.load_file(ANSWERS.copy(context.out, answers))
    else:
        with context.console.status("drawing sentences, and training the tokenizer on them"):
            schema = task.schema
            pieces = recipe.vocab_size - schema.num_tokens
            if pieces < _FEWEST_PIECES:
                raise ThimbleError(
                    f"`tokenizer.vocab_size` is {recipe.vocab_size}, of which {schema.num_tokens} are answer tokens",
                    f"use at least {schema.num_tokens + _FEWEST_PIECES}: text takes 260 ids, words some hundred more",
                )
            context.save(TOKENIZER, Tokenizer.train(task.tokenizer_texts(), pieces, exact_size=True))
            context.save(ANSWERS, schema)
    names = f"{len(task.names.entries):,} names known"
    return f"{len(schema.intents) - 1} intents, {schema.num_tokens} answer tokens, {names}{_held_out(dataset)}"


def _save_pairs(context: StageContext, task: Task, splits: Mapping[str, Sequence[Pair]]) -> None:
    for name, pairs in splits.items():
        context.save(SENTENCES, pairs, split=name)
    context.save(
        SUMMARY,
        {
            "sentences": {name: len(pairs) for name, pairs in splits.items()},
            "examples": [[pair.sentence, pair.action] for pair in task.examples()],
        },
    )


def _held_out(dataset: Dataset) -> str:
    splits = ", ".join(f"{len(pairs)} {name.replace('_', ' ')}" for name, pairs in dataset.splits.items())
    return f"; held out: {splits}" if splits else ""


def _imported(context: StageContext, task: Task) -> str:
    """The tokenizer that was imported, and text that the float model writes."""
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
    step = DecodeStep(build_from(imported_weights(recipe), recipe.model), recipe.model)
    with context.console.status("the model writes text") as status:

        def write(texts: int, seed: int) -> WrittenText:
            return sample_text(
                step,
                tokenizer.template.bos,
                texts,
                seed,
                lambda done: status.update(f"the model writes text: {done:,} tokens"),
            )

        dataset = task.dataset(TextWriter(recipe.model.context, recipe.qat is not None, write))
    text = dataset.text
    assert text is not None, "the task of an imported model has text"
    context.save(EVALUATION_TEXT, text)
    written = text.calibration.size + text.fitting.size + text.tokens.size
    return f"{written:,} tokens of text by the model itself; {format_metrics(likelihood(text.nll))}"


def _environment_facts(context: StageContext) -> dict[str, str]:
    """Digests of the imported checkpoint and of the model configuration."""
    recipe = context.recipe
    if recipe.weights is None:
        return file_digests(task_files(recipe))
    paths = (imported_tokenizer(recipe), imported_weights(recipe))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    model = json.dumps(recipe.part("model"), sort_keys=True)
    return {**digests, "model": model, "fitting": str(recipe.qat is not None)}


def _work(recipe: Recipe) -> tuple[str, ...]:
    """The modules that make the data; of a task its own, so that a further task changes no other one's sentences."""
    if recipe.weights is not None:
        return (
            __name__,
            "pipeline.network.checkpoint",
            "pipeline.network.decode_step",
            "pipeline.network.tf_setup",
            "pipeline.recipes.paths",
            task_module(recipe.task),
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
    if recipe.weights is not None:
        return ("tensorflow", "tf-keras", *task_tools(recipe.task))
    return task_tools(recipe.task)


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
    writes=(SENTENCES, DOCUMENTS, TOKENIZER, ANSWERS, KNOWN_NAMES, SUMMARY, EVALUATION_TEXT),
    sections=("task", "tokenizer"),
    work=_work,
    data=TASK_FILES,
    tools=_tools,
    environment_facts=_environment_facts,
    is_training=has_trained_weights,
    recognizes=_recognizes,
)
