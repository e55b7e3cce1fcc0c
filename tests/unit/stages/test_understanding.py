"""Sentences in, what they ask for out."""

from __future__ import annotations

import pytest

from pipeline.errors import ThimbleError
from pipeline.stages.understanding import read_sentences
from pipeline.verification.reply import Reply, parse_reply


def test_lines_are_text_or_json() -> None:
    lines = ['{"sentence": "Küche an", "accepted": []}\n', "\n", "  plain text \n"]
    assert list(read_sentences(line.encode() for line in lines)) == ["Küche an", "plain text"]


@pytest.mark.parametrize("line", [b'{"text": "x"}', b'{"sentence": ', b"\xff"])
def test_other_lines_are_refused_with_their_number(line: bytes) -> None:
    with pytest.raises(ThimbleError, match="line 2 of the sentences"):
        list(read_sentences([b"turn on\n", line]))


@pytest.mark.parametrize(
    ("text", "slots", "intent", "expected"),
    [
        ("TurnOn area=Living Room name=a=b", ("area", "name"), "TurnOn", {"area": "Living Room", "name": "a=b"}),
        ("Play title=x=1 y", ("title",), "Play", {"title": "x=1 y"}),
        ("HassTurnOn area=living room", None, "HassTurnOn", {"area": "living room"}),
        ("HassGetState", None, "HassGetState", {}),
        ("once upon a time", None, "NoMatch", {}),
        ("", None, "NoMatch", {}),
    ],
)
def test_the_intent_and_slots_of_a_text(
    text: str, slots: tuple[str, ...] | None, intent: str, expected: dict[str, str]
) -> None:
    answer = parse_reply(Reply(text), slots)
    assert (answer.intent, answer.slots) == (intent, expected)
