"""evaluate: how often the float and the quantized model are right, on sentences that training never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pipeline.compiler.reader import read_tflite
from pipeline.files import write_json
from pipeline.network.tf_setup import load_tensorflow
from pipeline.tasks import accuracy
from pipeline.tasks.registry import load_task
from pipeline.tasks.sentence_files import HELD_OUT, read_pairs
from pipeline.tasks.task import Pair
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.host_engine import host_engine
from pipeline.verification.likelihood import format_metrics, likelihood, measure, read_text
from pipeline.workflow.stage import Stage, StageContext

__all__ = ["STAGE", "evaluation_progress"]

Quality = dict[str, dict[str, float]]
Report = Callable[[int], None]


def run(context: StageContext) -> str:
    """Writes `quality.json`: of the `float` and the `quantized` model the exact match by split, and of the field's own
    tool where there is one; for a model that writes text its likelihood."""
    quality = _sentences(context) if context.recipe.text is None else _text(context)
    write_json(context.out / "quality.json", quality)
    return "; ".join(f"{engine}: {format_metrics(quality[engine])}" for engine in ("float", "quantized"))


def _sentences(context: StageContext) -> Quality:
    """Exact match on the first sentences of each held-out split."""
    recipe, data = context.recipe, context.input("data")
    tokenizer = Tokenizer.load(data / "tokenizer.json")
    limit = recipe.evaluate.host_sentences
    splits = {split: pairs for split in HELD_OUT if (pairs := read_pairs(data / f"{split}.tsv", limit))}
    with context.console.status("loading TensorFlow"):
        load_tensorflow()
    from pipeline.network.cached_decoder import CachedDecoder
    from pipeline.network.checkpoint import build_from
    from pipeline.training import evaluation
    from pipeline.training.loop import limit_threads

    limit_threads()
    decoder = CachedDecoder(build_from(context.input("qat") / "weights.npz", recipe.model), recipe.model)
    tflite = (context.input("quantize") / "model.tflite").read_bytes()
    quality: Quality = {"float": {}, "quantized": {}}
    total = 2 * sum(map(len, splits.values()))
    with host_engine(tflite) as engine, evaluation_progress(context.console, total) as progress:
        for split, pairs in splits.items():
            with progress(f"float: {_words(split)}", len(pairs)) as report:
                quality["float"][split] = _share(evaluation.matches(decoder, tokenizer, pairs, report))
        for split, pairs in splits.items():
            with progress(f"quantized, on the host: {_words(split)}", len(pairs)) as report:
                quality["quantized"][split] = _share(accuracy.matches(engine, tokenizer, pairs, report))
    baseline = _baseline(context, splits)
    return {**quality, "hassil": baseline} if baseline else quality


def _baseline(context: StageContext, splits: dict[str, list[Pair]]) -> dict[str, float]:
    """The share of the noisy sentences that the field's own tool recognizes."""
    noisy = splits.get("noisy", [])
    with context.console.status("asking hassil the noisy sentences"):
        right = load_task(context.recipe.task).baseline(noisy)
    return {"noisy": _share(right)} if right else {}


def _text(context: StageContext) -> Quality:
    """The likelihood of text that the float model wrote; what the float model says of it the `data` stage kept."""
    text = read_text(context.input("data") / "text.npz")
    tflite = (context.input("quantize") / "model.tflite").read_bytes()
    graph = read_tflite(tflite)
    scale = graph.tensors[graph.outputs["logits"]].scale
    texts = len(text.tokens)
    with (
        host_engine(tflite) as engine,
        evaluation_progress(context.console, texts) as progress,
        progress("quantized, on the host: text of the float model", texts) as report,
    ):
        return {"float": likelihood(text.nll), "quantized": measure(engine, text, scale, report)}


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


def _words(split: str) -> str:
    return split.replace("_", " ")


def _share(right: list[bool]) -> float:
    return sum(right) / len(right)


STAGE = Stage(
    name="evaluate",
    summary="measures the float and the quantized model",
    needs=("data", "qat", "quantize"),
    sections=("task", "model", "evaluate"),
    sources=(
        "pipeline/compiler/**/*.py",
        "pipeline/network/cached_decoder.py",
        "pipeline/tasks/accuracy.py",
        "pipeline/training/evaluation.py",
        "pipeline/verification/host_engine.py",
        "pipeline/verification/likelihood.py",
        "firmware_templates/runtime/**/*.[ch]",
    ),
    run=run,
)
