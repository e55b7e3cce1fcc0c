"""The style of all pages, without a browser: no letter below 12 pixels, two colour schemes that can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.pages.templates import SHARED_STYLE

PACKAGE = SHARED_STYLE.parent.parent
SHEETS = sorted(PACKAGE.glob("*/*.css"))
_ROOT_FONT = 16
_PIXELS = {"px": 1, "rem": _ROOT_FONT, "em": _ROOT_FONT}
READ = [(ink, ground) for ink in ("ink", "soft", "accent", "good", "bad") for ground in ("paper", "card")]


def font_sizes(style: str) -> list[float]:
    """Every font size of a style sheet, in pixels."""
    sizes = re.findall(r"font(?:-size)?\s*:[^;}]*?([\d.]+)(px|rem|em)\b", style)
    assert len(sizes) == len(re.findall(r"font(?:-size)?\s*:(?!\s*inherit)", style)), "a size in another unit"
    return [float(number) * _PIXELS[unit] for number, unit in sizes]


def schemes(style: str) -> list[dict[str, str]]:
    """The colours of the light and of the dark scheme, by name."""
    blocks = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in blocks]


def luminance(colour: str) -> float:
    """As WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: path.parent.name)
def test_no_letter_is_below_twelve_pixels(sheet: Path) -> None:
    assert min(font_sizes(sheet.read_text(encoding="utf-8"))) >= 12


def test_all_pages_have_a_sheet() -> None:
    assert {sheet.parent.name for sheet in SHEETS} == {"pages", "playground", "report"}


def test_the_dark_scheme_has_every_colour_of_the_light_one() -> None:
    light, dark = schemes(SHARED_STYLE.read_text(encoding="utf-8"))
    assert light.keys() == dark.keys() and len(light) > 10


@pytest.mark.parametrize(("ink", "ground"), READ)
def test_text_stands_out_from_its_ground(ink: str, ground: str) -> None:
    for scheme in schemes(SHARED_STYLE.read_text(encoding="utf-8")):
        darker, lighter = sorted((luminance(scheme[ink]), luminance(scheme[ground])))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_a_token_can_be_read_however_much_the_model_looked_at_it() -> None:
    style = SHARED_STYLE.read_text(encoding="utf-8")
    heats = [[int(part) for part in heat.split(",")] for heat in re.findall(r"--heat: ([\d, ]+)", style)]
    token = (PACKAGE / "playground" / "page.css").read_text(encoding="utf-8")
    (share,) = {float(part) for part in re.findall(r"calc\(([\d.]+) \* var\(--looked-share", token)}
    for scheme, heat in zip(schemes(style), heats, strict=True):
        card = [int(scheme["card"][at : at + 2], 16) for at in (1, 3, 5)]
        ground = "#" + "".join(f"{round(share * h + (1 - share) * c):02x}" for h, c in zip(heat, card, strict=True))
        darker, lighter = sorted((luminance(scheme["ink"]), luminance(ground)))
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: path.parent.name)
def test_colours_are_named_once(sheet: Path) -> None:
    style = re.sub(r":root \{.*?\}", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.search(r"#[0-9a-f]{3,8}\b(?!\S*\s*\{)", style), "a colour beside the schemes'"
    known = schemes(SHARED_STYLE.read_text(encoding="utf-8"))[0].keys() | {"heat"}
    used = set(re.findall(r"var\(--([\w-]+)", style))
    local = set(re.findall(r"--([\w-]+):", style)) | {"value", "threshold", "part", "rows", "looked"}
    assert used <= known | local
