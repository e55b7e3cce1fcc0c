"""What tasks with intents and slots have in common: samples are drawn, and answers are in answer tokens."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pipeline.languages import load_language_file
from pipeline.tasks.answer_schema import make_schema
from pipeline.tasks.excluded import Excluded, read_excluded
from pipeline.tasks.normalizers import normalizer_of
from pipeline.tasks.number_words import quantities
from pipeline.tasks.pairs import PairTask
from pipeline.tasks.sample_stream import SampleStream, draw_samples
from pipeline.tasks.samples import IntentSchema, Sample, SampleSource
from pipeline.tasks.sentence_files import WATCHED, read_pairs
from pipeline.tasks.slot_sets import least_sets
from pipeline.tasks.task import Dataset, Pair, TextWriter
from pipeline.tasks.text_path import KnownNames, load_codec
from pipeline.text.answers import AnswerSchema, StructuredAnswer
from pipeline.text.codec import StructuredCodec
from pipeline.text.normalize import build_restore
from pipeline.text.vocabulary import Inflection

__all__ = ["StructuredTask", "pair_of"]

_TYPICAL = 10_000  # samples, from which tokenizer, known words and kinds of names are made
_FREQUENT = 5  # of these, in which a word is said that is no misspelt name then
_NAMES_IN = 4  # of so many sentences one gives its names' words to the tokenizer
_PLACES = ("area", "floor")  # kinds whose names are the language's own: a kitchen is one in every home
_DEV_SENTENCES = 400


class StructuredTask(PairTask):
    """See `pipeline.tasks.task.Task`; subclasses give the sources and the held-out splits.

    Attributes:
        seed: decides the data.
        pointers: marks that an answer can point at.
        splits: what each held-out split holds.
    """

    seed: int
    pointers: int
    splits: Mapping[str, str]

    @property
    @abstractmethod
    def language(self) -> str:
        """Code of the language."""

    @property
    @abstractmethod
    def source(self) -> SampleSource:
        """Commands as the task's templates say them."""

    @property
    @abstractmethod
    def training_source(self) -> SampleSource:
        """What is trained on: commands in more forms, and sentences on which nothing may be done."""

    @abstractmethod
    def held_out_samples(self) -> Mapping[str, Sequence[Sample]]:
        """Samples by split, said in the home that ships."""

    @property
    def excluded_files(self) -> Sequence[Path]:
        """Files of sentences that training must not see, see `pipeline.tasks.excluded.read_excluded`."""
        return ()

    @cached_property
    def excluded(self) -> Excluded:
        """The sentences of these files, as normalized words."""
        return read_excluded(self.excluded_files, self.names.annotator().words)

    @cached_property
    def names(self) -> KnownNames:
        """What the text path knows of the task and the home that ships."""
        normalizer = normalizer_of(self.language)
        entries = self.source.entries()
        said: Counter[str] = Counter()
        for sample in self._typical:
            names = {word for entry in sample.entries for word in normalizer.text(entry.text).split()}
            values = [(_bytes(sample.sentence[:first]), _bytes(sample.sentence[:end])) for first, end in sample.fixed]
            said.update(
                {
                    word.text
                    for word in normalizer.words(sample.sentence)
                    if not any(word.start < end and first < word.end for first, end in values)
                }
                - names
            )
        frequent = {word for word, count in said.items() if count >= _FREQUENT}
        literal = {word.text for text in self.source.literal_words() for word in normalizer.words(text)}
        listed = {word for entry in entries for word in normalizer.text(entry.text).split()}
        numbers = quantities(self.language)
        known = {
            word
            for word in literal | (frequent - listed)
            if not any(letter.isdigit() for letter in word) and numbers.at([word], 0) is None
        }
        inflection = Inflection.of(load_language_file(self.language, "inflection"))
        restore = build_restore(known | listed, known, inflection.umlauts, any_form=bool(inflection.stems))
        return KnownNames(self.language, entries, tuple(sorted(known)), restore)

    @cached_property
    def schema(self) -> AnswerSchema:
        """The answer tokens."""
        kinds = {entry.kind for entry in self.source.entries()}
        for sample in self._typical:
            kinds.update(entry.kind for entry in sample.entries)
        return make_schema(self._intents, kinds, self.pointers, here=self._here)

    @property
    def here(self) -> Sequence[str]:
        """What people say for the room in which they are."""
        return ()

    @cached_property
    def _here(self) -> list[str]:
        """The same as normalized words, without phrases that hold another one."""
        words = self.names.annotator().words
        phrases = {" ".join(words(text)) for text in self.here} - {""}
        return sorted(
            phrase
            for phrase in phrases
            if not any(f" {other} " in f" {phrase} " for other in phrases if other != phrase)
        )

    @cached_property
    def _intents(self) -> dict[str, IntentSchema]:
        """The intents, which need no more than typical answers have: training may leave out what templates say."""
        seen: dict[str, set[frozenset[str]]] = {}
        for sample in self._typical:
            seen.setdefault(sample.intent, set()).add(frozenset(sample.slots))
        return {
            name: replace(intent, needed=tuple(least_sets([*intent.needed, *seen.get(name, ())])))
            if intent.needed
            else intent
            for name, intent in self.source.intents().items()
        }

    def dataset(self, writer: TextWriter | None = None) -> Dataset:
        """Dev pairs and splits; training sentences are a stream, see `stream`."""
        excluded = {pair.sentence for pairs in self._splits.values() for pair in pairs}
        dev: dict[str, Pair] = {}
        for sample in self._some(self.training_source, "dev", 4 * _DEV_SENTENCES):
            if not sample.entries and sample.sentence not in excluded:
                dev.setdefault(sample.sentence, pair_of(sample))
        return Dataset(train=[], dev=list(dev.values())[:_DEV_SENTENCES], splits=dict(self._splits))

    @cached_property
    def _splits(self) -> dict[str, list[Pair]]:
        return {name: [pair_of(sample) for sample in samples] for name, samples in self.held_out_samples().items()}

    @cached_property
    def _typical(self) -> list[Sample]:
        return list(self._some(self.training_source, "typical", _TYPICAL))

    def tokenizer_texts(self) -> Iterator[str]:
        """Words of sentences as prompts hold them: without quantities, each with a space before it."""
        annotator = self.names.annotator()
        for number, sample in enumerate(self._typical):
            own = annotator.with_entries(sample.entries) if sample.entries else annotator
            annotated = own.annotate(sample.sentence)
            # The language's own words shall have pieces rather than names, of which homes have others. Rooms are such
            # words: without pieces "living" is spelled with the "ing" of "opening", and is taken for a state.
            left_out = {
                index
                for mark in annotated.marks
                if mark.is_quantity or (number % _NAMES_IN and mark.kind not in _PLACES)
                for index in range(mark.first, mark.end)
            }
            yield "".join(f" {word.text}" for i, word in enumerate(annotated.words) if i not in left_out)

    def stream(self, data: Path, context: int) -> SampleStream:
        """Training sentences as tokens.

        Args:
            data: the folder of the `data` stage.
            context: tokens that the model sees.
        """
        codec = load_codec(data)
        assert isinstance(codec, StructuredCodec)
        # The folder's names are the task's, which need not be made again of thousands of sentences.
        excluded = read_excluded(self.excluded_files, codec.annotator.words)
        return SampleStream(self.training_source, codec, context, self.seed, excluded)

    def calibration(self, data: Path, count: int, context: int) -> list[list[int]]:
        """The first training sentences."""
        stream = self.stream(data, context)
        return [stream.sequence(number) for number in range(count)]

    def proof(self, data: Path, context: int) -> dict[str, list[int]]:
        """Dev pairs."""
        codec = load_codec(data)
        sequences: dict[str, list[int]] = {}
        for pair in read_pairs(data / f"{WATCHED}.tsv", 32):
            try:
                sequences[repr(pair.sentence)] = codec.encode_pair(pair.sentence, pair.action)[:context]
            except ValueError:
                continue
            if len(sequences) == 8:
                break
        return sequences

    def baseline(self, pairs: Sequence[Pair]) -> list[bool]:
        """No tool of the field reads the task."""
        return []

    baseline_splits: tuple[str, ...] = ()

    def examples(self) -> Sequence[Pair]:
        """A dozen sentences."""
        chosen: dict[str, Pair] = {}
        for sample in self._some(self.source, "examples", 200):
            if not sample.entries:
                chosen.setdefault(sample.intent, pair_of(sample))
        return list(chosen.values())[:12]

    def prompts(self) -> tuple[str, ...]:
        """The examples' sentences."""
        return tuple(pair.sentence for pair in self.examples())

    def _some(self, source: SampleSource, purpose: str, count: int) -> Iterator[Sample]:
        stream = draw_samples(source, self.seed, purpose)
        return (next(stream) for _ in range(count))

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(f"{self.seed}:{self.language}:{purpose}")


def pair_of(sample: Sample) -> Pair:
    """The sentence with its answer as text."""
    return Pair(sample.sentence, StructuredAnswer(sample.intent, sample.slots).text)


def _bytes(text: str) -> int:
    return len(text.encode())
