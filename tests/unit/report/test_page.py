"""The report's page: what it leads with, what it shows of tests, and what it links to."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

from pipeline.report.page import render_report, worst_first
from tests.support.reports import BLIND, LOOKED_AT, NOTHING, made_facts, made_report, made_tests


def text_of(page: str) -> str:
    """The words of a page, markup and style left out."""
    body = re.sub(r"<style>.*?</style>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_it_leads_with_what_is_understood_and_ends_with_instructions_a_multiply_accumulate() -> None:
    text = text_of(made_report())
    places = [
        text.index(words)
        for words in (
            "Try it",
            "What it understands",
            "40.0 % right: 2 of 5",
            "20.0 % nothing done: 1 of 5",
            "40.0 % wrong action: 2 of 5",
            "By kind",
            "By intent",
            "Wrong actions, of the half that may be looked at: 1",
            "Nothing done, of the half that may be looked at: 1",
            "Held-out sentences",
            "What it costs",
            "ms likely a token",
            "How it was made",
            "Inside of a step",
            "multiply-accumulates: 1.00 instructions each",
        )
    ]
    assert places == sorted(places)
    assert "accumulate" not in text[: text.index("Inside of a step")]


def test_mistakes_of_the_half_that_may_be_looked_at_are_shown_and_of_the_blind_half_counts() -> None:
    page = made_report()
    text = text_of(page)
    assert LOOKED_AT in text and NOTHING in text
    assert BLIND not in text and "Blindlampe" not in page
    assert "did HassTurnOn name=nothing that was said at 91.6 %" in text
    assert "right: HassTurnOff name=Wohnzimmerlampe or HassShoppingListAddItem" in text
    rows = dict(re.findall(r"<th scope=\"row\">(\w+)<span.*?</th>(.*?)</tr>", page, flags=re.DOTALL))
    assert re.findall(r">(\d+)</td>", rows["HassShoppingListAddItem"]) == ["1", "0", "0", "0", "0", "1"]
    assert re.findall(r">(\d+)</td>", rows["blind"]) == ["0", "0", "1"]
    assert "All right (look + blind): NoMatch 1 + 0." in text


def test_groups_with_wrong_actions_come_first() -> None:
    intents = worst_first(made_tests()["intents"])
    assert list(intents) == ["HassTurnOff", "HassShoppingListAddItem", "NoMatch"]
    assert intents["HassShoppingListAddItem"]["all"] == {"right": 1, "nothing": 0, "wrong": 1}


def test_a_recipe_without_tests_says_what_to_add() -> None:
    text = text_of(render_report(made_facts(tests=None, tests_over_threshold="")))
    assert "add tests: tests.yaml to its section task" in text and "By kind" not in text
    other = text_of(render_report(made_facts(tests=None, tests_over_threshold="", can_have_tests=False)))
    assert "tests.yaml" not in other and "How well it goes on" in other


def test_sentences_are_links_where_there_is_a_playground() -> None:
    assert (
        "playground/index.html" not in made_report() and "<code>thimble playground recipe.yaml</code>" in made_report()
    )
    page = made_report(link="../playground/index.html")
    assert f'href="../playground/index.html?sentence={quote(LOOKED_AT, safe="/")}"' in page
    assert '<form id="ask" class="ask-row" action="../playground/index.html"' in page


def test_it_needs_no_network_and_takes_no_markup() -> None:
    page = made_report()
    assert not re.search(r"(?:src|href)=[\"']https?:", page) and "@import" not in page and "<script" not in page
    assert "<b>the lamp" not in page and "<i>mark" not in page and "made &lt;up&gt;" in page


def test_other_boards_answers_are_shown_only_where_they_differ() -> None:
    facts = made_facts()
    assert "The other boards gave the same answers." in render_report(facts)
    first, second = facts.results
    prompts = (first.prompts[0].model_copy(update={"text_out": "off"}), *first.prompts[1:])
    page = render_report(made_facts(results=[first, second.model_copy(update={"prompts": prompts})]))
    assert f"Typed into {second.board}" in page and "gave the same answers" not in page
