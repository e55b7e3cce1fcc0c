from __future__ import annotations

import random

import pytest

from pipeline.errors import ThimbleError
from pipeline.tasks.negatives import NegativeSource
from pipeline.tasks.samples import NO_MATCH, Sample
from pipeline.tasks.weave import WeaveSource, common_phrases
from tests.support.toy_source import ToySource
from tests.support.toy_tasks import fish_tank

LANGUAGES = ("de", "en")


def _negatives(source: NegativeSource, count: int) -> list[Sample]:
    return [source.draw_negative(random.Random(f"negative:{i}")) for i in range(count)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("has_notes", [False, True])
def test_no_sentence_without_a_match_is_one_that_a_template_reads(language: str, has_notes: bool) -> None:
    plain = fish_tank(language, has_notes)
    source = NegativeSource(WeaveSource(plain, 0.5), plain=plain)
    for sample in _negatives(source, 3000):
        assert sample.intent == NO_MATCH
        assert sample.sentence and not plain.reads(sample.sentence), sample
        assert set(sample.slots.items()) <= {("reason", "two-commands")}
        assert "{" not in sample.sentence and "~" not in sample.sentence, sample
        assert all(sample.sentence[first:last].strip() for first, last in sample.fixed)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_share_of_sentences_without_a_match_is_kept(language: str) -> None:
    source = NegativeSource(fish_tank(language), 0.2)
    drawn = [source.draw(random.Random(i)) for i in range(2000)]
    assert 300 < sum(sample.intent == NO_MATCH for sample in drawn) < 500
    again = NegativeSource(fish_tank(language), 0.2)
    assert drawn == [again.draw(random.Random(i)) for i in range(2000)]
    never = NegativeSource(fish_tank(language), 0)
    assert all(never.draw(random.Random(i)).intent != NO_MATCH for i in range(50))


@pytest.mark.parametrize("share", [-0.1, 1, 1.5])
def test_a_share_that_leaves_no_command_is_refused(share: float) -> None:
    with pytest.raises(ThimbleError, match="share"):
        NegativeSource(fish_tank("de"), share)


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_commands_in_one_sentence_say_why_nothing_is_done(language: str) -> None:
    source = NegativeSource(fish_tank(language))
    double = [sample for sample in _negatives(source, 3000) if sample.slots]
    assert len(double) > 60
    assert all(sample.slots == {"reason": "two-commands"} for sample in double)


@pytest.mark.parametrize(("language", "word"), [("de", "nicht"), ("en", "not")])
def test_commands_are_negated(language: str, word: str) -> None:
    source = NegativeSource(fish_tank(language))
    negated = [s for s in _negatives(source, 3000) if s.fixed and f" {word} " in f" {s.sentence} "]
    assert len(negated) > 50


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_tasks_own_sentences_come_too(language: str) -> None:
    source = NegativeSource(fish_tank(language), extra=["the fish are hungry"])
    own = [sample for sample in _negatives(source, 2000) if "fish" in sample.sentence and "hungry" in sample.sentence]
    assert len(own) > 50


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_common_intent_that_the_task_understands_is_not_refused(language: str) -> None:
    phrases = set(common_phrases(language, "stop"))
    names = ("stop", "again", "help", "yes", "no")
    drawn = {s.sentence for s in _negatives(NegativeSource(fish_tank(language), common=names), 2500)}
    assert not drawn & phrases
    assert {s.sentence for s in _negatives(NegativeSource(fish_tank(language)), 2500)} & phrases


@pytest.mark.parametrize(("language", "light"), [("de", "mach das Licht an"), ("en", "turn on the light")])
def test_commands_of_other_tasks_share_no_word_with_this_one(language: str, light: str) -> None:
    drawn = {sample.sentence for sample in _negatives(NegativeSource(fish_tank(language)), 3000)}
    assert light not in drawn


def test_a_sentence_near_to_a_command_is_no_foreign_talk() -> None:
    """The task reads "what time is it", and "what time is it in Paris" is too near to that."""
    source = NegativeSource(ToySource("en", {"Time": ["what time is it", "turn on the {lamp}"]}, {"lamp": ["lamp"]}))
    sentences = {sample.sentence for sample in _negatives(source, 4000) if not sample.slots}
    assert not [sentence for sentence in sentences if "what time is it in" in sentence]
    assert any("what day is it" in sentence for sentence in sentences)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_command_beside_talk_means_what_it_meant_alone(language: str) -> None:
    plain = fish_tank(language, has_notes=True)
    source = NegativeSource(plain, 0.2, talk=0.1)
    drawn = [source.draw(random.Random(i)) for i in range(4000)]
    beside = [sample for sample in drawn if sample.intent != NO_MATCH and not plain.reads(sample.sentence)]
    assert 0.05 < len(beside) / sum(sample.intent != NO_MATCH for sample in drawn) < 0.12
    for sample in beside:
        words = sample.sentence.split()
        command = {
            *(" ".join(words[first:]) for first in range(1, len(words))),
            *(" ".join(words[:last]).rstrip(",.") for last in range(1, len(words))),
        }
        assert any(plain.reads(text) for text in command), sample
        assert all(value in sample.sentence for value in sample.slots.values()), sample
        for name, slot in plain.intents()[sample.intent].slots.items():
            if slot.is_free and name in sample.slots:
                # Free text is spoken to the sentence's end: talk behind it would be part of it.
                assert sample.sentence.endswith(sample.slots[name]), sample
