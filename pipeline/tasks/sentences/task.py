"""The task `sentences`: commands in files of Home Assistant's `custom_sentences` format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pipeline.recipes.schema import SentencesConfig
from pipeline.tasks.samples import Sample, SampleSource
from pipeline.tasks.sentences.source import SentencesSource, load_sentences
from pipeline.tasks.structured import StructuredTask
from pipeline.tasks.tests_file import load_tests
from pipeline.tasks.training_mix import training_mix
from pipeline.text.normalize import Normalizer

__all__ = ["SentencesTask"]

_SPLIT_SENTENCES = 300
_TRIES = 100


class SentencesTask(StructuredTask):
    """See `pipeline.tasks.task.Task`.

    Args:
        config: the recipe's section.
        folder: from which its paths are seen.
    """

    def __init__(self, config: SentencesConfig, folder: Path) -> None:
        self.config, self._folder = config, folder
        self.seed, self.pointers = config.seed, config.pointers
        self.splits: Mapping[str, str] = {
            name: f"of {rule.share:.0%} of the {rule.by}s, which training never sees"
            for name, rule in config.splits.items()
        }

    @cached_property
    def _sentences(self) -> SentencesSource:
        return load_sentences(self.config, self._folder)

    @property
    def language(self) -> str:
        """Of the files."""
        return self._sentences.language

    @property
    def source(self) -> SampleSource:
        """The files' templates."""
        return self._sentences

    @cached_property
    def training_source(self) -> SampleSource:
        """The templates with the language woven around them, and sentences on which nothing may be done."""
        share = self._sentences.nomatch_share
        return training_mix(self._sentences, self.config.weave, share, self._sentences.hints.nomatch)

    @cached_property
    def excluded(self) -> frozenset[str]:
        """The sentences of the tests."""
        if self.config.tests is None:
            return frozenset()
        normalizer = Normalizer()
        return frozenset(normalizer.text(test.sentence) for test in load_tests(self._folder / self.config.tests))

    def held_out_samples(self) -> Mapping[str, Sequence[Sample]]:
        """By split, sentences that the split's rule keeps from training, said in the home that ships."""
        result: dict[str, Sequence[Sample]] = {}
        for name in self.config.splits:
            rng = self._rng(f"split {name}")
            drawn: dict[str, Sample] = {}
            for _ in range(_TRIES * _SPLIT_SENTENCES):
                sample = self._sentences.draw_split(rng, name)
                drawn.setdefault(sample.sentence, sample)
                if len(drawn) == _SPLIT_SENTENCES:
                    break
            result[name] = list(drawn.values())
        return result
