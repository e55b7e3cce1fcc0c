"""The form `micropython`: the unix port of a clone that MICROPYTHON_DIR names, built with the module."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pipeline.exports.export import write_export
from pipeline.exports.library import Library
from pipeline.exports.registry import load_form
from tests.exports.programs import require, run
from tests.support.tiny_library import STORIES

FORM = load_form("micropython")
SCRIPT = """\
import thimble

lights, text = thimble.Model("tiny-lights"), thimble.Model("tiny.text", 64)
for _ in range(20):
    thimble.Model("tiny.text")  # garbage
    print(lights.ask("turn on the desk lamp"))
    print(text.ask("the end"))
intent, slots, percent = lights.understand("turn on the desk lamp")
print(intent, len(slots), slots["domain"], slots["name"], 0 < percent <= 100)
print(lights.understand("☃")[0])
text.begin("once upon a time")
pieces = []
while True:
    piece = text.step()
    if piece is None:
        break
    pieces.append(piece)
print(str(b"".join(pieces), "utf-8"))
text.begin("the end")
text.cancel()
print(text.step(), text.step())


def says(call, *arguments):
    try:
        call(*arguments)
    except ValueError as error:
        print(error)


says(text.ask, "a" * 65)
says(text.understand, "the end")
says(lights.ask, b"\\xff")
says(thimble.Model, "nobody")
print(thimble.__version__)
"""


def test_every_source_is_in_both_lists(library: Library, out: Path) -> None:
    write_export(library, FORM, out)
    folder = out / "modules" / library.identifier
    sources = {path.name for path in (folder / "src").glob("*.c")}
    for name in ("micropython.mk", "micropython.cmake"):
        assert set(re.findall(r"/src/(\w+\.c)\b", (folder / name).read_text())) == sources, name


@pytest.mark.exports
def test_scripts_ask_the_models(both: Library, out: Path, tmp_path: Path) -> None:
    tree = os.environ.get("MICROPYTHON_DIR")
    if not tree:
        pytest.skip("MICROPYTHON_DIR names no clone of MicroPython")
    (make,) = require("make")
    write_export(both, FORM, out)
    settings = ("VARIANT=minimal", f"BUILD={tmp_path / 'built'}", f"USER_C_MODULES={out / 'modules'}")
    run([make, "-s", "-C", f"{tree}/ports/unix", *settings], timeout=550)
    program = tmp_path / "built" / "micropython"
    assert run([program, out / "examples" / "ask.py"]).splitlines() == [model.answer for model in both.models]
    (tmp_path / "script.py").write_text(SCRIPT)
    answer = both.models[0].answer
    assert run([program, tmp_path / "script.py"]).splitlines() == [
        *[answer, STORIES["the end"]] * 20,
        "HassLightSet 2 light Desk Lamp True",
        "NoMatch",
        STORIES["once upon a time"],
        "b'' None",
        "long-text",
        "the model answers in text",
        "bad-text",
        "no model: nobody",
        "1.2.3",
    ]
