"""Which answers need the room where they are said: what Home Assistant's templates say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.tasks.answer_schema import make_schema
from pipeline.tasks.home_assistant.templates import load_language
from pipeline.tasks.samples import IntentSchema, SlotSchema
from pipeline.tasks.text_path import KnownNames
from pipeline.text.annotation import Entry
from pipeline.text.answers import AnswerSchema
from pipeline.text.codec import StructuredCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer


@pytest.fixture(scope="module")
def codec() -> StructuredCodec:
    language = load_language("en")
    slots = {
        "area": SlotSchema(kinds=frozenset({"area"})),
        "domain": SlotSchema(values=("light",)),
        "name": SlotSchema(kinds=frozenset({"light"})),
    }
    intents = {
        name: IntentSchema(slots, room=language.room_of(name))
        for name in ("HassTurnOff", "HassMediaPause", "HassStartTimer")
    }
    entries = (Entry("lamp", "light", "Lamp"), Entry("kitchen", "area", "Kitchen"))
    schema = make_schema(intents, ("area", "light"), 3, here=language.here_phrases())
    names = KnownNames("en", entries, ("in", "here", "this", "room", "the"))
    return StructuredCodec(Tokenizer.train(["turn off"] * 3, 280), schema, names.annotator())


@pytest.mark.parametrize(
    ("sentence", "intent", "slots", "context"),
    [
        ("turn the light off in here", "HassTurnOff", {"domain": "light"}, ("area",)),
        ("Lights off in THIS room, please", "HassTurnOff", {"domain": "light"}, ("area",)),
        ("turn off all the lights", "HassTurnOff", {"domain": "light"}, ()),
        ("turn the lamp off in here", "HassTurnOff", {"name": "Lamp"}, ()),
        ("kitchen lights off here", "HassTurnOff", {"area": "Kitchen", "domain": "light"}, ()),
        ("turn off the lights elsewhere", "HassTurnOff", {"domain": "light"}, ()),
        ("pause the music", "HassMediaPause", {}, ("area",)),
        ("pause the music in the kitchen", "HassMediaPause", {"area": "Kitchen"}, ()),
        ("start a timer in here", "HassStartTimer", {}, ()),
        ("do nothing in here", "NoMatch", {}, ()),
    ],
)
def test_an_answer_says_that_it_needs_the_room(
    codec: StructuredCodec, sentence: str, intent: str, slots: Mapping[str, str], context: tuple[str, ...]
) -> None:
    prompt = codec.prompt(sentence)
    answer = prompt.answer(prompt.encode(intent, slots, codec.annotator.words))
    assert (answer.intent, dict(answer.slots), answer.context) == (intent, slots, context)


def test_below_the_threshold_nothing_needs_a_room(codec: StructuredCodec) -> None:
    careful = StructuredCodec(codec.tokenizer, replace(codec.schema, threshold=65536), codec.annotator)
    prompt = careful.prompt("pause the music")
    assert prompt.answer(prompt.encode("HassMediaPause", {}, codec.annotator.words), 65535).context == ()


def test_it_is_kept_in_the_file(codec: StructuredCodec, tmp_path: Path) -> None:
    schema = replace(codec.schema, asks=True)
    schema.save(tmp_path / "answers.json")
    assert AnswerSchema.load(tmp_path / "answers.json") == schema


@pytest.mark.parametrize(("code", "phrase"), [("en", "in this room"), ("de", "hier"), ("it", "qui"), ("pl", "tutaj")])
def test_languages_say_here(code: str, phrase: str) -> None:
    assert phrase in [text.lower() for text in load_language(code).here_phrases()]
