"""Sentences on which nothing may be done, among the commands of a task."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

from pipeline.errors import ThimbleError
from pipeline.languages import load_language_file
from pipeline.tasks.clauses import Clause, Frames, Pieces, pieces_of
from pipeline.tasks.phrases import Hole, Pattern, Piece, expansions, join, lines, parse_pattern, split
from pipeline.tasks.samples import NO_MATCH, Sample, SampleSource, SourceOnTop
from pipeline.tasks.surface import Surface
from pipeline.tasks.weave import WeaveSource, common_phrases, load_weave
from pipeline.text.annotation import Entry

__all__ = ["NegativeSource", "NoMatchFile", "load_no_match"]

_TRIES = 8
_MIN_LETTERS = 4  # of a word that tells what a sentence is about
_MAX_EXPANSIONS = 12  # of a pattern, that are looked at
_AT_HOME = 0.5  # share of foreign sentences that are said in a drawn home; the others in the one that ships
_NOISY = 0.5  # share whose words are changed as those of woven commands are
_CONTEXT = "context"  # the kind of foreign sentences that people say around commands
_TALK_KINDS = (_CONTEXT, "statements")  # of foreign sentences that may stand beside a command
_COMMON = ("stop", "again", "help", "yes", "no")


class NoMatchFile:
    """The tables of a language's `no_match.yaml`, ready to use; `docs/language-files.md` explains them.

    Args:
        data: a `no_match.yaml`.
        rules: alternatives by name, of the language's `weave.yaml`; the file's own come on top.

    Attributes:
        words: what fills the holes of patterns, by name.
        foreign: patterns by kind of sentence.
        commands: patterns of commands of all kinds of tasks.
        near_by: frames around a task's nouns.
        negations: frames around a task's commands.
        reports: frames that say that a command was done, or ask about it.
        whole: patterns around a whole sentence whose structure is not known.
        joiners: between two commands.
        syllables: of words that do not exist.
    """

    def __init__(self, data: Mapping[str, Any], rules: Mapping[str, Sequence[str]]) -> None:
        rules = {**rules, **data.get("rules", {})}
        self.words: Mapping[str, Sequence[str]] = data["words"]
        self.foreign = {
            kind: [parse_pattern(text, rules) for text in lines(texts)] for kind, texts in data["foreign"].items()
        }
        self.commands = [parse_pattern(text, rules) for text in lines(data["commands"])]
        self.near_by = Frames(data["near_by"], rules, is_complete=False)
        self.negations = Frames(data["negations"], rules, is_complete=False)
        self.reports = Frames(data["reports"], rules, is_complete=False)
        self.whole = [parse_pattern(text, rules) for text in lines(data["whole"])]
        self.joiners = [parse_pattern(text, rules) for text in lines(data["joiners"])]
        self.syllables: Sequence[str] = data["syllables"]


@cache
def load_no_match(language: str) -> NoMatchFile:
    """The tables of a language.

    Raises:
        ThimbleError: there is no `no_match.yaml` for it, or the file has an error.
    """
    rules = load_language_file(language, "weave").get("rules", {})
    return NoMatchFile(load_language_file(language, "no_match"), rules)


class NegativeSource(SourceOnTop):
    """A source that draws sentences which mean `NO_MATCH` too; see `SampleSource`.

    No such sentence is one that a template of the task reads.

    Args:
        source: draws commands.
        share: of sentences that mean `NO_MATCH`, from 0 to 1.
        extra: sentences of the task's maker that mean it.
        common: names of common intents ("stop") that the task understands, beside those of a `WeaveSource`.
        plain: draws commands as templates say them, which frames are put around; if not given, what a `WeaveSource`
            weaves around, or `source`.
        talk: share of all sentences, commands or not, that have a remark before or behind them and mean what they mean
            alone.

    Raises:
        ThimbleError: the source's language has no `no_match.yaml`, or `share` is no share.
    """

    def __init__(
        self,
        source: SampleSource,
        share: float = 0.2,
        extra: Sequence[str] = (),
        common: Collection[str] = (),
        plain: SampleSource | None = None,
        talk: float = 0.0,
    ) -> None:
        if not 0 <= share < 1:
            raise ThimbleError(f"the share of sentences without a match is {share}", "give a number from 0 to below 1")
        if isinstance(source, WeaveSource):
            plain, common = plain or source.plain, {*common, *source.common}
        super().__init__(source)
        self._share, self._plain, self._talk_share = share, plain or source, talk
        self._file = load_no_match(source.language)
        self._weave = load_weave(source.language)
        grammar = self._weave.grammar
        own = source.literal_words() | _words_of(source.entries())
        self._surface = Surface(self._weave.data, own - grammar.small_talk)
        subjects = {word for word in own if len(word) >= _MIN_LETTERS} - grammar.small_talk - grammar.words()
        self._commands = [pattern for pattern in self._file.commands if not _speaks_of(pattern, subjects)]
        self._foreign = [
            pattern for kind, patterns in self._file.foreign.items() if talk or kind != _CONTEXT for pattern in patterns
        ]
        self._talk = [patterns for kind in _TALK_KINDS if (patterns := self._file.foreign.get(kind))]
        self._named = _words_of(source.entries()) - grammar.small_talk
        self._free_slots = {
            intent: {name for name, slot in schema.slots.items() if slot.is_free}
            for intent, schema in source.intents().items()
        }
        self._near_commands: dict[str, bool] = {}
        self._extra = list(extra)
        self._common = [
            phrase for name in _COMMON if name not in common for phrase in common_phrases(source.language, name)
        ]
        self._meant = {phrase for name in common for phrase in common_phrases(source.language, name)}
        kinds: list[tuple[float, Callable[[random.Random], Sample | None]]] = [
            (0.32, self._foreign_sentence),
            (0.18, self._near_by),
            (0.22, self._negation),
            (0.1, self._report),
            (0.06, self._half_sentence),
            (0.04, self._command_of_others),
            (0.06, self._two_commands),
            (0.02, self._garbage),
            (0.02, self._common_phrase),
        ]
        if extra:
            kinds.append((0.15, self._extra_sentence))
        self._weights = [weight for weight, _ in kinds]
        self._kinds = [kind for _, kind in kinds]

    def draw(self, rng: random.Random) -> Sample:
        """A command, or with the share's chance a sentence that is none."""
        sample = self._source.draw(rng) if rng.random() >= self._share else self.draw_negative(rng)
        return self._beside_talk(sample, rng) if self._talk_share and rng.random() < self._talk_share else sample

    def draw_negative(self, rng: random.Random) -> Sample:
        """A sentence on which nothing may be done."""
        for _ in range(_TRIES):
            kind = rng.choices(self._kinds, self._weights)[0]
            sample = kind(rng)
            if sample is None or not sample.sentence:
                continue
            if rng.random() < _NOISY and not sample.slots:
                if self._source.reads(sample.sentence):
                    continue  # A command that is hard to understand is a command.
                sample = self._noisy(sample, rng)
            if sample.sentence and sample.sentence not in self._meant and not self._source.reads(sample.sentence):
                return sample
        return self._garbage(rng)

    def _beside_talk(self, sample: Sample, rng: random.Random) -> Sample:
        """The sentence with another one before or behind it that asks for nothing: it means what it meant alone.
        Left as it was where a template reads the two as something else."""
        if not self._talk:
            return sample
        talk = self._from_pattern(_choose(_choose(self._talk, rng), rng), rng)
        if talk is None:
            return sample
        words = set(re.findall(r"\w+", talk.sentence.lower()))
        if words & self._named or words & _words_of(sample.entries):
            return sample  # A name or a value of a list, which the command might be taken to mean.
        # Text that is spoken to the sentence's end would take in what stands behind it.
        is_before = rng.random() < 0.5 or not self._free_slots.get(sample.intent, set()).isdisjoint(sample.slots)
        own, other = split(sample.sentence.rstrip(".!?… "), sample.fixed), split(talk.sentence.rstrip(".!?… "), ())
        if not own or not other:
            return sample
        comma = Piece(_choose((",", ",", ".", ""), rng))
        first, second = (other, own) if is_before else (own, other)
        sentence, fixed = join([*first, *([comma] if comma.text else ()), *second])
        if self._source.reads(sentence):
            return sample
        return dataclasses.replace(sample, sentence=sentence, fixed=fixed)

    def _noisy(self, sample: Sample, rng: random.Random) -> Sample:
        pieces = self._surface.apply(split(sample.sentence, sample.fixed), rng)
        sentence, spans = join(self._surface.add_fillers(pieces, rng))
        return dataclasses.replace(sample, sentence=sentence, fixed=spans)

    def _foreign_sentence(self, rng: random.Random) -> Sample | None:
        return self._from_pattern(_choose(self._foreign, rng), rng)

    def _command_of_others(self, rng: random.Random) -> Sample | None:
        return self._from_pattern(_choose(self._commands, rng), rng) if self._commands else None

    def _common_phrase(self, rng: random.Random) -> Sample | None:
        return Sample(_choose(self._common, rng), NO_MATCH, {}) if self._common else None

    def _extra_sentence(self, rng: random.Random) -> Sample:
        return Sample(_choose(self._extra, rng), NO_MATCH, {})

    def _near_by(self, rng: random.Random) -> Sample | None:
        sample = self._plain.draw(rng)
        pieces = split(sample.sentence, sample.fixed)
        clause = self._weave.grammar.parse(pieces)
        values: dict[str, Pieces] = {}
        features: set[str] = set()
        if clause is not None and "object" in clause.features and rng.random() < 0.7:
            values, features = dict(clause.values), set(clause.features)
        else:
            nouns = [piece for piece in pieces if piece.spans and not piece.text[0].isdigit()]
            if not nouns:
                return None
            values["noun"] = (_choose(nouns, rng),)
            features.add("noun")
        frame = self._file.near_by.draw(rng, "", frozenset({*features, *self._file.words}))
        return self._negative(sample, self._fill(frame, values, rng), rng) if frame else None

    def _negation(self, rng: random.Random) -> Sample | None:
        return self._around_command(self._file.negations, rng)

    def _report(self, rng: random.Random) -> Sample | None:
        return self._around_command(self._file.reports, rng, may_be_whole=False)

    def _around_command(self, frames: Frames, rng: random.Random, may_be_whole: bool = True) -> Sample | None:
        sample = self._plain.draw(rng)
        if sample.intent == NO_MATCH:
            return None
        pieces = split(sample.sentence, sample.fixed)
        grammar = self._weave.grammar
        if grammar.parse_question(pieces) is not None:
            return None
        clause: Clause | None = grammar.parse(pieces)
        if clause is None:
            if not may_be_whole:
                return None
            return self._negative(
                sample, self._fill(_choose(self._file.whole, rng).draw(rng), {"sentence": tuple(pieces)}, rng), rng
            )
        frame = frames.draw(rng, clause.group.name, grammar.features(clause).union(self._file.words))
        if frame is None:
            return None
        words = [
            self._word(item, rng) if isinstance(item, Hole) and item.name in self._file.words else [item]
            for item in frame
        ]
        return self._negative(sample, grammar.fill((item for part in words for item in part), clause, rng), rng)

    def _half_sentence(self, rng: random.Random) -> Sample | None:
        sample = self._plain.draw(rng)
        pieces = split(sample.sentence, sample.fixed)
        # After a word that needs another one behind it: "turn on the light" without its room is no half sentence.
        ends = [
            *([0] if sample.fixed else ()),
            *(i for i in range(1, len(pieces) - 1) if self._weave.grammar.is_determiner(pieces, i)),
        ]
        if len(pieces) < 2 or not ends:
            return None
        return self._negative(sample, pieces[: 1 + _choose(ends, rng)], rng)

    def _two_commands(self, rng: random.Random) -> Sample | None:
        first, second = self._source.draw(rng), self._source.draw(rng)
        if NO_MATCH in (first.intent, second.intent) or (first.intent, first.slots) == (second.intent, second.slots):
            return None
        pieces = split(first.sentence.rstrip(".!?"), first.fixed)
        joiner = [item for item in _choose(self._file.joiners, rng).draw(rng) if isinstance(item, Piece)]
        sentence, fixed = join([*pieces, *joiner, *split(second.sentence, second.fixed)])
        entries = tuple(dict.fromkeys((*first.entries, *second.entries)))
        return Sample(sentence, NO_MATCH, {"reason": "two-commands"}, entries, fixed=fixed)

    def _garbage(self, rng: random.Random) -> Sample:
        words = []
        for _ in range(1 + int(rng.random() * 5)):
            words.append("".join(_choose(self._file.syllables, rng) for _ in range(1 + int(rng.random() * 3))))
        return Sample(" ".join(words), NO_MATCH, {})

    def _is_near_command(self, pattern: Pattern) -> bool:
        """Whether the task's templates read one of the pattern's sentences: the others are then too near to it."""
        if pattern.source not in self._near_commands:
            rng = random.Random(pattern.source)
            self._near_commands[pattern.source] = any(
                self._source.reads(join(self._fill(expansion, {}, rng))[0])
                for expansion in islice(expansions(pattern), _MAX_EXPANSIONS)
            )
        return self._near_commands[pattern.source]

    def _from_pattern(self, pattern: Pattern, rng: random.Random) -> Sample | None:
        if self._is_near_command(pattern):
            return None
        sentence, _ = join(self._weave.grammar.elision.join(self._fill(pattern.draw(rng), {}, rng)))
        # Foreign sentences are said in homes, too, whose names may stand in them: a mark asks for nothing yet.
        entries = self._plain.draw(rng).entries if rng.random() < _AT_HOME else ()
        return Sample(sentence, NO_MATCH, {}, entries)

    def _fill(self, frame: Sequence[Piece | Hole], values: Mapping[str, Pieces], rng: random.Random) -> list[Piece]:
        filled: list[Piece] = []
        for item in frame:
            if isinstance(item, Piece):
                filled.append(item)
            elif item.name in values:
                filled += values[item.name]
            else:
                filled += self._word(item, rng)
        return filled

    def _word(self, hole: Hole, rng: random.Random) -> Pieces:
        words = self._file.words.get(hole.name)
        return pieces_of(_choose(words, rng)) if words else ()

    def _negative(self, sample: Sample, pieces: Sequence[Piece], rng: random.Random) -> Sample:
        sentence, fixed = join(self._weave.grammar.elision.join(self._surface.fill_seams(pieces, rng)))
        return Sample(sentence, NO_MATCH, {}, sample.entries, fixed=fixed)


def _speaks_of(pattern: Pattern, subjects: Collection[str]) -> bool:
    """Whether a sentence of the pattern has a word of the task, or one made of it."""
    said = {
        word
        for expansion in expansions(pattern)
        for piece in expansion
        if isinstance(piece, Piece)
        for word in re.findall(r"\w+", piece.text.lower())
        if len(word) >= _MIN_LETTERS
    }
    return any(subject in word or word in subject for word in said for subject in subjects)


def _words_of(entries: Iterable[Entry]) -> set[str]:
    return {word for entry in entries for word in entry.text.lower().split()}


def _choose(options: Sequence[Any], rng: random.Random) -> Any:
    return options[int(rng.random() * len(options))]
