"""evaluate: how often the float and the quantized model are right, on sentences that training never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pipeline import tools
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.errors import ThimbleError
from pipeline.network.tf_setup import load_tensorflow
from pipeline.numerics.sampler import logit_step
from pipeline.recipes.load import Recipe
from pipeline.recipes.paths import file_digests
from pipeline.stages import SUMMARIES
from pipeline.stages.artifacts import ANSWERS, DOCUMENTS, EVALUATION_TEXT, KNOWN_NAMES, SENTENCES
from pipeline.tasks import accuracy
from pipeline.tasks.registry import TASK_FILES, load_task, task_module, task_tests, task_tools
from pipeline.tasks.task import MeasuredText, Pair, Predictions, Task
from pipeline.tasks.text_path import load_codec, recipe_codec
from pipeline.text.codec import StructuredCodec
from pipeline.verification.host_engine import HostEngine, host_engine
from pipeline.verification.likelihood import format_metrics, likelihood, measure
from pipeline.verification.reply import at_threshold
from pipeline.verification.sentence_tests import ask_tests, format_tests, summarize
from pipeline.workflow.artifacts import QUALITY, SPLITS, TEST_REPLIES, TESTS, TFLITE, TOKENIZER, WEIGHTS
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE", "evaluation_progress"]

Quality = dict[str, dict[str, float]]
Report = Callable[[int], None]


def run(context: StageContext) -> str:
    """Writes `quality.json`: of the `float` and the `quantized` model the share of right answers by split, and that of
    the field's own tool where there is one; for a model that writes text its likelihood. And
    `splits.json`: what was measured; where the task has tests, `tests.json` and `test_replies.json`."""
    task, data = load_task(context.recipe), context.input("data")
    tflite = context.load(TFLITE.of("quantize"))
    splits = task.held_out(data, context.recipe.evaluate.host_sentences)
    text = task.text(data, context.recipe.model.context, context.recipe.evaluate.host_sentences)
    quality: Quality = {"float": {}, "quantized": {}}
    with host_engine(tflite) as engine:
        if splits:
            _score(context, task, splits, engine, quality)
        if text is not None:
            _measure(context, text, tflite, engine, quality)
        tests = _ask_tests(context, tflite, engine)
    context.save(QUALITY, quality)
    context.save(
        SPLITS, {split: {"holds": task.splits[split], "sentences": len(pairs)} for split, pairs in splits.items()}
    )
    figures = [f"{name}: {format_metrics(quality[name])}" for name in ("float", "quantized") if quality[name]]
    return "; ".join([*figures, *([tests] if tests else [])]) or "nothing is held out, and there are no tests"


def _ask_tests(context: StageContext, tflite: bytes, engine: HostEngine) -> str:
    """Asks the quantized model the task's tests; what came of it in a line, empty where there are none."""
    recipe, tests = context.recipe, task_tests(context.recipe)
    if not tests:
        return ""
    threshold = round(65536 * recipe.answers.threshold)
    codec = load_codec(context.input("data"))
    graph = read_tflite(tflite)
    step = logit_step(graph.tensors[graph.outputs["logits"]].scale)
    with (
        evaluation_progress(context.console, len(tests)) as progress,
        progress("quantized, on the host: tests", len(tests)) as report,
    ):
        replies = ask_tests(engine, codec, tests, step, recipe.model.context, report)
    slots = codec.schema.slots if isinstance(codec, StructuredCodec) else None
    summary = summarize(tests, replies, slots, threshold)
    context.save(TESTS, summary)
    said = [at_threshold(reply, threshold) for reply in replies]
    context.save(
        TEST_REPLIES,
        {
            "replies": [
                {
                    "sentence": test.sentence,
                    "text": reply.text,
                    "confidence": reply.confidence,
                    "reason": reply.reason,
                }
                for test, reply in zip(tests, said, strict=True)
            ]
        },
    )
    return format_tests(summary)


def _score(
    context: StageContext, task: Task, splits: Mapping[str, Sequence[Pair]], engine: HostEngine, quality: Quality
) -> None:
    """The share of right answers by split."""
    recipe = context.recipe
    codec = recipe_codec(recipe, context.input("data"))
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.cached_decoder import CachedDecoder
    from pipeline.network.checkpoint import build_from
    from pipeline.training import evaluation
    from pipeline.training.loop import limit_threads

    limit_threads()
    decoder = CachedDecoder(build_from(context.path(WEIGHTS.of("qat")), recipe.model), recipe.model)
    with evaluation_progress(context.console, 2 * sum(map(len, splits.values()))) as progress:
        for split, pairs in splits.items():
            with progress(f"float: {split.replace('_', ' ')}", len(pairs)) as report:
                answers = evaluation.answers(decoder, codec, pairs, report)
            quality["float"][split] = _share(task.score(pairs, answers))
        for split, pairs in splits.items():
            with progress(f"quantized, on the host: {split.replace('_', ' ')}", len(pairs)) as report:
                answers = accuracy.answers(engine, codec, pairs, report)
            quality["quantized"][split] = _share(task.score(pairs, answers))
    for split in task.baseline_splits:
        with context.console.status(f"asking hassil: {split.replace('_', ' ')}"):
            right = task.baseline(splits.get(split, ()))
        if right:
            quality.setdefault("hassil", {})[split] = _share(right)


def _measure(context: StageContext, text: MeasuredText, tflite: bytes, engine: HostEngine, quality: Quality) -> None:
    """The likelihood of the text."""
    graph = read_tflite(tflite)
    scale = graph.tensors[graph.outputs["logits"]].scale
    count = len(text.sequences)
    predictions = text.predictions or _predictions(context, text)
    quality["float"].update(likelihood(predictions.nll, text.num_bytes))
    with (
        evaluation_progress(context.console, count) as progress,
        progress("quantized, on the host: text", count) as report,
    ):
        quality["quantized"].update(measure(engine, text, predictions, scale, report))


def _predictions(context: StageContext, text: MeasuredText) -> Predictions:
    """What the float model says of text that it did not write itself."""
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.checkpoint import build_from
    from pipeline.training import evaluation
    from pipeline.training.loop import limit_threads

    limit_threads()
    recipe, count = context.recipe, len(text.sequences)
    model = build_from(context.path(WEIGHTS.of("qat")), recipe.model)
    with evaluation_progress(context.console, count) as progress, progress("float: text", count) as report:
        return evaluation.predictions(model, text.sequences, recipe.model.context, report)


@contextmanager
def evaluation_progress(console: Console, total: int) -> Iterator[Callable[[str, int], AbstractContextManager[Report]]]:
    """A bar with the share done and the time left; each part is announced with what it measures and its size.

    Args:
        console: where it is drawn; without a terminal nothing is.
        total: sentences or texts of all parts.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    done = 0
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)

        @contextmanager
        def part(what: str, size: int) -> Iterator[Report]:
            nonlocal done
            bar.update(task, description=what)
            yield lambda count: bar.update(task, completed=done + count)
            done += size
            bar.update(task, completed=done)

        yield part


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right)


def _check_prerequisites(context: StageContext) -> None:
    """Refuses a budget for a split that the task does not have, or for tests where it has none."""
    tools.require("gcc")
    budgets = context.recipe.budgets
    if not task_tests(context.recipe):
        for key in ("min_tests", "max_wrong_action"):
            if getattr(budgets, key) is not None:
                raise ThimbleError(
                    f"`budgets.{key}` is given, and the task has no tests",
                    "name a file in `task.tests`, or take it out",
                )
    least = context.recipe.budgets.min_exact_match
    if isinstance(least, Mapping):
        splits = load_task(context.recipe).splits
        for split in least:
            if split not in splits:
                raise ThimbleError(
                    f"`budgets.min_exact_match` names {split!r}, and the task has no such split",
                    f"use {', '.join(splits)}",
                )


def _environment_facts(context: StageContext) -> dict[str, str]:
    """The digest of the tests."""
    tests = getattr(context.recipe.task, "tests", None)
    return file_digests({"tests": context.recipe.path.parent / tests}) if tests else {}


def _work(recipe: Recipe) -> tuple[str, ...]:
    return (
        __name__,
        "pipeline.compiler",
        "pipeline.network.cached_decoder",
        "pipeline.network.checkpoint",
        "pipeline.network.tf_setup",
        "pipeline.tasks.accuracy",
        task_module(recipe.task),
        "pipeline.training.evaluation",
        "pipeline.training.loop",
        "pipeline.verification.host_engine",
        "pipeline.verification.likelihood",
        "pipeline.verification.sentence_tests",
    )


def _tools(recipe: Recipe) -> tuple[str, ...]:
    return ("gcc", "tensorflow", "tf-keras", "ai-edge-litert", "numpy", "tokenizers", *task_tools(recipe.task))


STAGE = Stage(
    name="evaluate",
    summary=SUMMARIES["evaluate"],
    run=run,
    reads=(
        TOKENIZER.of("data"),
        ANSWERS.of("data"),
        KNOWN_NAMES.of("data"),
        SENTENCES.of("data"),
        EVALUATION_TEXT.of("data"),
        DOCUMENTS.of("data"),
        WEIGHTS.of("qat"),
        TFLITE.of("quantize"),
    ),
    writes=(QUALITY, SPLITS, TESTS, TEST_REPLIES),
    sections=("task", "model", "evaluate", "answers"),
    work=_work,
    data=("firmware_templates/runtime/**/*.[ch]", "firmware_templates/host/*.c", *TASK_FILES),
    tools=_tools,
    environment_facts=_environment_facts,
    check_prerequisites=_check_prerequisites,
)
