"""The page in headless Chromium: a page of the stand-in, and, where one was made, that of the shipped model.

`nox -s playground_tests` makes the latter and names it in THIMBLE_PLAYGROUND.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pipeline.playground.costs import board_facts
from pipeline.playground.page import PageFacts, render_page
from pipeline.playground.wasm import build_wasm
from pipeline.targets.boards import load_board
from pipeline.text.codec import Codec
from pipeline.verification.checks import reference_run
from tests.support.browser import DESK, PHONE, barriers, sideways
from tests.support.browser import opened as opened_page
from tests.support.playground_engine import skip_without_clang
from tests.support.playground_models import LOGIT_STEP, NAMES, bound_codec, plain_codec, structured_codec
from tests.support.run_results import made_prompt, made_result
from tests.support.standin import CONTEXT, FOLDER, Standin

PROMPTS = ("turn on the lamp", "wait for two and a half hours")
_UNLABELLED = """() => [...document.querySelectorAll("input, select, button, [role=img], [role=meter]")]
  .filter((control) => !(control.labels?.length || control.getAttribute("aria-label")
    || control.getAttribute("aria-labelledby") || control.textContent.trim()))
  .map((control) => control.outerHTML)"""


def expected_of(codec: Codec, spoiled: bool = False) -> dict[str, Any]:
    """As `write_expectations` writes it."""
    runs = [reference_run(Standin(), codec, CONTEXT, text, 20, step=LOGIT_STEP) for text in PROMPTS]
    prompts = [
        {
            "text": quote(run.text, safe=""),
            "tokens_in": run.tokens_in,
            "steps": [{"token": step.token, "crc": f"{step.crc:08x}", "next": step.next} for step in run.steps],
        }
        for run in runs
    ]
    if spoiled:
        prompts[-1]["steps"][-1]["crc"] = "00000000"  # type: ignore[index]
    return {"prompts": prompts}


def page_of(codec: Codec, out: Path, spoiled: bool = False, board: str = "mps2_an386") -> Path:
    """A page of the stand-in, with the costs of a board, whose name may be another."""
    skip_without_clang()
    prompts = (made_prompt(ticks=tuple(range(100, 120))),)
    costs = board_facts(made_result(prompts=prompts), load_board("mps2_an386"))
    assert costs is not None
    facts = PageFacts(
        name="stand <in>",
        description="Says & does nothing that makes sense.",
        language="en",
        module=build_wasm(FOLDER, codec),
        codec=codec,
        entries=NAMES,
        examples=[*PROMPTS, "</script><b>no markup</b>"],
        boards=[costs | {"name": board}],
        expected=expected_of(codec, spoiled),
        command="thimble playground",
    )
    out.write_text(render_page(facts), encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def structured(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(structured_codec(), tmp_path_factory.mktemp("structured") / "index.html")


@pytest.fixture(scope="module")
def plain(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(plain_codec(), tmp_path_factory.mktemp("plain") / "index.html")


@pytest.fixture(scope="module")
def shipped() -> Path:
    """The page of the shipped model."""
    path = os.environ.get("THIMBLE_PLAYGROUND")
    if not path:
        pytest.skip("THIMBLE_PLAYGROUND names no page: nox -s playground_tests makes one")
    return Path(path).resolve()


@contextmanager
def opened(browser: Any, path: Path, size: dict[str, int] = DESK, scheme: str = "light") -> Iterator[Any]:
    """A page that is ready to answer."""
    with opened_page(browser, path, size, scheme) as page:
        ready(page)
        yield page


def ready(page: Any) -> None:
    page.wait_for_selector("html[data-state=ready]", timeout=60_000)


def ask(page: Any, sentence: str) -> str:
    """Types a sentence, by the keyboard alone; what a screen reader is told."""
    page.focus("#sentence")
    page.keyboard.press("Control+A")
    page.keyboard.type(sentence)
    page.keyboard.press("Control+Enter" if page.locator("textarea").count() else "Enter")
    page.wait_for_function("document.getElementById('status').textContent !== ''", timeout=60_000)
    ready(page)
    return str(page.inner_text("#status"))


def compare(page: Any) -> str:
    page.click("#prove")
    page.wait_for_function("document.getElementById('proof-state').textContent !== ''", timeout=120_000)
    return str(page.inner_text("#proof-state"))


def unlabelled(page: Any) -> list[str]:
    """Controls that a screen reader has no name for."""
    return list(page.evaluate(_UNLABELLED))


def test_a_sentence_is_answered_as_action_tokens_and_json(browser: Any, structured: Path) -> None:
    with opened(browser, structured) as page:
        said = ask(page, "turn on the lamp")
        record = json.loads(page.text_content("#json"))
        assert record["sentence"] == "turn on the lamp"
        assert said in (f"It understood: {record['text']}", f"Nothing is done. {page.text_content('#why')}")
        assert page.inner_text("#marked mark").split() == ["lamp", "light"]
        answer = page.locator("#answer-tokens .token")
        assert page.locator("#prompt-tokens .token").count() >= 6 and answer.count() >= 2
        assert answer.first.get_attribute("aria-pressed") == "true"
        answer.last.focus()
        page.keyboard.press("Enter")
        assert answer.last.get_attribute("aria-pressed") == "true"
        assert page.locator("#choices .taken").count() == 1
        assert unlabelled(page) == []


def test_costs_are_those_of_the_boards_steps(browser: Any, structured: Path) -> None:
    with opened(browser, structured) as page:
        ask(page, "turn on the lamp")
        fed, made = (page.locator(f"#{part}-tokens .token").count() for part in ("prompt", "answer"))
        cells = [cell.replace(",", "") for cell in page.locator("#cost-rows td").all_inner_texts()]
        facts = json.loads(page.text_content("#data"))["boards"][0]
        steps = [*facts["steps"], *(facts["line"][0] + facts["line"][1] * at for at in range(20, 99))]
        answer = sum(steps[fed : fed + made - 1])
        assert [int(cell) for cell in cells[:3]] == [
            round(fed * facts["promptToken"]),
            round(answer),
            round(fed * facts["promptToken"] + answer),
        ]
        assert page.inner_text("#memory").count("KB of") == 2


def test_the_boards_bytes_are_compared(browser: Any, structured: Path, tmp_path: Path) -> None:
    with opened(browser, structured) as page:
        assert compare(page).startswith("All ")
    with opened(browser, page_of(structured_codec(), tmp_path / "index.html", spoiled=True)) as page:
        assert "differs" in compare(page) and "00000000" in compare(page)


def test_a_name_is_added_changed_and_removed(browser: Any, structured: Path) -> None:
    with opened(browser, structured) as page:
        ask(page, "turn on the kugel")
        assert page.locator("#marked mark").count() == 0
        page.fill("#new-text", "Kugel")
        page.fill("#new-value", "Ball")
        page.keyboard.press("Enter")
        page.wait_for_selector("#marked mark")
        assert page.inner_text("#marked mark").split("\n")[-1].endswith("light = Ball")
        page.click("#home summary")
        page.locator("#names .name input").first.fill("Laterne")
        page.wait_for_selector("#marked mark", state="detached")
        ready(page)
        ask(page, "turn on the laterne")
        assert page.locator("#marked mark").count() == 1
        assert unlabelled(page) == []
        page.locator("#names .remove").first.click()
        page.wait_for_selector("#marked mark", state="detached")
        page.click("#home-reset")
        assert page.locator("#names .name").count() == len(NAMES)


def test_a_text_goes_on_as_its_sliders_say(browser: Any, plain: Path) -> None:
    with opened(browser, plain) as page:
        page.fill("#max-new", "12")
        greedy = ask(page, "turn")
        assert greedy == ask(page, "turn")
        page.focus("#temperature")
        page.keyboard.press("End")
        assert page.inner_text("output[for=temperature]") == "2"
        drawn = ask(page, "turn")
        assert drawn == ask(page, "turn") != greedy
        page.fill("#seed", "7")
        assert ask(page, "turn") != drawn
        assert page.locator("#answer-tokens .token").count() <= 12
        assert unlabelled(page) == [] and compare(page).startswith("All ")


def test_a_text_follows_its_grammar(browser: Any, tmp_path: Path) -> None:
    codec = bound_codec()
    assert codec.grammar is not None
    with opened(browser, page_of(codec, tmp_path / "index.html")) as page:
        assert "light.gbnf" in page.inner_text("header")
        greedy = ask(page, "turn").removeprefix("It wrote: ")
        assert codec.grammar.reads(greedy.encode())
        assert "only choice" in page.inner_text("#answer-tokens")
        assert compare(page).startswith("All ")
        page.fill("#seed", "4")
        page.focus("#temperature")
        page.keyboard.press("End")
        assert codec.grammar.reads(ask(page, "turn").removeprefix("It wrote: ").encode())
        assert compare(page).startswith("All ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["structured", "plain"])
def test_a_phone_shows_all_of_it(browser: Any, kind: str, scheme: str, structured: Path, plain: Path) -> None:
    with opened(browser, {"structured": structured, "plain": plain}[kind], PHONE, scheme) as page:
        ask(page, "turn on the lamp and the big one for two and a half hours")
        if kind == "structured":
            page.click("#home summary")
        assert sideways(page) == [] and barriers(page) == []
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(","))) > 384) == (scheme == "light")


def test_what_is_written_on_it_is_no_markup(browser: Any, structured: Path) -> None:
    with opened(browser, structured) as page:
        assert page.inner_text("h1") == "stand <in>"
        page.get_by_role("button", name="</script><b>no markup</b>").click()
        page.wait_for_function("document.getElementById('status').textContent !== ''")
        assert page.locator("#result b:not(.bar b)").count() == 0
        assert page.text_content("#marked") == "</script><b>no markup</b>"


def test_the_shipped_model_answers_the_demo_and_refuses_talk(browser: Any, shipped: Path) -> None:
    assert shipped.stat().st_size < 2_000_000
    with opened(browser, shipped) as page:
        said = {}
        for example in page.locator("#examples button").all_inner_texts():
            said[example] = ask(page, example)
        assert len(said) >= 5 and all(text.startswith("It understood: ") for text in said.values()), said
        assert ask(page, "turn off the kitchen lights") == "It understood: HassTurnOff area=Kitchen domain=light"
        for talk in ("my sister plays the violin", "do not turn off the kitchen lights", "pizza with extra cheese"):
            assert ask(page, talk).startswith("Nothing is done."), talk
        assert "too many words" in ask(page, "kitchen and " * 40) or "longer" in page.inner_text("#status")
        assert page.is_hidden("#detail")
        ask(page, "turn off the kitchen lights")
        page.wait_for_selector("#attention rect:not(.ground)")
        assert compare(page).startswith("All ")
        page.fill("#new-text", "Conservatory")
        page.select_option("#new-kind", label="area")
        page.keyboard.press("Enter")
        assert ask(page, "turn off the conservatory lights").endswith("HassTurnOff area=Conservatory domain=light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_shipped_models_page_fits_a_phone(browser: Any, shipped: Path, scheme: str) -> None:
    with opened(browser, shipped, PHONE, scheme) as page:
        ask(page, "set the bedroom brightness to 40 percent")
        assert sideways(page) == []
