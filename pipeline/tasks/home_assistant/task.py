"""Home Assistant's own sentences as a task: a spoken command in, the intent and its slots out.

The held-out splits are disjoint from training by construction: a hash of a name, of an action and of a template's text
decides on which side it stands, and a sentence that two templates give belongs to training alone.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from hassil.intents import TextSlotList

from pipeline.recipes.schema import HomeAssistantConfig
from pipeline.tasks.home_assistant.home import Home, english_home, generic_home
from pipeline.tasks.home_assistant.noise import add_typos, polite
from pipeline.tasks.home_assistant.templates import Language, Sample, Template, load_language
from pipeline.tasks.pairs import PairTask
from pipeline.tasks.task import Dataset, Pair, TextWriter

__all__ = ["HomeAssistantTask"]

_LONGEST = 96  # letters of a sentence or an action; longer ones do not fit a small context

_EXAMPLES = {
    "en": [
        ("turn off the kitchen lights", "HassTurnOff area=kitchen domain=light"),
        ("set the bedroom brightness to 40 percent", "HassLightSet area=bedroom brightness=40 domain=light"),
        ("is the front deadbolt locked", "HassGetState name=front deadbolt state=locked"),
        ("set a timer for 5 minutes", "HassStartTimer minutes=5"),
        ("open the blinds in the living room", "HassTurnOn area=living room device_class=blind domain=cover"),
        ("add oat milk to my shopping list", "HassShoppingListAddItem item=oat milk"),
        ("what is the temperature in the nursery", "HassClimateGetTemperature area=nursery"),
        ("set the lights in the office to blue", "HassLightSet area=office color=blue domain=light"),
        ("pause the pizza timer", "HassPauseTimer name=pizza"),
        ("turn on the marvok sconce", "HassTurnOn name=marvok sconce"),
        ("are any windows open upstairs", "HassGetState device_class=window domain=cover floor=upstairs state=open"),
        ("what time is it", "HassGetCurrentTime"),
    ]
}


class HomeAssistantTask(PairTask):
    """See `pipeline.tasks.task.Task`."""

    splits: Mapping[str, str] = {
        "new_combinations": "templates and values seen in training, in combinations that were not",
        "new_names": "names of areas and devices that training never saw",
        "new_templates": "whole sentence templates withheld from training",
        "noisy": "typos, words swapped or dropped",
    }
    baseline_splits: tuple[str, ...] = ("noisy",)

    def __init__(self, config: HomeAssistantConfig, folder: Path = Path()) -> None:
        self.config = config
        self.language: Language = load_language(config.language)

    @property
    def seed(self) -> int:
        """Of the recipe."""
        return self.config.seed

    @classmethod
    def from_mapping(cls, data: Mapping[str, object]) -> HomeAssistantTask:
        """The task of a recipe's `task` section, with or without its `name`.

        Raises:
            ThimbleError: an unknown key or language, or a value of the wrong type or range.
        """
        return cls(HomeAssistantConfig.from_mapping(data))

    @cached_property
    def home(self) -> Home:
        """Source of names: words for English, made-up ones for other languages."""
        if self.config.language.split("-")[0] == "en":
            return english_home()
        return generic_home(self.language.literal_texts(), self.language.domains(), self.config.seed)

    @cached_property
    def withheld(self) -> frozenset[int]:
        """Templates withheld from training: about one in twelve, each with at least two others of the same
        signature."""
        teachers = Counter(template.signature for template in self.language.templates)
        held: set[int] = set()
        for template in sorted(self.language.templates, key=lambda t: self._hash("template", t.intent, t.text)):
            if len(held) >= len(self.language.templates) // 12:
                break
            if teachers[template.signature] > 2:
                teachers[template.signature] -= 1
                held.add(template.index)
        return frozenset(held)

    def examples(self) -> Sequence[Pair]:
        """A dozen pairs to show: chosen ones in English, else held-out sentences."""
        chosen = _EXAMPLES.get(self.config.language)
        if chosen:
            return [Pair(*pair) for pair in chosen]
        rng = self._rng("examples")
        return [pair for _, pair, _ in (self._draw(rng, self._seen, new_names=False) for _ in range(12))]

    def dataset(self, writer: TextWriter | None = None) -> Dataset:
        """All splits; the same for the same configuration and package versions."""
        count = self.config.split_sentences
        train = self._train()
        known = {pair.sentence for pair in train}
        values = {part for pair in train for part in _slot_values(pair.action)}
        actions = {pair.action for pair in train}

        def fresh(split: str, templates: Sequence[Template], new_names: bool, held_action: bool) -> list[Pair]:
            rng = self._rng(split)
            pairs: dict[str, Pair] = {}
            for _ in range(200 * count if templates else 0):  # a small language can spare no template
                sample, pair, _ = self._draw(rng, templates, new_names)
                usable = len(pair.sentence) <= _LONGEST and len(pair.action) <= _LONGEST and pair.sentence not in known
                if held_action:
                    usable = usable and pair.action not in actions and self._held_action(pair.action)
                    usable = usable and all(part in values for part in _slot_values(pair.action))
                else:
                    usable = usable and not self._held_action(pair.action)
                if new_names:
                    usable = usable and bool(sample.names)
                if usable and pair.sentence not in pairs:
                    pairs[pair.sentence] = pair
                    if len(pairs) == count:
                        break
            return list(pairs.values())

        held = [template for template in self.language.templates if template.index in self.withheld]
        splits = {
            "new_combinations": fresh("new_combinations", self._seen, new_names=False, held_action=True),
            "new_names": fresh("new_names", self._seen, new_names=True, held_action=False),
            "new_templates": fresh("new_templates", held, new_names=False, held_action=False),
        }
        splits["noisy"] = self._noisy(count, known)
        dev = train[:count]
        return Dataset(train=train[count:], dev=dev, splits=splits)

    def prompts(self) -> tuple[str, ...]:
        """The examples' sentences."""
        return tuple(pair.sentence for pair in self.examples())

    def baseline(self, pairs: Sequence[Pair]) -> list[bool]:
        """Which pairs hassil itself recognizes to the right intent, given every name in the sentence."""
        from pipeline.tasks.home_assistant.baseline import recognized

        return [recognized(self.language, self.home, pair) for pair in pairs]

    @cached_property
    def _seen(self) -> list[Template]:
        return [template for template in self.language.templates if template.index not in self.withheld]

    @cached_property
    def _by_intent(self) -> dict[int, tuple[list[list[Template]], list[float]]]:
        return {}

    def _train(self) -> list[Pair]:
        """Training pairs, shuffled; of two actions for one sentence the earlier template's stays."""
        rng = self._rng("train")
        target_count = self.config.train_sentences + self.config.split_sentences
        by_sentence: dict[str, tuple[int, Pair]] = {}
        fillers = self.language.fillers
        for _ in range(4 * target_count):
            sample, pair, template = self._draw(rng, self._seen, new_names=False)
            if len(pair.sentence) > _LONGEST or len(pair.action) > _LONGEST or self._held_action(pair.action):
                continue
            sentence = pair.sentence
            if rng.random() < self.config.spoiled:
                sentence = add_typos(sample.pieces, self._droppable, rng)
            if fillers and rng.random() < self.config.polite:
                sentence = polite(sentence, fillers, rng)
            earlier = by_sentence.get(sentence)
            if earlier is None or template.index < earlier[0]:
                by_sentence[sentence] = (template.index, Pair(sentence, pair.action))
            if len(by_sentence) == target_count:
                break
        pairs = [pair for _, pair in by_sentence.values()]
        rng.shuffle(pairs)
        return pairs

    def _noisy(self, count: int, known: set[str]) -> list[Pair]:
        rng = self._rng("noisy")
        by_sentence: dict[str, Pair] = {}
        for _ in range(100 * count):
            sample, pair, _ = self._draw(rng, self._seen, new_names=False)
            sentence = add_typos(sample.pieces, self._droppable, rng)
            fits = len(sentence) <= _LONGEST and len(pair.action) <= _LONGEST
            if fits and sentence != pair.sentence and sentence not in known and not self._held_action(pair.action):
                by_sentence[sentence] = Pair(sentence, pair.action)
                if len(by_sentence) == count:
                    break
        return list(by_sentence.values())

    def _draw(
        self, rng: random.Random, templates: Sequence[Template], new_names: bool
    ) -> tuple[Sample, Pair, Template]:
        groups, weights = self._groups(templates)
        template = rng.choice(rng.choices(groups, cum_weights=weights)[0])
        sample = self.language.draw(template, self.home, rng, new_names)
        slots = "".join(f" {key}={value.lower()}" for key, value in sorted(sample.slots.items()))
        return sample, Pair(sample.sentence, template.intent + slots), template

    def _groups(self, templates: Sequence[Template]) -> tuple[list[list[Template]], list[float]]:
        """Templates by intent, an intent weighted with the root of its number of templates."""
        key = id(templates)
        if key not in self._by_intent:
            groups: dict[str, list[Template]] = {}
            for template in templates:
                groups.setdefault(template.intent, []).append(template)
            total, cumulative = 0.0, []
            for group in groups.values():
                total += len(group) ** 0.5
                cumulative.append(total)
            self._by_intent[key] = (list(groups.values()), cumulative)
        return self._by_intent[key]

    def _held_action(self, action: str) -> bool:
        """Whether the action is a combination that training never sees."""
        return "=" in action and self._hash("action", action) % 12 == 0

    @cached_property
    def _droppable(self) -> frozenset[str]:
        """Optional words: short ones that the templates put in brackets, and that are no slot's value."""
        droppable: set[str] = set()
        rules = {name: rule.text or "" for name, rule in self.language.intents.expansion_rules.items()}
        for template in self.language.templates:
            for part in template.text.split("[")[1:]:
                inside = part.split("]")[0].strip().strip("()")
                if inside.startswith("<") and inside.endswith(">"):
                    inside = rules.get(inside[1:-1], "").strip("()")
                droppable.update(word for word in inside.lower().split("|") if word.isalpha() and len(word) <= 4)
        lists = self.language.intents.slot_lists.values()
        values = {
            str(value.value_out).lower() for some in lists if isinstance(some, TextSlotList) for value in some.values
        }
        return frozenset(droppable - values)

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(f"{self.config.seed}:{self.config.language}:{purpose}")

    def _hash(self, *parts: str) -> int:
        return zlib.crc32("\0".join((str(self.config.seed), *parts)).encode())


def _slot_values(action: str) -> list[str]:
    """`key=value` parts of an action; values may hold spaces."""
    parts: list[str] = []
    for word in action.split(" ")[1:]:
        if "=" in word or not parts:
            parts.append(word)
        else:
            parts[-1] += f" {word}"
    return parts
