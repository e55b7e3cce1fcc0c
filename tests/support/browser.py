"""Pages in the system's Chromium, headless: opened without a network, looked at as a phone shows them, and searched for
what keeps people out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

__all__ = ["DESK", "PHONE", "barriers", "chromium", "opened", "sideways"]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1200, "height": 900}

# A letter's size is that of its style, times the scale of the drawing that it is in.
_SIDEWAYS = """() => {
  document.querySelectorAll("details").forEach((part) => (part.open = true));
  const size = (element) => parseFloat(getComputedStyle(element).fontSize) * (element.getScreenCTM?.().a ?? 1);
  const shows = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const wide = document.documentElement.scrollWidth > innerWidth ? ["the page"] : [];
  return wide.concat([...document.querySelectorAll("body *")]
    .filter((element) => element.getClientRects().length && getComputedStyle(element).clipPath === "none")
    .filter((element) => (!element.closest(".scroll > *") && element.getBoundingClientRect().right > innerWidth + 0.5)
      || (shows(element) && element.tagName !== "title" && size(element) < 11.99))
    .map((element) => element.outerHTML.slice(0, 80)));
}"""


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; what asks for it is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Any,
    path: Path,
    size: dict[str, int] = DESK,
    scheme: str = "light",
    also: tuple[Path, ...] = (),
    site: Path | None = None,
    prepare: Callable[[Any], None] | None = None,
) -> Iterator[Any]:
    """A page without a network; at the end nothing may have been complained of or asked for.

    Args:
        browser: see `chromium`.
        path: of the page.
        size: of the window, in pixels.
        scheme: `light` or `dark`.
        also: other pages that may be opened from it.
        site: a folder, all files of which may be.
        prepare: is given the page before it is opened.
    """
    context = browser.new_context(viewport=size, color_scheme=scheme, offline=True)
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    if prepare is not None:
        prepare(page)
    page.goto(path.as_uri())
    yield page
    context.close()
    assert complaints == []
    asked = {url.partition("?")[0].partition("#")[0] for url in requests if not url.startswith("data:")}
    known = {one.as_uri() for one in (path, *also)}
    assert {url for url in asked - known if site is None or not url.startswith(f"{site.as_uri()}/")} == set()


def sideways(page: Any) -> list[str]:
    """What reaches out of the page's width, and letters of less than 12 pixels."""
    return list(page.evaluate(_SIDEWAYS))


def barriers(page: Any) -> list[str]:
    """What axe-core finds that keeps people out who hear a page, use a keyboard, or see little: rule and place."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra `browser` is not installed")
    page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]  # files may not be asked for
    return [f"{rule['id']}: {node['html'][:80]}" for rule in found for node in rule["nodes"]]
