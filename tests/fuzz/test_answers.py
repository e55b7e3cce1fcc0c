"""Any sentence gives an answer that the host reads, or NoMatch; and the tables that see to it are small."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.text.codec import StructuredCodec
from tests.fuzz.answers import Answered, HashEngine, answers, build, codec_of, differs_from_host, faults, sentences

_WIDTHS = {"uint8_t": 1, "uint16_t": 2, "uint32_t": 4}
_ALLOWED_BYTES = 8  # sizeof(thimble_allowed)


@pytest.fixture(scope="module")
def codec() -> StructuredCodec:
    return codec_of()


@pytest.fixture(scope="module")
def program(codec: StructuredCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(codec, tmp_path_factory.mktemp("answers"))


@pytest.mark.slow
def test_every_sentence_is_answered_in_form(codec: StructuredCodec, program: Path) -> None:
    texts = sentences(random.Random(7), 400)
    engine = HashEngine(codec.vocab_size)
    answered = list(answers(program, texts))
    assert len(answered) == len(texts)
    for number, (text, answer) in enumerate(zip(texts, answered, strict=True)):
        assert faults(text, answer, codec) == []
        if number % 8 == 0:
            assert differs_from_host(text, answer, codec, engine) == []
    assert len({answer.intent for answer in answered}) > 30
    assert {slot.type for answer in answered for slot in answer.slots} >= {"choice", "name", "text", "number"}
    assert {"not-utf8", "too-many-words", "too-many-names"} <= {answer.reason for answer in answered}


@pytest.mark.slow
def test_the_two_best_answers_are_the_hosts(tmp_path: Path) -> None:
    """Of a model that is never certain, both are in form; going back to where they part begins anew here."""
    codec = codec_of(asks=True)
    engine = HashEngine(codec.vocab_size)
    texts = sentences(random.Random(5), 60)
    asked = 0
    for text, answer in zip(texts, answers(build(codec, tmp_path), texts), strict=True):
        assert differs_from_host(text, answer, codec, engine) == []
        if answer.choices:
            asked += 1
            best, second = answer.choices
            assert (answer.intent, answer.reason, answer.slots) == ("NoMatch", "low-confidence", ())
            assert answer.confidence == best.confidence
            assert faults(text, best, codec) == faults(text, second, codec) == []
    assert asked > 30


@pytest.mark.slow
def test_what_is_out_of_form_is_found(codec: StructuredCodec, program: Path) -> None:
    """The check itself: answers that are changed a little are none."""
    texts = sentences(random.Random(3), 300)
    pairs = [pair for pair in zip(texts, answers(program, texts), strict=True) if pair[1].slots]
    assert len(pairs) > 50
    for text, answer in pairs:
        first, *others = answer.slots
        changed: list[Answered] = [
            replace(answer, slots=(first, *answer.slots)),
            replace(answer, slots=(replace(first, value=""), *others)),
            replace(answer, slots=(replace(first, name="nothing"), *others)),
            replace(answer, slots=(replace(first, value=first.value + "?"), *others)),
            replace(answer, intent="NoIntent"),
        ]
        assert all(faults(text, each, codec) for each in changed if each.slots[0].type not in ("percent", "degrees"))


def test_the_grammars_tables_are_small(codec: StructuredCodec, tmp_path: Path) -> None:
    """Home Assistant's English with its 42 intents: what decides which token may follow, and names."""
    from pipeline.firmware.answer_tables import write_answers

    write_answers(codec.schema, codec.ids.first, tmp_path)
    text = (tmp_path / "answer_tables.c").read_text()
    sizes = {
        name: _WIDTHS[kind] * len(re.findall(r"\d+,", re.sub(r"/\*.*?\*/", "", values)))
        for kind, name, values in re.findall(r"static const (uint\d+_t) (\w+)\[\] = \{\n(.*?)\n\};", text, re.DOTALL)
    }
    (rows,) = re.findall(r"static const thimble_allowed allowed\[\] = \{\n(.*?)\n\};", text, re.DOTALL)
    sizes["allowed"] = _ALLOWED_BYTES * len(rows.splitlines())
    assert set(sizes) == {
        *("intent_starts", "set_starts", "answer_lists", "answer_text_starts", "answer_text", "allowed", "slot_sets")
    }
    assert len(codec.schema.intents) == 43
    assert sum(sizes.values()) <= 4096, sizes
