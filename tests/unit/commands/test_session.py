"""What `generate` refuses, shows and ends with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.commands import session
from pipeline.commands.session import CUT_OFF, SessionOptions, generate_text
from pipeline.device.chat import TickScale
from pipeline.device.protocol import Answer
from pipeline.errors import ThimbleError


@dataclass
class Board:
    """A board that answers with one token; how its answers end, and what it was asked."""

    template: SimpleNamespace
    asked: list[str]

    def generate(self, prompt: str, end: str, is_open_ended: bool = False, **options: Any) -> int:
        self.template.end, self.template.is_open_ended = end, is_open_ended
        nothing: Any = None
        return generate_text(nothing, nothing, SessionOptions(**options), prompt)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    prompts: list[str] = []
    template = SimpleNamespace(is_open_ended=False, bos=1, end="eos")
    tokenizer = SimpleNamespace(template=template, decode=lambda ids, after=None: "on")

    def prompt(text: str, max_new: int, take: Any) -> Answer:
        prompts.append(text)
        take(5)
        return Answer((), (), (), 1, template.end, "on")

    @contextmanager
    def opened(*_: object) -> Iterator[tuple[Any, TickScale, str]]:
        yield SimpleNamespace(prompt=prompt), TickScale.real(1000), "board"

    monkeypatch.setattr(session, "_opened", opened)
    monkeypatch.setattr(session, "_codec", lambda *_: SimpleNamespace(tokenizer=tokenizer))
    monkeypatch.setattr(session, "_max_new_tokens", lambda *_: 8)
    return Board(template, prompts)


@pytest.mark.parametrize(
    ("end", "is_open_ended", "max_tokens", "status"),
    [
        ("eos", False, None, 0),
        ("context", False, None, CUT_OFF),
        ("length", False, 4, CUT_OFF),
        ("stopped", False, None, CUT_OFF),
        ("length", True, 4, 0),
        ("context", True, 4, CUT_OFF),
    ],
)
def test_an_answer_that_was_cut_off_has_a_status_of_its_own(
    board: Board, end: str, is_open_ended: bool, max_tokens: int | None, status: int
) -> None:
    assert board.generate("lights on", end, is_open_ended, max_tokens=max_tokens) == status


def test_a_text_of_nothing_is_said_to_be_empty(board: Board) -> None:
    for prompt in ("", "  ", "\x1b[A"):
        with pytest.raises(ThimbleError, match="the text is empty"):
            board.generate(prompt, "eos")
    assert board.generate("", "eos", is_open_ended=True) == 0
    assert board.asked == [""]


def test_quiet_shows_the_text_alone(board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    assert board.generate("lights\x1b[D on", "eos", is_quiet=True) == 0
    assert board.asked == ["lights on"] and capsys.readouterr() == ("on\n", "")
