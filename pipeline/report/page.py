"""The report as one HTML file: what a model understands, what that costs, how it was made, and what is inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.pages.templates import page_environment, page_style
from pipeline.verification.budgets import proof_holds
from pipeline.verification.likelihood import format_metric
from pipeline.verification.result import RunResult

__all__ = ["LAYER_KINDS", "Playground", "ReportFacts", "render_report", "worst_first"]

_FOLDER = Path(__file__).resolve().parent

LAYER_KINDS = ("fully_connected", "attention", "norm", "elementwise")
"""Kinds of layers that have a colour of their own, in the order of the colours."""

_VERDICTS = {"right": "right", "nothing": "nothing done", "wrong": "wrong action"}
_TIME_ROWS = {
    "decode_mean": "a token, mean",
    "decode_max": "the last token of a full context",
    "prefill_per_token": "a token of a prompt",
    "prompt_max": "the longest prompt there can be, to its first token",
}
_RAM_PARTS = {
    "kv_cache": "KV cache",
    "activations": "activations",
    "application": "application",
    "stack": "stack",
}


@dataclass(frozen=True)
class Playground:
    """The page that runs the device's C.

    Attributes:
        link: to it, from the report; empty where it was not made.
        command: what makes it.
    """

    link: str
    command: str


@dataclass(frozen=True)
class ReportFacts:
    """What a report is made of.

    Attributes:
        name: of the recipe.
        description: of the recipe.
        results: of each board, in the recipe's order.
        playground: the page that runs the device's C; None where nothing makes one.
        tests: of `pipeline.verification.sentence_tests.summarize`; None where the recipe names none.
        can_have_tests: whether the task is one that can be tested by sentences.
        quality: engine, as it is called on the page → split, or figure of a text → value.
        baseline: split → share that hassil itself recognizes.
        splits: split or figure → what it holds.
        split_sizes: split → number of sentences.
        notes: a sentence each, below these figures.
        training: chart of the training; empty for none.
        tests_over_threshold: chart of the tests; empty for none.
        flames: flame graph of each board, in the order of `results`; empty where nothing was traced.
        commands: that make all of this.
        recipe_text: the recipe's file; empty where there is none.
    """

    name: str
    description: str
    results: Sequence[RunResult]
    playground: Playground | None
    tests: Mapping[str, Any] | None
    can_have_tests: bool
    quality: Mapping[str, Mapping[str, float]]
    splits: Mapping[str, str]
    commands: str
    recipe_text: str
    baseline: Mapping[str, float] = field(default_factory=dict)
    split_sizes: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    training: str = ""
    tests_over_threshold: str = ""
    flames: Sequence[str] = ()


def render_report(facts: ReportFacts) -> str:
    """The page, which needs no other file and no network."""
    summary = facts.tests
    first = facts.results[0]
    return (
        page_environment(_FOLDER)
        .get_template("page.html.j2")
        .render(
            facts=facts,
            first=first,
            tests=summary,
            all_tests=_total(summary["halves"]) if summary else {},
            groups={title: _groups(summary[key]) for title, key in (("kind", "kinds"), ("intent", "intents"))}
            if summary
            else {},
            mistakes={
                verdict: [mistake for mistake in summary["mistakes"] if mistake["verdict"] == verdict]
                for verdict in ("wrong", "nothing")
            }
            if summary
            else {},
            verdicts=_VERDICTS,
            measured=list(_ordered(facts.quality)),
            answers=[result for result in facts.results if result is first or _answers(result) != _answers(first)],
            memory=[_memory(result) for result in facts.results],
            flames=[Markup(svg) for svg in facts.flames],
            training=Markup(facts.training),
            tests_over_threshold=Markup(facts.tests_over_threshold),
            time_rows=_TIME_ROWS,
            layer_kinds=LAYER_KINDS,
            proof_holds=proof_holds,
            format_metric=format_metric,
            style=page_style(_FOLDER / "page.css"),
            script=Markup((_FOLDER / "page.js").read_text(encoding="utf-8")),
        )
    )


def worst_first(halves: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, Mapping[str, int]]]:
    """Groups of tests, those with the most wrong actions first, then those with the most of which nothing came.

    Args:
        halves: half → group → counts of `right`, `nothing` and `wrong`.

    Returns:
        Group → half, and `all` for both → counts.
    """
    none = {"right": 0, "nothing": 0, "wrong": 0}
    groups: dict[str, dict[str, Mapping[str, int]]] = {}
    for name in dict.fromkeys(name for half in halves.values() for name in half):
        counts = {half: some.get(name, none) for half, some in halves.items()}
        groups[name] = {**counts, "all": _total(counts)}

    def rank(item: tuple[str, dict[str, Mapping[str, int]]]) -> tuple[int, int, str]:
        return -item[1]["all"]["wrong"], -item[1]["all"]["nothing"], item[0]

    return dict(sorted(groups.items(), key=rank))


def _groups(halves: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, Any]:
    """Of `worst_first` those groups that are `faulty`, and those that are `perfect`, in which all tests are right."""
    groups = worst_first(halves)
    is_perfect = {name: not some["all"]["wrong"] + some["all"]["nothing"] for name, some in groups.items()}
    return {
        "faulty": {name: some for name, some in groups.items() if not is_perfect[name]},
        "perfect": {name: some for name, some in groups.items() if is_perfect[name]},
    }


def _total(halves: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {verdict: sum(half[verdict] for half in halves.values()) for verdict in _VERDICTS}


def _ordered(quality: Mapping[str, Mapping[str, float]]) -> dict[str, None]:
    """Splits or figures of all engines, in the order in which they were measured."""
    return dict.fromkeys(key for figures in quality.values() for key in figures)


def _answers(result: RunResult) -> list[tuple[str, str]]:
    return [(prompt.text, prompt.text_out) for prompt in result.prompts]


def _memory(result: RunResult) -> list[dict[str, Any]]:
    """Name, bytes in use and size of flash and RAM, and the bytes of their parts by name."""
    flash, ram = result.flash_bytes, result.ram_bytes
    return [
        {
            "name": "Flash",
            "total": flash.total,
            "size": flash.size,
            "parts": {"weights": flash.weights, "tables": flash.tables, "code": flash.code},
        },
        {
            "name": "RAM",
            "total": ram.total,
            "size": ram.size,
            "parts": {name: getattr(ram, key) for key, name in _RAM_PARTS.items()},
        },
    ]
