"""The documentation's site in headless Chromium, opened from the disk: `nox -s playground_tests` makes it and names its
folder in THIMBLE_SITE."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import PHONE, barriers, opened

PAGES = ("index", "own-commands", "engine", "reference/commands", "reference/python", "reference/schemas/recipe")

THE_THEMES = ("empty-table-header", "landmark-unique", "scrollable-region-focusable")
"""What mkdocs-material makes of a table without a head, of each block of code and of a wide table."""


@pytest.fixture(scope="module")
def site() -> Path:
    path = os.environ.get("THIMBLE_SITE")
    if not path:
        pytest.skip("THIMBLE_SITE names no folder: nox -s playground_tests makes one")
    return Path(path).resolve()


def test_its_search_finds_pages_without_a_server(browser: Any, site: Path) -> None:
    with opened(browser, site / "index.html", site=site) as page:
        page.focus(".md-search__input")
        page.keyboard.type("overrun")
        page.wait_for_selector(".md-search-result__item a")
        found = page.locator(".md-search-result__item a").evaluate_all("all => all.map(one => one.href)")
        assert any("/protocol.html" in url for url in found)
        page.locator(".md-search-result__item a").first.click()
        page.wait_for_selector("mark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_pages_follow_the_systems_colours_and_fit_a_phone(browser: Any, site: Path, name: str, scheme: str) -> None:
    with opened(browser, site / f"{name}.html", PHONE, scheme, site=site) as page:
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(","))) > 384) == (scheme == "light")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert len(page.inner_text("article")) > 500
        assert [found for found in barriers(page) if not found.startswith(THE_THEMES)] == []
