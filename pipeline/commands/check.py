"""`check`: what is wrong, or may be, in a task of sentences or of plain text, before it is trained."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pipeline.commands.command import Command
from pipeline.errors import ThimbleError

if TYPE_CHECKING:
    from pipeline.recipes.load import Recipe
    from pipeline.recipes.schema import SentencesConfig, ToolsConfig
    from pipeline.tasks.check import Summary

__all__ = ["COMMAND"]

_COLORS = {"error": "red", "warning": "yellow", "note": "dim"}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "task",
        type=Path,
        metavar="TASK",
        help="a recipe with `task: {name: sentences}`, `tools` or `corpus`, its folder, or files of sentences",
    )
    parser.add_argument("--language", metavar="CODE", help="of files that do not name one")
    parser.add_argument("--home", metavar="FILE", help="a home's file, for sentences without a recipe")
    parser.add_argument("--tests", metavar="FILE", help="a file of tests, for sentences without a recipe")
    parser.add_argument("--strict", action="store_true", help="warnings make the exit status 1, as errors do")
    parser.add_argument("--json", action="store_true", help="for programs")


def _work(options: argparse.Namespace, console: Console) -> int:
    from rich.progress import Progress

    from pipeline.recipes.schema import CorpusConfig, SentencesConfig
    from pipeline.tasks.check import check_sentences
    from pipeline.tasks.own_tools import load_tool_sentences
    from pipeline.tasks.sentences.source import load_sentences
    from pipeline.tasks.tests_file import load_tests

    recipe = _recipe(options)
    if recipe is not None and isinstance(recipe.task, CorpusConfig):
        return _check_corpus(recipe, options.json, console)
    config, folder = _task(options, recipe)
    if isinstance(config, SentencesConfig):
        source = load_sentences(config, folder, is_strict=False)
    else:
        source = load_tool_sentences(config, folder, is_strict=False)
    tests = load_tests(folder / config.tests) if config.tests else ()
    with Progress(console=console, transient=True, disable=options.json or not console.is_terminal) as bar:
        task = bar.add_task("reading samples", total=None)
        summary = check_sentences(source, tests, lambda done, total: bar.update(task, completed=done, total=total))
    if options.json:
        print(json.dumps(_as_dict(summary), indent=1, ensure_ascii=False))
    else:
        _print(summary, console)
    severities = {finding.severity for finding in summary.findings}
    return 1 if "error" in severities or (options.strict and "warning" in severities) else 0


def _recipe(options: argparse.Namespace) -> Recipe | None:
    """The recipe that is named, None where it is sentences."""
    from pipeline.recipes.load import load_recipe
    from pipeline.recipes.paths import RECIPE
    from pipeline.validation import read_yaml

    path: Path = options.task
    if (path / RECIPE).is_file():
        path = path / RECIPE  # a folder as `thimble new` makes it
    if not path.exists():
        raise ThimbleError(f"there is no {path}", "name a recipe, or a file or folder of sentences")
    data = None if path.is_dir() else read_yaml(path, "task", "give a readable UTF-8 YAML file")
    return load_recipe(path) if isinstance(data, dict) and "task" in data else None


def _check_corpus(recipe: Recipe, as_json: bool, console: Console) -> int:
    """What there is to train on, and what cannot be right by the errors that reading it raises."""
    from pipeline.tasks.corpus import CorpusTask
    from pipeline.tasks.corpus_summary import summarize_corpus
    from pipeline.tasks.registry import load_task

    task = load_task(recipe)
    assert isinstance(task, CorpusTask)
    summary = summarize_corpus(task, recipe.vocab_size, recipe.model.context)
    seen = recipe.train.steps * recipe.train.batch_size / max(summary.windows, 1)
    if as_json:
        print(json.dumps({**vars(summary), "times_seen": round(seen, 1)}, indent=1, ensure_ascii=False))
        return 0
    parts = summary.documents
    console.print(
        f"{summary.read:,} documents, {summary.copies:,} of them copies: {parts['train']:,} to train on, "
        f"{parts['dev']:,} to watch it, {parts['held_out']:,} to measure on\n"
        f"{summary.characters:,} characters to train on, {summary.tokens:,} tokens of "
        f"{summary.characters / max(summary.tokens, 1):.1f} characters; "
        f"{summary.cut:,} documents are longer than `model.context` {recipe.model.context} and are cut\n"
        f"{summary.windows:,} sequences, each of which `train` sees {seen:.1f} times",
        highlight=False,
    )
    for warning in summary.warnings:
        console.print(f"[yellow]warning[/] {warning}", highlight=False)
    return 0


def _task(options: argparse.Namespace, recipe: Recipe | None) -> tuple[SentencesConfig | ToolsConfig, Path]:
    from pipeline.recipes.schema import SentencesConfig, ToolsConfig

    path: Path = options.task
    if recipe is not None:
        task = recipe.task
        if not isinstance(task, SentencesConfig | ToolsConfig):
            remedy = "name a recipe with `task: {name: sentences}`, `tools` or `corpus`, or a file of sentences"
            raise ThimbleError(f"the task of {path} is {task.name!r}, which has no sentences of its own", remedy)
        return task, recipe.path.parent
    config = SentencesConfig(
        files=(str(path.resolve()),),
        language=options.language,
        home=str(Path(options.home).resolve()) if options.home else None,
        tests=str(Path(options.tests).resolve()) if options.tests else None,
    )
    return config, path.parent.resolve()


def _as_dict(summary: Summary) -> dict[str, object]:
    from dataclasses import asdict

    data = asdict(summary)
    data["findings"] = [{**asdict(finding), "place": str(finding.place)} for finding in summary.findings]
    return data


def _print(summary: Summary, console: Console) -> None:
    from rich.markup import escape
    from rich.table import Table

    console.print(
        f"{summary.intents} intents, {summary.templates} templates, {_number(summary.variants)} variants, "
        f"{_number(summary.sentences)} sentences with lists filled; {summary.lists} lists, {summary.values} values",
        highlight=False,
    )
    if not summary.findings:
        console.print("[green]✓[/] nothing to say against it")
        return
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in summary.findings:
        color = _COLORS[finding.severity]
        place = f"[bold]{escape(str(finding.place))}[/]\n" if str(finding.place) else ""
        remedy = f"\n[dim]→ {escape(finding.remedy)}[/]" if finding.remedy else ""
        table.add_row(
            f"[{color}]{finding.severity}[/]", f"[{color}]{finding.kind}[/]", f"{place}{escape(finding.what)}{remedy}"
        )
    console.print(table, highlight=False, soft_wrap=False)
    counts = [(s, sum(finding.severity == s for finding in summary.findings)) for s in _COLORS]
    console.print(", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts if count), highlight=False)


def _number(count: int) -> str:
    return f"{count:,}" if count < 10_000_000 else f"{count:.2g}"


COMMAND = Command("check", "what may be wrong in a task of sentences or text", _arguments, _work, extras=("tasks",))
