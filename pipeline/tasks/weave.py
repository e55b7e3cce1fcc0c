"""Commands in more forms than their templates have: the language's structure and surface around a task's sentences."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Container, Mapping, Sequence
from functools import cache
from typing import Any

from pipeline.errors import ThimbleError
from pipeline.languages import load_language_file
from pipeline.tasks.clauses import Frames, Grammar
from pipeline.tasks.normalizers import normalizer_of
from pipeline.tasks.number_words import quantities
from pipeline.tasks.phrases import Pattern, Piece, expansions, items, join, lines, parse_pattern, split
from pipeline.tasks.samples import NO_MATCH, Sample, SampleSource, SourceOnTop
from pipeline.tasks.surface import Repair, Surface, expand_set

__all__ = ["Weave", "WeaveSource", "common_phrases", "free_texts", "load_weave", "people", "set_values"]

_SAMPLES = 2_000  # that tell which verbs each intent's templates say
_TRIES = 3
_REFRAMED = 0.8  # share of woven sentences that are taken apart and put together again, where that can be done
_REPAIRED = 0.1  # share in which a value is corrected
_COMMON = 0.03  # share of phrases of each common intent


class Weave:
    """The tables of a language's `weave.yaml`, ready to use.

    Attributes:
        language: its code.
        grammar: verbs and small words.
        frames: of commands.
        questions: frames of questions.
        things: frames of a noun phrase that asks for a thing.
        data: the file.
    """

    def __init__(self, language: str, data: Mapping[str, Any]) -> None:
        self.language = language
        self.data = data
        self.grammar = Grammar(data)
        rules = data.get("rules", {})
        self.frames = Frames({**data["frames"], **data["things"]}, rules)
        self.questions = Frames(data["questions"]["frames"], rules)
        self.things = Frames(data["things"], rules)

    def rephrase(
        self,
        pieces: Sequence[Piece],
        rng: random.Random,
        avoided: Container[str] = (),
        groups: Container[str] | None = None,
    ) -> list[Piece]:
        """The same command in another frame, or as it was where its structure is not known.

        Args:
            pieces: of the sentence.
            rng: decides.
            avoided: verbs that are no synonyms here.
            groups: of verbs that a state alone may stand for; all of them if not given.
        """
        question = self.grammar.parse_question(pieces)
        if question is not None:
            drawn = self.questions.draw(rng, "", question.features)
            return self.grammar.fill_parts(drawn, question) if drawn is not None else list(pieces)
        clause = self.grammar.parse(pieces)
        if clause is not None and not clause.has_verb and groups is not None and clause.group.name not in groups:
            return list(pieces)
        if clause is not None:
            drawn = self.frames.draw(rng, clause.group.name, self.grammar.features(clause))
            return self.grammar.fill(drawn, clause, rng, avoided) if drawn is not None else list(pieces)
        thing = self.grammar.parse_thing(pieces)
        if thing is not None:
            drawn = self.things.draw(rng, "", thing.features)
            return self.grammar.fill_parts(drawn, thing) if drawn is not None else list(pieces)
        return list(pieces)


@cache
def load_weave(language: str) -> Weave:
    """The tables of a language.

    Raises:
        ThimbleError: there is no `weave.yaml` for it, or the file has an error.
    """
    return Weave(language, load_language_file(language, "weave"))


def people(language: str) -> tuple[str, ...]:
    """Names of people, to fill lists that grow on the device."""
    return tuple(items(load_language_file(language, "weave")["people"]))


def free_texts(language: str) -> tuple[str, ...]:
    """Phrases that people note, send or search for, to fill slots of free text."""
    return tuple(items(load_language_file(language, "weave")["free_texts"]))


def set_values(language: str, name: str) -> dict[str, tuple[str, ...]]:
    """What a set holds: by value, all forms of all words for it.

    Args:
        language: its code.
        name: "degree", "amount", "size" or "period".

    Raises:
        ThimbleError: no such set.
    """
    sets = load_language_file(language, "weave")["sets"]
    if name not in sets:
        raise ThimbleError(f"the language {language!r} has no set {name!r}", f"use one of: {', '.join(sorted(sets))}")
    return {
        value: tuple(dict.fromkeys(form for forms in expand_set(words) for form in forms))
        for value, words in sets[name].items()
    }


def common_phrases(language: str, name: str) -> tuple[str, ...]:
    """All phrases of a common intent.

    Args:
        language: its code.
        name: "stop", "again", "help", "yes" or "no".

    Raises:
        ThimbleError: no such intent.
    """
    phrases = []
    for pattern in _common(language, name):
        for expansion in expansions(pattern):
            text, _ = join(piece for piece in expansion if isinstance(piece, Piece))
            phrases.append(text)
    return tuple(dict.fromkeys(phrases))


def _common(language: str, name: str) -> list[Pattern]:
    common = load_language_file(language, "weave")["common"]
    if name not in common:
        raise ThimbleError(
            f"the language {language!r} has no common intent {name!r}", f"use one of: {', '.join(sorted(common))}"
        )
    return [parse_pattern(text) for text in lines(common[name])]


class WeaveSource(SourceOnTop):
    """A source whose sentences are said in other ways too, with the same answers; see `SampleSource`.

    Args:
        source: draws commands.
        share: of the sentences that are rephrased, from 0 to 1.
        common: by name of a common intent ("stop"), the task's intent that its phrases mean.

    Raises:
        ThimbleError: the source's language has no `weave.yaml`, or the task has no such intent.

    Attributes:
        plain: the source.
        common: names of the common intents that the task understands.
    """

    def __init__(self, source: SampleSource, share: float, common: Mapping[str, str] | None = None) -> None:
        self.plain, self.common = source, frozenset(common or ())
        super().__init__(source)
        self._share = share
        self._weave = load_weave(source.language)
        self._repair = Repair(self._weave.data, source.entries())
        self._common = [(intent, _common(source.language, name)) for name, intent in (common or {}).items()]
        intents = source.intents()
        for intent, _ in self._common:
            if intent not in intents:
                raise ThimbleError(
                    f"the common phrases mean an intent {intent!r}, which the task does not have",
                    f"name one of: {', '.join(sorted(intents))}",
                )
        self._normalizer, self._quantities = normalizer_of(source.language), quantities(source.language)
        self._has_free_text = any(slot.is_free for intent in intents.values() for slot in intent.slots.values())
        self._own_words = {
            *source.literal_words(),
            *(word for entry in source.entries() for word in entry.text.lower().split()),
        }
        grammar = self._weave.grammar
        self._surface = Surface(self._weave.data, self._own_words - grammar.small_talk)
        self._avoided, self._groups = self._said_verbs()

    def _said_verbs(self) -> tuple[dict[str, frozenset[str]], dict[str, set[str]]]:
        """By intent, the verbs that only commands of other intents say, which are no synonyms here, and the groups of
        its own verbs: "lights off" may be a question in a task where no question says "turn off"."""
        rng = random.Random(0)
        intents_of: dict[str, set[str]] = {}
        groups: dict[str, set[str]] = {}
        for _ in range(_SAMPLES):
            sample = self._source.draw(rng)
            clause = self._weave.grammar.parse(split(sample.sentence, sample.fixed))
            if clause is not None and clause.has_verb:
                intents_of.setdefault(clause.verb.name, set()).add(sample.intent)
                groups.setdefault(sample.intent, set()).add(clause.group.name)
        avoided = {
            intent: frozenset(verb for verb, intents in intents_of.items() if intent not in intents)
            for intent in self._source.intents()
        }
        return avoided, groups

    def draw(self, rng: random.Random) -> Sample:
        """A sentence of the source, with the share's chance in another form."""
        if self._common and rng.random() < _COMMON * len(self._common):
            intent, patterns = self._common[int(rng.random() * len(self._common))]
            drawn = patterns[int(rng.random() * len(patterns))].draw(rng)
            sentence, _ = join(piece for piece in drawn if isinstance(piece, Piece))
            if not self._source.reads(sentence):
                return Sample(sentence, intent, {})
        sample = self._source.draw(rng)
        if sample.intent == NO_MATCH or rng.random() >= self._share:
            return sample
        for _ in range(_TRIES):
            woven = self._woven(sample, rng)
            if woven.sentence == sample.sentence or self._is_new(sample, woven.sentence):
                return woven
        return sample

    def _woven(self, sample: Sample, rng: random.Random) -> Sample:
        pieces: list[Piece] = split(sample.sentence, sample.fixed)
        if rng.random() < _REFRAMED:
            avoided, groups = self._avoided.get(sample.intent, frozenset()), self._groups.get(sample.intent, set())
            pieces = self._surface.fill_seams(self._weave.rephrase(pieces, rng, avoided, groups), rng)
        if rng.random() < _REPAIRED:
            pieces = self._repair.apply(pieces, rng, sample.entries)
        pieces = self._surface.apply(self._with_units(pieces), rng)
        pieces = self._surface.add_fillers(pieces, rng)
        sentence, spans = join(pieces)
        return dataclasses.replace(sample, sentence=sentence, fixed=spans)

    def _with_units(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Values in one piece with the words that make them quantities ("5 minutes and"), which nothing may change."""
        words: list[str] = []
        owners: list[int] = []
        for index, piece in enumerate(pieces):
            for word in self._normalizer.words(piece.text):
                words.append(word.text)
                owners.append(index)
        joined: list[Piece] = []
        index = 0
        while index < len(pieces):
            last = index
            if pieces[index].spans:
                for number in (number for number, owner in enumerate(owners) if owner == index):
                    quantity = self._quantities.at(words, number)
                    if quantity is not None:
                        last = max(last, owners[number + quantity.count - 1])
            text, spans = join(pieces[index : last + 1])
            joined.append(Piece(text, spans) if last > index else pieces[index])
            index = last + 1
        return joined

    def _is_new(self, sample: Sample, sentence: str) -> bool:
        """Whether no template reads the sentence, so that its meaning is not another one there."""
        if not self._has_free_text:
            # A template reads only words that it says, words of lists, and quantities: one other word will do.
            said = set(sample.sentence.lower().split())
            for word in sentence.lower().split():
                plain = word.strip(",.;:?!…")
                if (
                    plain.isalpha()
                    and plain not in said
                    and plain not in self._own_words
                    and not self._is_quantity(plain)
                ):
                    names = {part for entry in sample.entries for part in entry.text.lower().split()}
                    if plain not in names:
                        return True
        return not self._source.reads(sentence)

    def _is_quantity(self, word: str) -> bool:
        return word in self._repair.number_words or word in self._weave.grammar.determiners
