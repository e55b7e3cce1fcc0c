"""The report in headless Chromium: on a phone and a desk, light and dark, and its way into the playground."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.playground.test_browser import page_of, ready
from tests.support.browser import DESK, PHONE, barriers, opened, sideways
from tests.support.playground_models import structured_codec
from tests.support.reports import LOOKED_AT, made_report


@pytest.fixture(scope="module")
def report(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("build") / "report" / "index.html"
    path.parent.mkdir()
    path.write_text(made_report(link="../playground/index.html"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def playground(report: Path) -> Path:
    """What the report links to."""
    path = report.parent.parent / "playground" / "index.html"
    path.parent.mkdir()
    return page_of(structured_codec(), path)


@pytest.fixture(scope="module")
def shipped() -> Path:
    """The report beside the shipped model's playground."""
    playground = os.environ.get("THIMBLE_PLAYGROUND")
    if not playground:
        pytest.skip("THIMBLE_PLAYGROUND names no page: nox -s playground_tests makes one")
    return Path(playground).resolve().parent.parent / "report" / "index.html"


def ground(page: Any) -> int:
    """The background's brightness, 0 to 765."""
    return sum(map(int, page.evaluate("getComputedStyle(document.body).backgroundColor")[4:-1].split(",")))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_all_of_it_fits_and_can_be_read(browser: Any, report: Path, size: dict[str, int], scheme: str) -> None:
    with opened(browser, report, size, scheme) as page:
        assert sideways(page) == [] and barriers(page) == []
        assert (ground(page) > 384) == (scheme == "light")


def test_what_does_not_fit_is_noticed(browser: Any, report: Path, tmp_path: Path) -> None:
    for style in ("table { min-width: 30rem; }", "td { font-size: .7rem; }", "svg text { font-size: 11px; }"):
        spoiled = tmp_path / "index.html"
        spoiled.write_text(report.read_text(encoding="utf-8").replace("</style>", f"{style}</style>"), encoding="utf-8")
        with opened(browser, spoiled, PHONE) as page:
            assert sideways(page), style


def test_what_keeps_people_out_is_noticed(browser: Any, report: Path, tmp_path: Path) -> None:
    spoiled = tmp_path / "index.html"
    text = report.read_text(encoding="utf-8")
    for old, new in (("</style>", ".note { color: #999; }</style>"), (' aria-label="Say something to it"', "")):
        assert old in text
        spoiled.write_text(text.replace(old, new).replace("placeholder=", "data-x="), encoding="utf-8")
        with opened(browser, spoiled, PHONE) as page:
            assert barriers(page), new


def test_a_sentence_is_asked_in_the_playground(browser: Any, report: Path, playground: Path) -> None:
    with opened(browser, report, also=(playground,)) as page:
        page.get_by_role("link", name=LOOKED_AT).click()
        page.wait_for_function("document.getElementById('status')?.textContent")
        ready(page)
        assert page.input_value("#sentence") == LOOKED_AT and page.locator("#marked mark").count() == 1


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_what_is_asked_is_answered_within_the_report(
    browser: Any, report: Path, playground: Path, size: dict[str, int]
) -> None:
    with opened(browser, report, size, also=(playground,)) as page:
        height = page.evaluate("document.documentElement.scrollHeight")
        page.get_by_label("Say something to it").fill("turn on the lamp & wait")
        page.keyboard.press("Enter")
        answer = page.frame_locator("#answer")
        answer.locator("html[data-state=ready] #answer-tokens .token").first.wait_for()
        assert answer.locator("#marked").inner_text().startswith("turn on the lamp")
        assert answer.locator(".around:visible, h1:visible").count() == 0 and answer.locator("#action").is_visible()
        frame = page.frames[1]
        frame.wait_for_function("document.documentElement.scrollHeight <= innerHeight + 1")
        assert sideways(page) == [] and sideways(frame) == []
        assert page.evaluate("document.documentElement.scrollHeight") > height + 400
        assert page.url == report.as_uri()


def test_without_scripts_the_playgrounds_own_page_answers(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(report.as_uri())
    page.get_by_label("Say something to it").fill("a & b")
    page.keyboard.press("Enter")
    page.wait_for_url("**/playground/index.html?sentence=a+%26+b")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_shipped_models_report_fits_a_phone(browser: Any, shipped: Path, scheme: str) -> None:
    with opened(browser, shipped, PHONE, scheme) as page:
        assert sideways(page) == []
        assert page.locator("main a[href^='../playground/']").count() > 5
