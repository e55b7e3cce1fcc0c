"""The task `pairs`: sentences and answers from files of one's own."""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pipeline.recipes.schema import PairsConfig
from pipeline.tasks.pair_files import PairSource, is_structured, read_pair_files
from pipeline.tasks.pairs import PairTask
from pipeline.tasks.samples import Sample, SampleSource
from pipeline.tasks.structured import StructuredTask
from pipeline.tasks.task import Dataset, Pair, Task, TextWriter

__all__ = ["load_pairs_task"]

_SPLIT = {"held_out": "pairs that a hash of the sentence keeps from training"}
_MAX_EXAMPLES = 12


def load_pairs_task(config: PairsConfig, folder: Path) -> Task:
    """The task of the files' pairs.

    Args:
        config: the recipe's section.
        folder: from which its paths are seen.

    Raises:
        ThimbleError: see `read_pair_files`.
    """
    pairs = read_pair_files([folder / file for file in config.files])
    return StructuredPairsTask(config, pairs) if is_structured(pairs) else TextPairsTask(config, pairs)


class TextPairsTask(PairTask):
    """Answers are text; see `pipeline.tasks.task.Task`."""

    splits: Mapping[str, str] = _SPLIT
    baseline_splits: tuple[str, ...] = ()

    def __init__(self, config: PairsConfig, pairs: Sequence[Pair]) -> None:
        self.config = config
        held = {pair for pair in pairs if is_held_out(pair.sentence, config)}
        self._held_out = [pair for pair in dict.fromkeys(pairs) if pair in held]
        self._train = [pair for pair in pairs if pair not in held]

    @property
    def seed(self) -> int:
        """Of the recipe."""
        return self.config.seed

    def dataset(self, writer: TextWriter | None = None) -> Dataset:
        """The pairs in an order that the seed decides; dev is what is held out, else some of training."""
        train = list(self._train)
        random.Random(f"{self.seed}:pairs").shuffle(train)
        return Dataset(train, (self._held_out or train)[:400], {"held_out": self._held_out} if self._held_out else {})

    def examples(self) -> Sequence[Pair]:
        """The first dozen."""
        return self._train[:_MAX_EXAMPLES]

    def prompts(self) -> tuple[str, ...]:
        """The examples' sentences."""
        return tuple(pair.sentence for pair in self.examples())

    def baseline(self, pairs: Sequence[Pair]) -> list[bool]:
        """No tool of the field reads them."""
        return []


class StructuredPairsTask(StructuredTask):
    """Answers are in answer tokens."""

    splits: Mapping[str, str] = _SPLIT

    def __init__(self, config: PairsConfig, pairs: Sequence[Pair]) -> None:
        self.config, self.seed, self.pointers = config, config.seed, config.pointers
        self._all = PairSource(pairs, config.language, config.lists)
        train = [pair for pair in pairs if not is_held_out(pair.sentence, config)]
        self._source = PairSource(train, config.language, config.lists) if len(train) < len(pairs) else self._all

    @property
    def language(self) -> str:
        """Of the recipe."""
        return self.config.language

    @property
    def source(self) -> SampleSource:
        """The pairs that are trained on."""
        return self._source

    @cached_property
    def training_source(self) -> SampleSource:
        """The pairs, and sentences on which nothing may be done."""
        if not self.config.nomatch:
            return self._source
        from pipeline.tasks.negatives import NegativeSource

        return NegativeSource(self._source, self.config.nomatch)

    def held_out_samples(self) -> Mapping[str, Sequence[Sample]]:
        """The pairs that training does not see."""
        held = [sample for sample in self._all.samples if is_held_out(sample.sentence, self.config)]
        return {"held_out": held} if held else {}


def is_held_out(sentence: str, config: PairsConfig) -> bool:
    """Whether training does not see a sentence."""
    return zlib.crc32(f"{config.seed}:{sentence}".encode()) % 1_000_000 < config.held_out * 1_000_000
