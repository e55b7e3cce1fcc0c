"""The JSON that a board answers, and what a chat says of an answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pipeline.device.chat import TickScale, statistics
from pipeline.device.protocol import Answer, Prefill, Step
from pipeline.device.understanding import Slot, Understanding, parse_understanding
from pipeline.errors import DeviceError

ANSWER: dict[str, Any] = {
    "intent": "HassLightSet",
    "slots": [
        {"name": "area", "type": "name", "value": "Büro", "entry": 53, "layer": 1, "from": 4, "to": 9},
        {"name": "brightness", "type": "percent", "value": "21.5", "number": 21.5, "from": 10, "to": 15},
        {"name": "domain", "type": "choice", "value": "light", "entry": 41},
        {"name": "time", "type": "time", "value": "08:15", "seconds": 29700, "from": 0, "to": 2},
    ],
    "reason": "",
    "confidence": 32768,
    "tokens_in": 8,
    "tokens_out": 6,
    "ticks": 30193,
}


def test_an_answer_is_read() -> None:
    understood = parse_understanding(json.dumps(ANSWER))
    assert understood == Understanding(
        "HassLightSet",
        (
            Slot("area", "name", "Büro", entry=53, layer=1, span=(4, 9)),
            Slot("brightness", "percent", "21.5", number=21.5, span=(10, 15)),
            Slot("domain", "choice", "light", entry=41),
            Slot("time", "time", "08:15", seconds=29700, span=(0, 2)),
        ),
        "",
        0.5,
        8,
        6,
        30193,
    )
    assert understood.values == {"area": "Büro", "brightness": "21.5", "domain": "light", "time": "08:15"}
    written = json.loads(understood.as_json())
    assert written["slots"][2] == {"name": "domain", "type": "choice", "value": "light", "entry": 41}
    assert "Büro" in understood.as_json()


def test_two_answers_to_choose_from_are_read() -> None:
    choices = [{key: ANSWER[key] for key in ("intent", "slots", "confidence")}, {"intent": "NoMatch", "slots": []}]
    choices[1]["confidence"] = 16384
    answer = {**ANSWER, "intent": "NoMatch", "slots": [], "reason": "low-confidence", "choices": choices}
    understood = parse_understanding(json.dumps(answer))
    best, second = understood.choices
    assert best.text == "HassLightSet area=Büro brightness=21.5 domain=light time=08:15"
    assert (second.text, second.confidence) == ("NoMatch", 0.25)
    written = json.loads(understood.as_json())["choices"]
    assert written[0]["slots"][2] == {"name": "domain", "type": "choice", "value": "light", "entry": 41}
    assert "choices" not in json.loads(parse_understanding(json.dumps(ANSWER)).as_json())
    with pytest.raises(DeviceError):
        parse_understanding(json.dumps({**answer, "choices": [{"intent": "NoMatch"}]}))


@pytest.mark.parametrize(
    "changed",
    [
        "",
        "{",
        "[]",
        "null",
        json.dumps({**ANSWER, "intent": 3}),
        json.dumps({**ANSWER, "slots": [{"name": "area"}]}),
        json.dumps({**ANSWER, "slots": [{**ANSWER["slots"][0], "type": "thing"}]}),
        json.dumps({**ANSWER, "slots": [{**ANSWER["slots"][0], "entry": "x"}]}),
        json.dumps({**ANSWER, "confidence": None}),
        json.dumps({key: value for key, value in ANSWER.items() if key != "ticks"}),
    ],
)
def test_what_is_no_answer_is_refused(changed: str) -> None:
    with pytest.raises(DeviceError) as refused:
        parse_understanding(changed)
    assert refused.value.code == "protocol"


def test_a_chat_says_how_many_tokens_were_certain() -> None:
    steps = (Step(8, 5, 7, 100, 6), Step(9, 6, 0, 0, 7), Step(10, 7, 9, 150, 8), Step(11, 8, 0, 0, 3))
    answer = Answer(steps, (), (5, 6, 7, 8, 3), 900, "eos", "TurnOn", Prefill(8, 1, 500, 5), 65536)
    scale = TickScale(40, "instructions", 0.001)
    assert statistics(answer, scale) == "8 tokens in, 5 out, 2 of them certain; 30,000 instructions, about 30.0 ms"
    whole = replace(answer, steps=(Step(8, 5, 7, 100, 3),), tokens_out=(5, 3), end="length")
    assert statistics(whole, replace(scale, measured=True)) == (
        "8 tokens in, 2 out, cut off by the length; 24,000 instructions, 24.0 ms"
    )
