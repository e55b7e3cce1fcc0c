"""The task `sentences`: commands from files in Home Assistant's `custom_sentences` format."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.recipes.schema import CommandsConfig, SentencesConfig
from pipeline.tasks.samples import NO_MATCH, Sample, SampleSource, SourceOnTop
from pipeline.tasks.sentences.source import SentencesSource, load_sentences
from pipeline.tasks.structured import StructuredTask, pair_of
from pipeline.tasks.task import Pair
from pipeline.tasks.tests_file import SentenceTest, load_tests

__all__ = ["SentencesTask"]

_SPLIT_SENTENCES = 400
_OWN_SHARE = 0.01  # of training sentences for each own example of what asks for nothing, up to half of all such
_BY = {
    "sentence": "sentences of which training sees others of the same template",
    "template": "templates that training never sees",
    "answer": "answers that training never sees, of slots and values that it does",
    "value": "values of slots that training never sees",
}


class SentencesTask(StructuredTask):
    """See `pipeline.tasks.task.Task`.

    Args:
        config: the recipe's section.
        folder: from which its paths are seen.

    Raises:
        ConfigError: files that cannot be read, or sentences that cannot work, each with file and line.
    """

    def __init__(self, config: SentencesConfig, folder: Path) -> None:
        self._take(config, load_sentences(config, folder), folder)

    def _take(self, config: CommandsConfig, source: SentencesSource, folder: Path) -> None:
        self.config: CommandsConfig
        self.config, self.seed, self.pointers = config, config.seed, config.pointers
        self.splits = {
            name: f"{rule.share:.0%} of {_BY[rule.by]}" if rule.by == "sentence" else _BY[rule.by]
            for name, rule in config.splits.items()
        }
        self._source, self._folder = source, folder
        self.tests: tuple[SentenceTest, ...] = load_tests(folder / config.tests) if config.tests else ()

    @property
    def language(self) -> str:
        """Of the recipe, or that of the files."""
        return self._source.language

    @property
    def source(self) -> SentencesSource:
        """The files' commands."""
        return self._source

    @cached_property
    def training_source(self) -> SampleSource:
        """The commands in further forms, and sentences on which nothing may be done."""
        source: SampleSource = self._source
        if self.config.weave or self.config.common:
            from pipeline.tasks.weave import WeaveSource

            source = WeaveSource(source, self.config.weave, self.config.common)
        own = self._source.hints.nomatch
        share = self._source.nomatch_share
        if share:
            from pipeline.tasks.negatives import NegativeSource

            own_share = min(_OWN_SHARE * len(own), share / 2)
            source = NegativeSource(source, (share - own_share) / (1 - own_share), talk=self.config.talk)
            if own:
                source = _WithExamples(source, own, own_share)
        return source

    @property
    def excluded_files(self) -> Sequence[Path]:
        """The tests."""
        return [self._folder / self.config.tests] if self.config.tests else []

    def held_out_samples(self) -> Mapping[str, Sequence[Sample]]:
        """Sentences of each split, said in the home that ships."""
        result: dict[str, Sequence[Sample]] = {}
        for name in self.config.splits:
            rng = self._rng(f"split {name}")
            found: dict[str, Sample] = {}
            try:
                for _ in range(4 * _SPLIT_SENTENCES):
                    sample = self._source.draw_split(rng, name)
                    found.setdefault(sample.sentence, sample)
                    if len(found) == _SPLIT_SENTENCES:
                        break
            except ConfigError:
                if not found:
                    raise
            result[name] = list(found.values())
        return result

    def examples(self) -> Sequence[Pair]:
        """One sentence for each of a dozen intents, in the home that ships."""
        rng = self._rng("examples")
        chosen: dict[str, Pair] = {}
        for _ in range(400):
            sample = self._source.draw_shipped(rng)
            if sample is not None and sample.intent != NO_MATCH:
                chosen.setdefault(sample.intent, pair_of(sample))
        return list(chosen.values())[:12]


class _WithExamples(SourceOnTop):
    """A source with some sentences on which nothing may be done."""

    def __init__(self, source: SampleSource, sentences: Sequence[str], share: float) -> None:
        super().__init__(source)
        self._sentences, self._share = sentences, share

    def draw(self, rng: random.Random) -> Sample:
        """A command, or with the share's chance one of the sentences."""
        if rng.random() < self._share:
            return Sample(rng.choice(self._sentences), NO_MATCH, {})
        return self._source.draw(rng)
