"""The README begins with a picture of the playground, which is small and can be made again."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import pytest

from tests.playground.picture import MAX_BYTES, PICTURE, ROOT, SENTENCE, SIZE, take_picture
from tests.support.browser import chromium


def size_of(picture: Path) -> dict[str, int]:
    """As the head of the PNG says it."""
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return dict(zip(("width", "height"), struct.unpack(">II", head[16:24]), strict=True))


def test_the_readme_is_short_and_begins_with_it() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    places = [path for line in lines[:4] for path in re.findall(r"!\[[^\]]{20,}\]\((.*?)\)", line)]
    assert [ROOT / place for place in places] == [PICTURE]
    assert PICTURE.stat().st_size <= MAX_BYTES and size_of(PICTURE) == SIZE


def test_it_is_made_of_the_shipped_models_page(tmp_path: Path) -> None:
    page = os.environ.get("THIMBLE_PLAYGROUND")
    if not page:
        pytest.skip("THIMBLE_PLAYGROUND names no page: nox -s playground_tests makes one")
    picture = tmp_path / "playground.png"
    with chromium() as browser:
        said = take_picture(browser, Path(page).resolve(), picture)
    assert said.startswith("It understood: ") and "blue" in SENTENCE and "blue" in said
    assert size_of(picture) == SIZE and picture.stat().st_size <= MAX_BYTES
