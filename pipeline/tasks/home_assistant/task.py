"""Home Assistant's own sentences as a task: a spoken command in, the intent and its slots out.

Training draws a home of its own for every sentence; held-out sentences are said in the home that ships with the model,
so that a board can be asked. What they hold out is decided by hashes of templates and of answers.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pipeline.recipes.schema import HomeAssistantConfig
from pipeline.tasks.home_assistant.source import HomeAssistantSource
from pipeline.tasks.home_assistant.templates import Language, Template, load_language
from pipeline.tasks.home_file import Home, load_home
from pipeline.tasks.homes import HomeSource
from pipeline.tasks.samples import Sample, SampleSource
from pipeline.tasks.structured import StructuredTask, pair_of
from pipeline.tasks.task import Dataset, Pair, TextWriter
from pipeline.text.answers import StructuredAnswer

__all__ = ["HomeAssistantTask"]

_LONGEST = 96  # letters of a held-out sentence or answer; longer ones do not fit a small context
_DEV_SENTENCES = 400
_TRIES = 400  # for one held-out sentence

_EXAMPLES = {
    "en": [
        ("turn off the kitchen lights", "HassTurnOff area=Kitchen domain=light"),
        ("set the bedroom brightness to 40 percent", "HassLightSet area=Bedroom brightness=40"),
        ("set a timer for 5 minutes", "HassStartTimer minutes=5"),
        ("add oat milk to my shopping list", "HassShoppingListAddItem item=oat milk"),
        ("set the lights in the office to blue", "HassLightSet area=Office color=blue"),
        ("pause the pizza timer", "HassPauseTimer name=pizza"),
        ("what time is it", "HassGetCurrentTime"),
    ]
}


class HomeAssistantTask(StructuredTask):
    """See `pipeline.tasks.task.Task`.

    Args:
        config: the recipe's section.
        folder: from which its paths are seen.
    """

    baseline_splits: tuple[str, ...] = ("noisy",)

    def __init__(self, config: HomeAssistantConfig, folder: Path | None = None) -> None:
        self.config, self._folder = config, folder or Path()
        self.seed, self.pointers = config.seed, config.pointers
        self.templates: Language = load_language(config.language)
        self.splits = dict(_SPLITS) if config.held_out else {name: _SPLITS[name] for name in _ALWAYS}

    @classmethod
    def from_mapping(cls, data: Mapping[str, object], folder: Path | None = None) -> HomeAssistantTask:
        """The task of a recipe's `task` section, with or without its `name`.

        Raises:
            ThimbleError: an unknown key or language, or a value of the wrong type or range.
        """
        return cls(HomeAssistantConfig.from_mapping(data), folder)

    @property
    def language(self) -> str:
        """Of the recipe."""
        return self.config.language

    @cached_property
    def home(self) -> Home:
        """The home that ships: of the recipe's file, else one that the seed draws."""
        if self.config.home:
            return load_home(self._folder / self.config.home)
        homes = HomeSource.of_language(self.language, self.templates.literal_texts(), self.seed)
        return homes.draw_home(self._rng("home"))

    @cached_property
    def homes(self) -> HomeSource:
        """Source of names; never of a thing's name that the home that ships has."""
        avoided = frozenset(name.lower() for thing in self.home.entities for name in (thing.name, *thing.aliases))
        return HomeSource.of_language(self.language, self.templates.literal_texts(), self.seed, avoided)

    @cached_property
    def withheld(self) -> frozenset[int]:
        """Templates withheld from training: about one in twelve, each with at least two others of the same
        signature."""
        if not self.config.held_out:
            return frozenset()
        teachers = Counter(template.signature for template in self.templates.templates)
        held: set[int] = set()
        for template in sorted(self.templates.templates, key=lambda t: self._hash("template", t.intent, t.text)):
            if len(held) >= len(self.templates.templates) // 12:
                break
            if teachers[template.signature] > 2:
                teachers[template.signature] -= 1
                held.add(template.index)
        return frozenset(held)

    @cached_property
    def source(self) -> HomeAssistantSource:
        """Commands of templates that are not withheld, without noise."""
        return self._source(self._seen, 0.0, 0.0, self._keeps)

    @cached_property
    def training_source(self) -> SampleSource:
        """The same with noise and fillers, in further forms of the language, and sentences on which nothing may be
        done."""
        config = self.config
        keeps = self._keeps if config.held_out else None
        source: SampleSource = self._source(self._seen, config.polite, config.spoiled, keeps)
        if config.weave:
            from pipeline.tasks.weave import WeaveSource

            source = WeaveSource(source, config.weave)
        if config.nomatch:
            from pipeline.tasks.negatives import NegativeSource

            source = NegativeSource(source, config.nomatch, plain=self.source, talk=config.talk)
        return source

    def _keeps(self, template: Template, slots: Mapping[str, str]) -> bool:
        return not self.is_held_out(template, slots)

    def is_held_out(self, template: Template, slots: Mapping[str, str]) -> bool:
        """Whether training never sees a template with these slots."""
        if not self.config.held_out or len(slots) <= len(template.block.slots):
            return False
        answer = StructuredAnswer(template.intent, slots).text.lower()
        return self._hash("combination", str(template.index), answer) % 12 == 0

    @property
    def here(self) -> Sequence[str]:
        """As the templates say it."""
        return self.templates.here_phrases()

    @property
    def excluded_files(self) -> Sequence[Path]:
        """The tests, and the files that `exclude` names."""
        return [self._folder / file for file in (*self.config.exclude, self.config.tests or "") if file]

    def examples(self) -> Sequence[Pair]:
        """Up to a dozen pairs to show, in the home that ships: chosen ones in English, else drawn ones."""
        areas = {area.name for area in self.home.areas}
        chosen = [Pair(*pair) for pair in _EXAMPLES.get(self.language, [])]
        chosen = [pair for pair in chosen if _area(pair.action) in ("", *areas)]
        rng = self._rng("examples")
        known = {pair.action.split(" ")[0]: pair for pair in chosen}
        for _ in range(_TRIES):
            sample = self.source.draw_in_home(rng)
            if sample is not None and len(sample.sentence) < 60:
                known.setdefault(sample.intent, pair_of(sample))
        return [*chosen, *(pair for pair in known.values() if pair not in chosen)][:12]

    def dataset(self, writer: TextWriter | None = None) -> Dataset:
        """Dev pairs and splits, in the home that ships."""
        held = {pair.sentence for pairs in self._splits.values() for pair in pairs}
        rng = self._rng("dev")
        dev = self._fresh(rng, self.source, _DEV_SENTENCES, self._keeps, held)
        return Dataset(train=[], dev=[pair_of(sample) for sample in dev], splits=dict(self._splits))

    def held_out_samples(self) -> Mapping[str, Sequence[Sample]]:
        """Samples by split; the same for the same configuration and package versions."""
        count, everything = self.config.split_sentences, self.templates.templates
        sources: dict[str, HomeAssistantSource | None] = {"new_names": self.source, "noisy": self.source}
        if self.config.held_out:
            withheld = [template for template in everything if template.index in self.withheld]
            sources = {
                "new_combinations": self._source(self._seen, 0.0, 0.0),
                "new_names": self.source,
                "new_templates": self._source(withheld, 0.0, 0.0) if withheld else None,
                "noisy": self.source,
            }
        known: set[str] = set()
        splits: dict[str, Sequence[Sample]] = {}
        for split, source in sources.items():
            rng = self._rng(split)

            def wanted(template: Template, slots: Mapping[str, str], split: str = split) -> bool:
                if split == "new_names" and not (template.has_name and "name" in slots):
                    return False
                return self.is_held_out(template, slots) == (split == "new_combinations")

            samples = [] if source is None else self._fresh(rng, source, count, wanted, known, split == "noisy")
            known.update(sample.sentence for sample in samples)
            splits[split] = samples
        return splits

    def baseline(self, pairs: Sequence[Pair]) -> list[bool]:
        """Which pairs hassil itself recognizes to the right intent, given every name in the sentence."""
        from pipeline.tasks.home_assistant.baseline import recognized

        return [recognized(self.templates, self.home, pair) for pair in pairs]

    @cached_property
    def _seen(self) -> list[Template]:
        return [template for template in self.templates.templates if template.index not in self.withheld]

    def _source(
        self,
        templates: Sequence[Template],
        polite: float,
        spoiled: float,
        keeps: Callable[[Template, Mapping[str, str]], bool] | None = None,
    ) -> HomeAssistantSource:
        return HomeAssistantSource(self.templates, self.homes, self.home, templates, polite, spoiled, keeps)

    def _fresh(
        self,
        rng: random.Random,
        source: HomeAssistantSource,
        count: int,
        wanted: Callable[[Template, Mapping[str, str]], bool],
        known: set[str],
        is_spoiled: bool = False,
    ) -> list[Sample]:
        """Different sentences that are not in `known`; fewer where the templates give no more."""
        samples: dict[str, Sample] = {}
        for _ in range(_TRIES * count):
            sample = source.draw_in_home(rng)
            if sample is None or not wanted(self.templates.templates[sample.template], sample.slots):
                continue
            if is_spoiled:
                spoiled = source.spoil(sample, rng)
                if spoiled == sample.sentence.lower():
                    continue
                sample = Sample(spoiled, sample.intent, sample.slots, (), sample.template)
            if max(len(sample.sentence), len(pair_of(sample).action)) <= _LONGEST and sample.sentence not in known:
                samples.setdefault(sample.sentence, sample)
                if len(samples) == count:
                    break
        return list(samples.values())

    def _hash(self, *parts: str) -> int:
        return zlib.crc32("\0".join((str(self.seed), *parts)).encode())


_SPLITS = {
    "new_combinations": "templates and values seen in training, in combinations that were not",
    "new_names": "names of things that training never saw",
    "new_templates": "whole sentence templates withheld from training",
    "noisy": "typos, words swapped or dropped",
}
_ALWAYS = ("new_names", "noisy")


def _area(action: str) -> str:
    _, equals, rest = action.partition(" area=")
    return rest.split(" ")[0] if equals else ""
