"""Home Assistant's sentences as samples, each in a home of its own."""

from __future__ import annotations

import random
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise

from hassil.intents import RangeSlotList, TextSlotList

from pipeline.languages import languages, load_language_file
from pipeline.tasks.elision import elision_of
from pipeline.tasks.home_assistant.noise import add_typos, polite
from pipeline.tasks.home_assistant.reader import Reader
from pipeline.tasks.home_assistant.templates import NAMED, Language, Template, Walk, slot_text
from pipeline.tasks.home_file import KINDS, Home, kind_of
from pipeline.tasks.homes import HomeSource
from pipeline.tasks.samples import NO_MATCH, IntentSchema, Sample, SlotSchema
from pipeline.tasks.slot_sets import least_sets
from pipeline.text.annotation import Entry

__all__ = ["HomeAssistantSource"]

_KNOWN = 0.95  # share of names that the home has
_CALLED_AS_A_NOUN = 0.12  # share of sentences in whose home another thing has a noun of the sentence as its name
_FREE_TEXT = 1.5  # how much more often templates with free text are drawn
_CALLED_AS_A_PART = 0.15  # share of sentences with a longer value in whose home something has a word of it as its name
_ASKED_AS_OTHER = 0.25  # share of a sensor's names that belong to a thing which commands act on, too
_BY_WAYS, _BY_KINDS = 0.3, 0.55  # powers of an intent's number of templates and of blocks, whose product it weighs
_MEASURED = ("sensor", "binary_sensor")
_OPENED = ("door", "window", "garage_door", "opening")


class HomeAssistantSource:
    """See `pipeline.tasks.samples.SampleSource`.

    Args:
        language: with its templates.
        homes: makes names and homes.
        home: the home that ships; its names are the task's.
        templates: those that are drawn; None for all.
        polite: share of sentences with a filler word.
        spoiled: share of sentences with a typo, or words swapped or dropped.
        keeps: whether training may see a template with these slots; None for all.
    """

    def __init__(
        self,
        language: Language,
        homes: HomeSource,
        home: Home,
        templates: Sequence[Template] | None = None,
        polite: float = 0.1,
        spoiled: float = 0.1,
        keeps: Callable[[Template, Mapping[str, str]], bool] | None = None,
    ) -> None:
        self.home, self.homes = home, homes
        self._language, self._keeps = language, keeps
        self._polite, self._spoiled = polite, spoiled
        self._templates = tuple(language.templates if templates is None else templates)
        self._elision = elision_of(language.code)
        self._choices, self._weights = _weighted(self._templates, self._says_free_text)

    @property
    def language(self) -> str:
        """Its code."""
        return self._language.code

    def _says_free_text(self, template: Template) -> bool:
        """Whether a sentence of the template may hold any words, such as a title."""
        lists = self._language.lists(template)
        return any(
            not reference.is_capture
            and reference.list_name not in ("name", *NAMED)
            and not isinstance(lists.get(reference.list_name), RangeSlotList | TextSlotList)
            for reference in self._language.references(template)
        )

    def draw(self, rng: random.Random) -> Sample:
        """One training sentence, in a home of its own."""
        while True:
            template = self._choices[bisect(self._weights, rng.random() * self._weights[-1])]
            names = _DrawnNames(self.homes, template, rng)
            walk = self._language.draw(template, rng, names.value)
            if self._keeps is None or self._keeps(template, walk.slots):
                return self._sample(template, walk, names, rng)

    def draw_in_home(self, rng: random.Random) -> Sample | None:
        """A sentence with names of the home that ships, as it stands in its templates; None where the home has no
        such name, or names that make it mean something else."""
        template = self._choices[bisect(self._weights, rng.random() * self._weights[-1])]
        names = _HomeNames(self.home, self.homes, template, rng)
        walk = self._language.draw(template, rng, names.value)
        text, fixed = self._elision.text(*walk.finish())
        if names.is_missing or any(self._hides(entry, text, names.said) for entry in self.entries()):
            return None
        return Sample(text, template.intent, walk.slots, (), template.index, fixed)

    def _hides(self, entry: Entry, text: str, said: set[str]) -> bool:
        """Whether a name that nobody meant stands in a sentence, so that it means another thing."""
        name = entry.text.lower()
        return name not in said and f" {name} " in f" {text.lower()} "

    def spoil(self, sample: Sample, rng: random.Random) -> str:
        """The sentence with a typo, or words swapped or dropped."""
        return add_typos(_pieces(sample), self._droppable, rng)

    def entries(self) -> tuple[Entry, ...]:
        """The names of the home that ships."""
        return self.home.entries()

    @cached_property
    def _intents(self) -> dict[str, IntentSchema]:
        kinds: dict[tuple[str, str], set[str]] = {}
        values: dict[tuple[str, str], set[str]] = {}
        free: set[tuple[str, str]] = set()
        needed: dict[str, list[frozenset[str]]] = {}
        for template in self._language.templates:
            intent, lists = template.intent, self._language.lists(template)
            needed.setdefault(intent, []).extend(self._language.needed_slots(template))
            for slot, fixed in template.block.slots.items():
                values.setdefault((intent, slot), set()).add(slot_text(fixed))
            for reference in self._language.references(template):
                key = (intent, reference.slot_name)
                found = lists.get(reference.list_name)
                if reference.is_capture:
                    continue
                if reference.list_name == "name":
                    kinds.setdefault(key, set()).update(_kinds(template))
                elif reference.list_name in NAMED:
                    kinds.setdefault(key, set()).add(reference.list_name)
                elif isinstance(found, RangeSlotList) and (found.multiplier or 1) > 0:
                    kinds.setdefault(key, set()).update(_quantity_kinds(found))
                elif isinstance(found, TextSlotList):
                    texts = {slot_text(value.value_out).lower() for value in found.values}
                    values.setdefault(key, set()).update(texts)
                elif not isinstance(found, RangeSlotList):
                    free.add(key)
        schemas: dict[str, dict[str, SlotSchema]] = {intent: {} for intent in needed}
        for intent, slot in sorted({*kinds, *values, *free}):
            key = (intent, slot)
            schemas[intent][slot] = SlotSchema(
                frozenset(kinds.get(key, ())),
                tuple(sorted(values.get(key, ()))),
                key in free,
            )
        return {
            intent: IntentSchema(slots, tuple(least_sets(needed[intent])), room=self._language.room_of(intent))
            for intent, slots in schemas.items()
        }

    def intents(self) -> Mapping[str, IntentSchema]:
        """All intents of the language."""
        return self._intents

    @cached_property
    def _literal_words(self) -> frozenset[str]:
        return self._language.literal_words() | {word for filler in self._language.fillers for word in filler.split()}

    def literal_words(self) -> frozenset[str]:
        """Words that templates, lists and fillers say literally."""
        return self._literal_words

    def reads(self, sentence: str) -> bool:
        """Whether a template reads the sentence, with any name that is put together of words that names have."""
        return self._reader.reads(sentence)

    @cached_property
    def _reader(self) -> Reader:
        names = {word for entry in self.entries() for word in entry.text.lower().split()}
        return Reader(self._language, self.homes.words | names)

    def _sample(self, template: Template, walk: Walk, names: _DrawnNames, rng: random.Random) -> Sample:
        text, fixed = self._elision.text(*walk.finish())
        values = [text[first:end].lower() for first, end in fixed]
        entries = names.entries(text, values, self._named_kinds[template.intent])
        # Nothing can be done to a thing that the home does not have, however clear the sentence is.
        intent, slots = (NO_MATCH, {}) if names.has_unknown else (template.intent, walk.slots)
        sample = Sample(text, intent, slots, entries, template.index, fixed)
        if self._spoiled and rng.random() < self._spoiled:
            spoiled = self.spoil(sample, rng)
            fixed = _spans(spoiled, [text[first:end].lower() for first, end in fixed])
            text = spoiled
        if self._polite and rng.random() < self._polite and self._language.fillers:
            said = polite(text, self._language.fillers, rng)
            shift = 0 if said.startswith(text) else len(said) - len(text)
            fixed = tuple((first + shift, end + shift) for first, end in fixed)
            text = said
        if text is not sample.sentence:
            return Sample(text, sample.intent, sample.slots, sample.entries, sample.template, fixed)
        return sample

    @cached_property
    def _named_kinds(self) -> dict[str, frozenset[str]]:
        """By intent, the kinds of names that its answers may hold."""
        return {
            intent: frozenset().union(*(slot.kinds for slot in schema.slots.values()))
            for intent, schema in self._intents.items()
        }

    @cached_property
    def _droppable(self) -> frozenset[str]:
        """Optional words: short ones that the templates put in brackets, and that mean nothing of their own. Particles
        do: without "off" or "zu" a command is its opposite, and without its verb none."""
        droppable: set[str] = set()
        rules = {name: rule.text or "" for name, rule in self._language.intents.expansion_rules.items()}
        for template in self._language.templates:
            for part in template.text.split("[")[1:]:
                inside = part.split("]")[0].strip().strip("()")
                if inside.startswith("<") and inside.endswith(">"):
                    inside = rules.get(inside[1:-1], "").strip("()")
                droppable.update(word for word in inside.lower().split("|") if word.isalpha() and len(word) <= 4)
        return frozenset(droppable & self._small_words)

    @cached_property
    def _small_words(self) -> set[str]:
        """Articles, pronouns in the dative, and politeness, where the language has a file of them."""
        code = self.language.split("-", maxsplit=1)[0]
        if code not in languages("weave"):
            return set()
        table = load_language_file(code, "weave")
        determiners = {word for determiner in table["determiners"] for word in determiner["words"].split()}
        return {*determiners, *table["surface"]["articles"], *table["datives"], *table["politeness"]}


class _DrawnNames:
    """Names that are made up while a sentence is drawn, and the home that they stand in."""

    def __init__(self, homes: HomeSource, template: Template, rng: random.Random) -> None:
        self._homes, self._template, self._rng = homes, template, rng
        self._own: list[Entry] = []
        self._said: list[str] = []
        self.has_unknown = False
        self._names_thing = False

    def value(self, list_name: str) -> tuple[str, str]:
        """The text of a list's value, and what the slot holds."""
        rng, homes = self._rng, self._homes
        if list_name == "name":
            self._names_thing = True
            kind, name = self._thing()
        elif list_name == "area":
            kind, name = list_name, homes.area(rng)
        elif list_name == "floor":
            kind, name = list_name, homes.floor(rng)
        else:
            text = homes.phrase(rng, list_name)
            return text, text
        said = homes.said(name, rng)
        self._said += (name, said) if said != name else (name,)
        # "Close the garage door" asks for all there are where no thing has that name, and is no unknown name.
        if rng.random() >= _KNOWN and not (list_name == "name" and homes.is_noun(name)):
            self.has_unknown = True
            return said, name
        self._own.append(Entry(name, kind, name))
        return said, name

    def _thing(self) -> tuple[str, str]:
        rng, template = self._rng, self._template
        domains = template.domains
        kind = kind_of(domains[int(rng.random() * len(domains))])
        if kind in _MEASURED and rng.random() < _ASKED_AS_OTHER:
            others = _other_kinds(kind, template.device_class)
            other = others[int(rng.random() * len(others))]
            if rng.random() < 0.5:  # called as such a thing is, and known as one
                return other, self._homes.name(rng, other)
            if rng.random() < 0.5:  # called as such a thing is, and nothing but a sensor
                return kind, self._homes.name(rng, other)
            return other, self._homes.name(rng, kind, template.device_class)
        return kind, self._homes.name(rng, kind, template.device_class)

    def entries(self, sentence: str, values: Sequence[str], kinds: frozenset[str]) -> tuple[Entry, ...]:
        """The sentence's own names and those of another home, entities first, then areas, then floors.

        Names of the other home that stand in the sentence by chance are left out where they would mean something; but
        not inside of a longer value ("play the office", "open the garage door").

        Args:
            sentence: with the names.
            values: the texts of its slots' values in lower case, names among them.
            kinds: of names that its answer may hold.
        """
        others = self._homes.other_entries(self._rng)
        text = f" {sentence.lower()} "
        said = [name.lower() for name in self._said]
        longer = [f" {value} " for value in values if " " in value and value not in said]
        outside = text
        for value in longer:
            outside = outside.replace(value, "  ")
        stems = self._homes.stems
        stems_outside, stems_inside, stems_of_longer = stems(outside), stems(text), [*map(stems, longer)]
        stems_said = [stems(name).strip() for name in said]
        kept = [
            entry
            for name, entry in others
            if name not in (stems_outside if name not in stems_of_longer else stems_inside)
            or (entry.kind not in kinds and not any(own in name for own in stems_said))
        ]
        own = list(self._own)
        if self._rng.random() < _CALLED_AS_A_NOUN:
            own += self._called_as_a_noun(text, kinds)
        if longer and self._rng.random() < _CALLED_AS_A_PART:
            own += self._called_as_a_part(longer)
        if not own:
            return tuple(kept)
        names = {entry.text.lower() for entry in own}
        return tuple(sorted((*own, *(entry for entry in kept if entry.text.lower() not in names)), key=_rank))

    def _called_as_a_noun(self, text: str, kinds: frozenset[str]) -> list[Entry]:
        """A thing that is called as a noun of the sentence, such as "Light", and that the sentence does not mean."""
        said = {word for name in self._said for word in name.lower().split()}
        words = text.split()
        nouns = [word for word in words if word in self._homes.words and word not in said and len(word) > 2]
        if not self._names_thing:  # "Motion Sensors", in a sentence about all of them
            plurals = [word for word in nouns if word.endswith("s") and len(word) > 4]
            nouns += [f"{first} {word}" for first, word in pairwise(words) if word in plurals and first in nouns]
        # Where the sentence names a thing, a noun that its answer could mean as well would be another reading of it.
        others = [kind for kind in (*_MEASURED, "scene", "script") if not self._names_thing or kind not in kinds]
        if not nouns or not others:
            return []
        noun = nouns[int(self._rng.random() * len(nouns))].title()
        kind = others[int(self._rng.random() * len(others))]
        return [Entry(noun, kind, noun)]

    def _called_as_a_part(self, values: Sequence[str]) -> list[Entry]:
        """An area or a thing that is called as a word of a longer value, and that the sentence does not mean."""
        said = {word for name in self._said for word in name.lower().split()}
        words = [word for value in values for word in value.split() if len(word) > 3 and word not in said]
        if not words:
            return []
        word = words[int(self._rng.random() * len(words))].title()
        return [Entry(word, "area" if self._rng.random() < 0.5 else self._homes.kind(self._rng), word)]


class _HomeNames:
    """Names of one home."""

    def __init__(self, home: Home, homes: HomeSource, template: Template, rng: random.Random) -> None:
        self._home, self._homes, self._template, self._rng = home, homes, template, rng
        self.is_missing = False
        self.said: set[str] = set()

    def value(self, list_name: str) -> tuple[str, str]:
        """The text of a list's value, and what the slot holds."""
        if list_name not in NAMED:
            text = self._homes.phrase(self._rng, list_name)
            return text, text
        if list_name == "name":
            kinds = set(map(kind_of, self._template.domains))
            device_class = self._template.device_class
            names: list[tuple[str, ...]] = [
                (thing.name, *thing.aliases)
                for thing in self._home.entities
                if thing.kind in kinds and device_class in ("", thing.device_class)
            ]
        else:
            things = self._home.areas if list_name == "area" else self._home.floors
            names = [(thing.name, *thing.aliases) for thing in things]
        if not names:
            self.is_missing = True
            return "", ""
        chosen = self._rng.choice(names)
        text = self._homes.said(self._rng.choice(chosen), self._rng)
        self.said.add(text.lower())
        return text, chosen[0]


_RANKS = {"area": 1, "floor": 2}


def _rank(entry: Entry) -> int:
    return _RANKS.get(entry.kind, 0)


def _kinds(template: Template) -> set[str]:
    """Kinds of names that `{name}` of a template may be."""
    kinds = set(map(kind_of, template.domains))
    return kinds.union(*(_other_kinds(kind, template.device_class) for kind in kinds if kind in _MEASURED))


def _other_kinds(kind: str, device_class: str) -> tuple[str, ...]:
    """Kinds of things that a sensor may belong to: not those whose own state the same words ask for."""
    if kind == "sensor":
        return tuple(other for other in KINDS if other not in ("scene", "script", "todo", "weather", "button", kind))
    if device_class in _OPENED:
        return ("lock", "sensor")
    if device_class == "lock":
        return ("sensor", "cover")
    if device_class == "":
        return ("sensor",)
    return ("lock", "cover", "climate", "media_player", "vacuum", "lawn_mower", "switch", "sensor")


def _quantity_kinds(values: RangeSlotList) -> set[str]:
    return {"number"} | {{"percentage": "percent", "temperature": "degrees"}.get(values.type, "number")}


def _weighted(
    templates: Sequence[Template], says_free_text: Callable[[Template], bool]
) -> tuple[list[Template], list[float]]:
    """Templates with cumulative weights: an intent counts the more, the more templates and the more blocks it has, so
    that one of many questions is not learned last, and less than in proportion, so that one of few is learned at all;
    half of it is shared by templates, half by blocks. Free text is harder to learn than a name that is marked, and
    counts more."""
    by_intent = Counter(template.intent for template in templates)
    blocks: dict[str, set[int]] = {}
    in_block = Counter((template.intent, id(template.block)) for template in templates)
    for template in templates:
        blocks.setdefault(template.intent, set()).add(id(template.block))
    weights = []
    for template in templates:
        count = by_intent[template.intent]
        num_blocks = len(blocks[template.intent])
        by_block = 1 / (num_blocks * in_block[template.intent, id(template.block)])
        free = _FREE_TEXT if says_free_text(template) else 1.0
        weights.append(free * count**_BY_WAYS * num_blocks**_BY_KINDS * (0.5 / count + 0.5 * by_block))
    return list(templates), list(accumulate(weights))


def _pieces(sample: Sample) -> list[tuple[str, bool]]:
    """The sentence in pieces, with whether each is a slot's value."""
    pieces: list[tuple[str, bool]] = []
    end = 0
    for first, behind in sample.fixed:
        pieces += [(sample.sentence[end:first], False), (sample.sentence[first:behind], True)]
        end = behind
    return [*pieces, (sample.sentence[end:], False)]


def _spans(sentence: str, values: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Where values stand in a sentence, one behind the other; those that are not there are left out."""
    spans: list[tuple[int, int]] = []
    end = 0
    for value in values:
        first = sentence.find(value, end)
        if first >= 0:
            end = first + len(value)
            spans.append((first, end))
    return tuple(spans)
