"""Commands of the pages do what the pages say: all that need no board, no network and no training.

Those that take seconds run with the tests, those that TensorFlow converts a model for with `nox -s variants`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from docs_site.markdown import code_blocks
from pipeline.commands.main import main
from pipeline.resources import ROOT
from tests.support.page_commands import PageCommand, commands_of

QUICK = ("boards", "check", "completion", "doctor", "new", "recommend", "schemas", "tools")
SLOW = ("compile", "export", "firmware", "understand")
SENTENCES = {"sentences.jsonl": '{"sentence": "zwei Espresso, bitte"}\n'}
"""Files that a page has its reader write."""


def words_of(command: PageCommand) -> list[str]:
    """The arguments of a command of ours; nothing of others' and of those with words in capitals."""
    words = list(command.words)
    if words[0] == "thimble":
        words = words[1:]
    elif words[:3] == ["python", "-m", "pipeline"]:
        words = words[3:]
    else:
        return []
    return [] if any(re.fullmatch(r"[A-Z]+", word) or "/dev/" in word for word in words) else words


@cache
def commands_by_page(verbs: tuple[str, ...]) -> dict[str, list[PageCommand]]:
    """The whole commands with these verbs; `tools --install` calls apt, and what a reader trains is not there."""
    found: dict[str, list[PageCommand]] = {}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for command in commands_of(path.read_text(encoding="utf-8")):
            words = words_of(command)
            if not command.is_whole or not words or words[0] not in verbs or "--install" in words:
                continue
            if verbs is SLOW and not words[1].startswith("models/"):
                continue
            found.setdefault(path.relative_to(ROOT).as_posix(), []).append(command)
    return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[PageCommand], int]:
    """Runs a command in a folder of its own, in which the shipped models are as in a clone."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    for name, text in SENTENCES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["thimble"])
    return lambda command: main([word.replace("~", str(tmp_path)) for word in words_of(command)])


def printed_by(page: str, command: PageCommand) -> list[str]:
    """What the page shows behind a command: lines up to the next, but for those left out."""
    blocks = code_blocks((ROOT / page).read_text(encoding="utf-8"))
    block = next(block for block in blocks if 0 <= command.line - block.first_line < len(block.lines))
    lines = []
    for line in block.lines[command.line - block.first_line + 1 :] if block.language == "console" else ():
        if line.startswith("$ "):
            break
        lines.append(line)
    return [line for line in lines if line != "…"]


@pytest.mark.parametrize("page", commands_by_page(QUICK))
def test_quick_commands_do_what_the_page_says(
    page: str, run: Callable[[PageCommand], int], capsys: pytest.CaptureFixture[str]
) -> None:
    for command in commands_by_page(QUICK)[page]:
        status = run(command)
        said = capsys.readouterr()
        assert status == 0 or words_of(command)[0] == "doctor", (str(command), said.err)
        printed = said.out.splitlines()
        for line in printed_by(page, command):
            assert line in printed, (str(command), said.out)


def test_there_are_commands_to_run() -> None:
    assert {"README.md", "docs/exports.md", "docs/serial.md", "docs/sentences.md"} <= set(commands_by_page(SLOW))
    quick = {command.words[1] for command in commands_by_page(QUICK)["docs/own-commands.md"]}
    assert {"new", "check"} <= quick and len(commands_by_page(QUICK)) >= 5


@pytest.mark.variant
@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("page", commands_by_page(SLOW))
def test_slower_commands_do_what_the_page_says(
    page: str, run: Callable[[PageCommand], int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for command in commands_by_page(SLOW)[page]:
        words = words_of(command)
        assert run(command) == 0, (str(command), capsys.readouterr().err)
        if "--out" in words:
            out = tmp_path / words[words.index("--out") + 1].replace("~/", "")
            assert out.is_file() or any(out.iterdir())
            if out.is_dir():
                out.rename(out.with_name(f"{out.name}-{command.line}"))  # each form of the page has the same folder


def test_the_answer_that_a_page_shows_is_json() -> None:
    text = (ROOT / "docs" / "sentences.md").read_text(encoding="utf-8")
    shown = [line for block in code_blocks(text) for line in block.lines if line.startswith('{"sentence": ')]
    assert shown and all({"intent", "slots", "confidence", "text"} <= set(json.loads(line)) for line in shown)
