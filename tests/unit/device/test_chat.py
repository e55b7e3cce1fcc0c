"""What a chat sends of a line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.device.chat import TickScale, chat_loop, plain_text, read_lines
from pipeline.device.protocol import Answer


@pytest.mark.parametrize(
    ("start", "sent"),
    [(None, ["turn on", "x"]), (1, ["  turn on", "", "", "\tx"])],
)
def test_text_that_goes_on_keeps_its_indentation(start: int | None, sent: list[str]) -> None:
    asked: list[str] = []

    def prompt(text: str, max_new: int, on_token: object) -> Answer:
        asked.append(text)
        return Answer((), (), (), 1, "eos", "")

    device: Any = SimpleNamespace(prompt=prompt)
    decoder: Any = SimpleNamespace(decode=lambda ids, after=None: "")
    lines = ["  turn on \n", "", "  ", "\tx"]
    chat_loop(device, TickScale.real(1000), decoder, lines, lambda text: None, 8, start)
    assert asked == sent


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("\x1b[A", ""),
        ("\x1b[1;5Clights on", "lights on"),
        ("\x1bOAlights\x1b[D on", "lights on"),
        ("\x1b]0;a title\x07lights", "lights"),
        ("\x1b]0;a title\x1b\\\\lights".replace("\\\\", "\\"), "lights"),
        ("\x9b31mred\x9b0m", "red"),
        ("lights\x7f\x08\x00 on\x1b", "lights on"),
        ("\tindented", "\tindented"),
        ("größer 21 °C 🙂", "größer 21 °C 🙂"),
    ],
)
def test_no_key_or_control_sequence_is_part_of_what_is_said(typed: str, said: str) -> None:
    assert plain_text(typed) == said


def test_ctrl_c_clears_the_line_of_a_terminal_and_ends_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def typed(lines: list[str | type[BaseException]]) -> Any:
        def line(prompt: str = "") -> str:
            first = lines.pop(0)
            if isinstance(first, str):
                return first
            raise first

        return line

    for interactive, expected in ((True, ["one", "two"]), (False, ["one"])):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda here=interactive: here))
        monkeypatch.setattr("builtins.input", typed(["one", KeyboardInterrupt, "two", EOFError]))
        assert list(read_lines()) == expected
