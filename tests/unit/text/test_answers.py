"""Answer tokens: what a prompt looks like, what may follow, and what an answer says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ThimbleError
from pipeline.tasks.answer_schema import MAX_POSITIONS, make_schema
from pipeline.tasks.samples import IntentSchema, SlotSchema
from pipeline.text.annotation import Annotated, Mark, Word
from pipeline.text.answers import (
    NO_MATCH,
    AnswerSchema,
    StructuredAnswer,
    StructuredPrompt,
    TokenIds,
    parse_answer,
)

BOS, SEP, EOS, FIRST = 1, 2, 3, 300
INTENTS = {
    "TurnOn": IntentSchema(
        {
            "name": SlotSchema(kinds=frozenset({"light", "switch"})),
            "area": SlotSchema(kinds=frozenset({"area"})),
            "domain": SlotSchema(values=("light", "fan")),
        }
    ),
    "StartTimer": IntentSchema(
        {
            "hours": SlotSchema(kinds=frozenset({"number"})),
            "minutes": SlotSchema(kinds=frozenset({"number"})),
            "name": SlotSchema(is_free=True),
        }
    ),
    "Wait": IntentSchema(),
}
SCHEMA = make_schema(INTENTS, ("area", "light", "person", "switch"), pointers=3)
IDS = TokenIds(SCHEMA, FIRST)


def encode_word(word: str) -> Sequence[int]:
    """Two tokens a word of more than four letters, else one."""
    return [10, 11] if len(word) > 4 else [12]


def annotated(text: str, *marks: Mark) -> Annotated:
    words: list[Word] = []
    at = 0
    for word in text.split(" "):
        size = len(word.encode())
        words.append(Word(word.lower(), at, at + size))
        at += size + 1
    return Annotated(text, tuple(words), marks)


def prompt_of(text: str, *marks: Mark) -> StructuredPrompt:
    return StructuredPrompt(annotated(text, *marks), IDS, encode_word, BOS, SEP, EOS)


LAMP = prompt_of("turn on the Desk Lamp in Café", Mark("light", 3, 5, "Desk Lamp"), Mark("area", 6, 7, "Café"))
TIMER = prompt_of(
    "set a Pizza timer for one hour ten minutes",
    Mark("duration", 5, 9, "PT1H10M", (("hours", "1"), ("minutes", "10")), is_quantity=True),
)


def name_of(token: int) -> str:
    return IDS.names[token - FIRST] if token >= FIRST else str(token)


def lower(text: str) -> list[str]:
    return text.lower().split()


def test_a_prompt_has_a_marker_before_names_and_instead_of_quantities() -> None:
    assert [name_of(token) for token in LAMP.tokens] == [
        "1", "12", "12", "12", "<light>", "12", "12", "12", "<area>", "12", "2",
    ]  # fmt: skip
    assert [name_of(token) for token in TIMER.tokens] == [
        "1",
        "12",
        "12",
        "10",
        "11",
        "10",
        "11",
        "12",
        "<duration>",
        "2",
    ]
    assert len(LAMP.word_at) == len(LAMP.tokens)


@pytest.mark.parametrize(
    ("prompt", "intent", "slots", "tokens"),
    [
        (LAMP, "TurnOn", {"name": "Desk Lamp"}, ["TurnOn", "name=", "<1>", "3"]),
        (LAMP, "TurnOn", {"area": "Café", "domain": "light"}, ["TurnOn", "area=", "<2>", "domain=", "light", "3"]),
        (LAMP, "Wait", {}, ["Wait", "3"]),
        (LAMP, NO_MATCH, {}, [NO_MATCH, "3"]),
        (LAMP, NO_MATCH, {"reason": "two-commands"}, [NO_MATCH, "reason=", "two-commands", "3"]),
        (TIMER, "StartTimer", {"hours": "1", "minutes": "10"}, ["StartTimer", "duration=", "<1>", "3"]),
        (
            TIMER,
            "StartTimer",
            {"hours": "1", "minutes": "10", "name": "Pizza"},
            ["StartTimer", "duration=", "<1>", "name=", "<@3>", "<@3>", "3"],
        ),
        (TIMER, "StartTimer", {"name": "a Pizza timer"}, ["StartTimer", "name=", "<@2>", "<@5>", "3"]),
    ],
)
def test_an_answer_there_and_back(
    prompt: StructuredPrompt, intent: str, slots: dict[str, str], tokens: list[str]
) -> None:
    ids = prompt.encode(intent, slots, lower)
    assert [name_of(token) for token in ids] == tokens
    for index, token in enumerate(ids):
        assert token in prompt.allowed(ids[:index])
    answer = prompt.answer(ids)
    assert (answer.intent, answer.slots) == (intent, slots)
    assert parse_answer(answer.text, SCHEMA.slots).slots == slots


def test_free_text_comes_out_as_it_was_said() -> None:
    prompt = prompt_of("Start Ångström Pizzä now", Mark("number", 3, 4, "4", is_quantity=True))
    ids = prompt.encode("StartTimer", {"name": "ÅNGSTRÖM pizzä NOW"}, lower)
    assert prompt.answer(ids).slots == {"name": "Ångström Pizzä now"}


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({"name": "Café"}, "name=Café is neither"),
        ({"domain": "lock"}, "domain=lock is neither"),
        ({"hours": "1"}, "TurnOn has no slot hours"),
    ],
)
def test_what_answer_tokens_cannot_say(slots: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LAMP.encode("TurnOn", slots, lower)


def test_a_pointer_stands_only_where_its_kind_is_allowed() -> None:
    turn_on = IDS.intent + SCHEMA.intents.index("TurnOn")
    slot = IDS.slot + SCHEMA.slots.index("name")
    assert [name_of(token) for token in LAMP.allowed([turn_on, slot])] == ["<1>"]
    person = prompt_of("call Anna", Mark("person", 1, 2, "Anna"))
    assert slot not in person.allowed([turn_on])


@given(st.data())
def test_every_answer_that_is_allowed_can_be_read(data: st.DataObject) -> None:
    prompt = data.draw(st.sampled_from([LAMP, TIMER, prompt_of("hello")]))
    answer: list[int] = []
    while not answer or answer[-1] != EOS:
        allowed = prompt.allowed(answer)
        assert allowed == sorted(set(allowed))
        answer.append(data.draw(st.sampled_from(allowed)))
        assert len(answer) < 30
    said = prompt.answer(answer)
    assert said.intent in SCHEMA.intents
    if said.intent != NO_MATCH:
        assert set(said.slots) <= set(INTENTS[said.intent].slots)
    assert parse_answer(said.text, SCHEMA.slots).text == said.text


def test_a_slot_may_hold_a_part_of_a_duration_or_of_a_time() -> None:
    slots = {
        "n": SlotSchema(kinds=frozenset({"duration", "number"}), part="minutes"),
        "h": SlotSchema(kinds=frozenset({"time"}), part="hours"),
        "m": SlotSchema(kinds=frozenset({"time"}), part="minutes"),
    }
    ids = TokenIds(make_schema({"Wait": IntentSchema(slots)}, (), pointers=3), FIRST)
    marks = (
        Mark("duration", 1, 3, "PT1H10M", (("hours", "1"), ("minutes", "10")), is_quantity=True),
        Mark("time", 4, 5, "07:05", is_quantity=True),
    )
    prompt = StructuredPrompt(annotated("wait 70 minutes at 7:05", *marks), ids, encode_word, BOS, SEP, EOS)
    said = {"n": "10", "h": "7", "m": "5"}
    assert prompt.answer(prompt.encode("Wait", said, lower)).slots == said
    plain = annotated("wait 10", Mark("number", 1, 2, "10", is_quantity=True))
    prompt = StructuredPrompt(plain, ids, encode_word, BOS, SEP, EOS)
    assert prompt.answer(prompt.encode("Wait", {"n": "10"}, lower)).slots == {"n": "10"}


def test_more_names_than_pointers() -> None:
    marks = [Mark("light", index, index + 1, str(index)) for index in range(4)]
    prompt = prompt_of("a b c d", *marks)
    assert prompt.has_too_many_names and not LAMP.has_too_many_names


def test_an_answer_below_the_threshold_does_nothing() -> None:
    schema = make_schema(INTENTS, ("light",), pointers=3, threshold=0.5)
    ids = TokenIds(schema, FIRST)
    prompt = StructuredPrompt(annotated("wait"), ids, encode_word, BOS, SEP, EOS)
    wait = prompt.encode("Wait", {}, lower)
    assert prompt.answer(wait, 40_000).intent == "Wait"
    assert prompt.answer(wait, 30_000) == StructuredAnswer(NO_MATCH, {}, 30_000 / 65536, "low-confidence")


def test_an_answer_that_was_cut_off_does_nothing() -> None:
    whole = LAMP.encode("Wait", {}, lower)
    assert LAMP.answer(whole).intent == "Wait"
    for length in range(len(whole)):
        assert LAMP.answer(whole[:length]) == StructuredAnswer(NO_MATCH, {}, 1.0, "unfinished")


def test_sentences_of_which_the_model_is_not_asked() -> None:
    assert LAMP.refusal(len(LAMP.tokens)) == "" and LAMP.refusal(len(LAMP.tokens) - 1) == "too-long"
    for text, reason in (("a " * 64 + "a", "too-many-words"), ("a" * 641, "too-many-words"), ("a" * 640, "")):
        assert StructuredPrompt(annotated(text), IDS, encode_word, BOS, SEP, EOS).refusal(99) == reason


def test_a_schema_is_read_as_it_was_written(tmp_path: Path) -> None:
    SCHEMA.save(tmp_path / "answers.json")
    assert AnswerSchema.load(tmp_path / "answers.json") == SCHEMA
    assert SCHEMA.positions == MAX_POSITIONS and SCHEMA.num_tokens == len(IDS.names)
    assert make_schema({"Wait": IntentSchema()}, (), 3).positions == 0


@pytest.mark.parametrize("text", ["", "{}", '{"format": 9}', "[1]"])
def test_a_damaged_schema_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "answers.json").write_text(text)
    with pytest.raises(ThimbleError, match=r"answers\.json"):
        AnswerSchema.load(tmp_path / "answers.json")


def test_names_that_mean_something_else() -> None:
    with pytest.raises(ThimbleError, match="a list is called 'number'"):
        make_schema(INTENTS, ("number",), 3)
    with pytest.raises(ThimbleError, match="NoMatch"):
        make_schema({NO_MATCH: IntentSchema()}, (), 3)
