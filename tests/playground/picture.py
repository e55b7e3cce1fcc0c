"""The README's picture: the playground of the shipped model with a sentence that it understood, in headless Chromium.

    python -m tests.playground.picture [PAGE] [PICTURE]

`nox -s playground_picture` makes the page first.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.support.browser import chromium, opened

__all__ = ["MAX_BYTES", "PICTURE", "SENTENCE", "SIZE", "take_picture"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "build" / "home-en-small" / "playground" / "index.html"
PICTURE = ROOT / "docs" / "images" / "playground.png"
SENTENCE = "set the lights in the office to blue"
SIZE = {"width": 1200, "height": 1000}
MAX_BYTES = 200_000


def take_picture(browser: Any, page: Path, picture: Path) -> str:
    """Asks the sentence, and writes what is seen without scrolling, light.

    Args:
        browser: see `tests.support.browser.chromium`.
        page: of the playground.
        picture: where the PNG goes.

    Returns:
        What a screen reader is told of the answer.
    """
    with opened(browser, page, SIZE) as shown:
        shown.wait_for_selector("html[data-state=ready]")
        shown.fill("#sentence", SENTENCE)
        shown.keyboard.press("Enter")
        shown.wait_for_function("document.getElementById('status').textContent")
        shown.wait_for_selector("html[data-state=ready]")
        shown.evaluate("document.activeElement.blur()")
        said = str(shown.inner_text("#status"))
        picture.parent.mkdir(parents=True, exist_ok=True)
        shown.screenshot(path=picture)
    return said


def main(page: str = str(PAGE), picture: str = str(PICTURE)) -> None:
    """Takes the picture, and refuses one that does not show an answer, or is large."""
    with chromium() as browser:
        said = take_picture(browser, Path(page).resolve(), Path(picture))
    size = Path(picture).stat().st_size
    if not said.startswith("It understood: ") or size > MAX_BYTES:
        raise SystemExit(f"{picture}: {size:,} bytes; {said}")
    print(f"{picture}: {size:,} bytes; {said}")


if __name__ == "__main__":
    main(*sys.argv[1:])
