"""A report of a made-up run: two boards, tests of both halves, every kind of chart."""

from __future__ import annotations

from typing import Any

from pipeline.report.charts import tests_over_threshold, training_curves
from pipeline.report.flame import flame_graph
from pipeline.report.page import Playground, ReportFacts, render_report
from pipeline.tasks.tests_file import SentenceTest
from pipeline.verification.reply import Reply
from pipeline.verification.result import LayerCost, RunResult
from pipeline.verification.sentence_tests import summarize
from tests.support.run_results import made_prompt, made_result

__all__ = ["BLIND", "LOOKED_AT", "NOTHING", "made_facts", "made_report", "made_tests"]

LOOKED_AT, NOTHING, BLIND = "light <b>the lamp</b> & stay", "off with it", "make it dark"
_ON, _OFF = {"intent": "HassShoppingListAddItem"}, {"intent": "HassTurnOff", "slots": {"name": "Wohnzimmerlampe"}}
_TESTS: dict[str, tuple[list[dict[str, Any]], Reply]] = {
    LOOKED_AT: ([_OFF, _ON], Reply("HassTurnOn name=nothing that was said", 60000)),
    NOTHING: ([_OFF], Reply("HassTurnOff name=Wohnzimmerlampe", 20000)),
    BLIND: ([_ON], Reply("HassTurnOff name=Blindlampe", 64000)),
    "who won": ([], Reply("NoMatch", 64000)),
    "add it": ([_ON], Reply("HassShoppingListAddItem", 64000)),
}


def made_tests() -> dict[str, Any]:
    """Of both halves a wrong action, and of `look` a sentence on which nothing was done."""
    tests = [
        SentenceTest.from_mapping({"sentence": sentence, "kind": f"kind of {at}", "answers": answers})
        for at, (sentence, (answers, _)) in enumerate(_TESTS.items())
    ]
    return summarize(tests, [reply for _, reply in _TESTS.values()], ("name",), 32768)


def made_facts(**changes: Any) -> ReportFacts:
    """What `made_report` shows.

    Args:
        changes: fields of `ReportFacts` with other values.
    """
    layers = tuple(
        LayerCost(
            name=f"layer{at}_attention_{kind}",
            function="run",
            kind=kind,
            macs=1000 * at,
            weight_bytes=0,
            instructions=12_345.0 * (at + 1),
            cycles=1.0,
        )
        for at, kind in enumerate(("norm", "attention", "fully_connected", "elementwise", "something new"))
    )
    prompts = (made_prompt("turn on the lamp"), made_prompt("<i>mark</i> up"))
    results: list[RunResult] = [
        made_result(board=board, layers=layers, prompts=prompts, macs=210_944)
        for board in ("mps2_an386", "a_board_with_a_long_name")
    ]
    summary = made_tests()
    stacks: dict[tuple[str, ...], float] = {
        ("decode", f"run_layer{at}_ffn_up", "thimble_fully_connected_s8"): 10.0 + at for at in range(12)
    }
    flames = [flame_graph(stacks, f"Likely cycles on {result.board}", "cycles") for result in results]
    history = [{"step": 500 * at, "loss": 4.0 / at, "dev_exact_match": 1 - 1 / at} for at in range(1, 30)]
    split = {"new_names": 0.91, "noisy": 0.84}
    fields: dict[str, Any] = {
        "name": "made <up>",
        "description": "A run that never was.",
        "results": results,
        "playground": Playground("", "thimble playground recipe.yaml"),
        "tests": summary,
        "can_have_tests": True,
        "quality": {"float": split, "quantized, host": split, "quantized, board": {"noisy": 0.8}},
        "baseline": {"noisy": 0.117},
        "splits": {"new_names": "names of things that training never saw", "noisy": "typos"},
        "split_sizes": {"new_names": 600, "noisy": 600},
        "notes": ["The model has 199,104 parameters."],
        "training": training_curves(history),
        "tests_over_threshold": tests_over_threshold(summary["curve"], summary["threshold"]),
        "flames": flames,
        "commands": "nox -s train -- a/rather/long/path/to/a/recipe.yaml --retrain",
        "recipe_text": "name: made\ntask: {name: home_assistant, language: en, seed: 1, home: home.yaml}\n",
    }
    return ReportFacts(**{**fields, **changes})


def made_report(link: str = "") -> str:
    """The page.

    Args:
        link: to the playground.
    """
    return render_report(made_facts(playground=Playground(link, "thimble playground recipe.yaml")))
