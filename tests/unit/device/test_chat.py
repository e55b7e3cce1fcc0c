"""What a chat sends of a line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.device.chat import TickScale, chat_loop
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
