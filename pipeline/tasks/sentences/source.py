"""The sentences of files as a source of samples."""

from __future__ import annotations

import dataclasses
import math
import random
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from hassil.expression import Alternative, Expression, Group, ListReference, Permutation, RuleReference, TextChunk
from hassil.intents import (
    IntentData,
    RangeFractionType,
    RangeSlotList,
    SlotList,
    TextSlotList,
    TextSlotValue,
    WildcardSlotList,
)
from hassil.recognize import RecognizeResult, recognize_all

from pipeline.errors import ConfigError, Problem
from pipeline.languages import languages, load_language_file
from pipeline.recipes.schema import CommandsConfig, SentenceHints, SentencesConfig, SplitRule
from pipeline.tasks.answer_schema import QUANTITY_KINDS
from pipeline.tasks.home_file import KINDS
from pipeline.tasks.homes import HomeSource
from pipeline.tasks.needed_slots import needed_by
from pipeline.tasks.samples import NO_MATCH, IntentSchema, Sample, SlotSchema
from pipeline.tasks.sentences.files import (
    BUILTIN,
    HOME_LISTS,
    Fault,
    SentenceFiles,
    expand_paths,
    raise_faults,
    read_files,
    references,
)
from pipeline.tasks.sentences.free_text import Phrases
from pipeline.tasks.sentences.located import Place, place_of
from pipeline.tasks.sentences.names import HomeNames, Names
from pipeline.tasks.sentences.templates import (
    HIDDEN,
    Compiler,
    Impossible,
    Node,
    SlotUse,
    Walk,
    assemble,
    slot_of,
    slot_text,
    words_of,
)
from pipeline.tasks.sentences.typed_text import spoken_values
from pipeline.tasks.slot_sets import least_sets
from pipeline.text.annotation import Entry
from pipeline.validation import did_you_mean, validate

__all__ = ["SentencesSource", "Template", "load_sentences", "make_source"]

_TRIES = 60
_MAX_SURFACES = 48  # of one value that is a template
_MAX_CLOSED = 64  # values of a list that have answer tokens of their own
_SKIP_WORDS = 0.06  # share of sentences with a word that hassil skips
HERE = "the room of the device"


@dataclass(frozen=True)
class Template:
    """A template of a file.

    Attributes:
        index: among all.
        intent: its intent.
        text: as it is written.
        place: where.
        block: its block, with fixed slots and contexts.
        node: draws it.
        slots: that it may fill, those that are left out of the answer not among them.
        uses: how it fills them.
        lists: that it uses, by name.
        words: that it says literally.
        count: its expansions with lists as placeholders.
        filled: its expansions with lists and ranges filled; names count 1.
        weight: how often it is drawn within its intent.
        is_own: whether it stands in a file of the user's.
        needed: sets of slots of which each of its sentences fills one, see `needed_by`.
    """

    index: int
    intent: str
    text: str
    place: Place
    block: IntentData
    node: Node
    slots: frozenset[str]
    uses: Mapping[str, Sequence[SlotUse]]
    lists: Mapping[str, SlotList]
    words: frozenset[str]
    count: int
    filled: int
    weight: float
    is_own: bool
    needed: tuple[frozenset[str], ...]


def load_sentences(
    config: SentencesConfig, folder: Path, names: Names | None = None, is_strict: bool = True
) -> SentencesSource:
    """The source that a recipe's `task` section describes.

    Args:
        config: the section.
        folder: from which its paths are seen.
        names: of homes; None takes those of the task's `home` file, and made-up homes for training.
        is_strict: whether faults are errors; otherwise `SentencesSource.faults` has them.

    Raises:
        ConfigError: files that cannot be read, or sentences that cannot work, each with file and line.
    """
    files = read_files(expand_paths(config.files, folder), config.language, config.base is not None)
    return make_source(config, files, folder, names, is_strict)


def make_source(
    config: CommandsConfig, files: SentenceFiles, folder: Path, names: Names | None = None, is_strict: bool = True
) -> SentencesSource:
    """The source of files that were read; see `load_sentences`."""
    if names is None:
        texts = [text for intent in files.intents.intents.values() for b in intent.data for text in b.sentence_texts]
        names = Names(HomeSource.of_language(files.language, texts), folder / config.home if config.home else None)
    source = SentencesSource(config, files, names)
    if is_strict:
        raise_faults(source.faults)
    return source


class SentencesSource:
    """See `pipeline.tasks.samples.SampleSource`.

    Attributes:
        files: what the files say.
        faults: what cannot work.
        notes: what works otherwise than its writer may think.
        templates: that can be drawn.
    """

    def __init__(self, config: CommandsConfig, files: SentenceFiles, names: Names) -> None:
        self.config, self.files, self.names = config, files, names
        self.faults: list[Fault] = list(files.faults)
        self.notes: list[Fault] = list(files.notes)
        self.hints = self._merged_hints()
        self.has_home = bool(names.shipped.entries)
        self._surfaces = {id(values): self._surfaces_of(name, values) for name, values in self._text_lists()}
        self._kinds = self._list_kinds()
        self.empty_lists: set[str] = set()
        self.impossible: list[Fault] = []
        typed = {name: spoken_values(kind, files.language) for name, kind in self.hints.types.items()}
        words = frozenset(word for text in self._literal_texts() for word in words_of(text))
        self.phrases = Phrases.of_language(files.language, words, typed)
        self.templates: tuple[Template, ...] = tuple(self._compiled())
        self._check_hints()

    # What the source is made of

    @property
    def language(self) -> str:
        """Code."""
        return self.files.language

    def _merged_hints(self) -> SentenceHints:
        """Of the files and the recipe; the recipe's entries win."""
        merged: dict[str, Any] = {}
        parts = [validate(SentenceHints, dict(part), "", "thimble").model_dump() for part in self.files.hints]
        if isinstance(self.config, SentenceHints):
            parts.append(self.config.model_dump(include=set(SentenceHints.model_fields)))
        for part in parts:
            for key, value in part.items():
                if isinstance(value, Mapping):
                    merged[key] = {**merged.get(key, {}), **value}
                else:
                    merged[key] = (*merged.get(key, ()), *value)
        return SentenceHints.model_validate(merged)

    def _blocks(self) -> Iterator[tuple[str, IntentData]]:
        for name, intent in self.files.intents.intents.items():
            for block in intent.data:
                yield name, block

    def _text_lists(self) -> Iterator[tuple[str, TextSlotList]]:
        scopes: list[Mapping[str, SlotList]] = [self.files.intents.slot_lists]
        scopes += [block.slot_lists for _, block in self._blocks() if block.slot_lists]
        for scope in scopes:
            for name, values in scope.items():
                if isinstance(values, TextSlotList):
                    yield name, values

    def _surfaces_of(self, name: str, values: TextSlotList) -> tuple[tuple[str, str], ...] | None:
        """What is said for each value and the value; None where it cannot be listed."""
        result: dict[str, str] = {}
        rules = self.files.intents.expansion_rules
        for value in values.values:
            spoken = _expansions(value.text_in, rules, _MAX_SURFACES)
            if spoken is None:
                return None
            for text in spoken:
                said = " ".join(text.split())
                if said:
                    result.setdefault(said, said if value.value_out is None else slot_text(value.value_out))
        return tuple(result.items())

    def _literal_texts(self) -> Iterator[str]:
        rules = self.files.intents.expansion_rules
        for _, block in self._blocks():
            for sentence in block.sentences:
                yield from _literals(sentence.expression, {**rules, **block.expansion_rules})

    def _list_kinds(self) -> dict[int, str]:
        """Kinds of the lists whose values are marked.

        Every list is whose values can be listed, but short ones of whose values templates say half or more literally as
        well, such as on and off: they are words of the language rather than names, and are answer tokens alone.
        """
        others = {*QUANTITY_KINDS, *(KINDS + HOME_LISTS if self._names_things else ())}
        kinds: dict[int, str] = {}
        taken: dict[str, list[tuple[tuple[str, str], ...]]] = {}
        for name, values in self._text_lists():
            surfaces = self._surfaces[id(values)]
            if not surfaces:
                continue
            if 2 * len(self._words_among(name, surfaces)) >= len(surfaces):
                continue
            kind = f"{name}_list" if name in others else name
            several = taken.setdefault(kind, [])
            if surfaces not in several:  # blocks may have the same list each
                several.append(surfaces)
            number = several.index(surfaces)
            kinds[id(values)] = kind if not number else f"{kind}_{number + 1}"
        return kinds

    @property
    def _names_things(self) -> bool:
        """Whether sentences name things of a home."""
        rules = self.files.intents.expansion_rules.values()
        expressions = [rule.expression for rule in rules]
        expressions += [sentence.expression for _, block in self._blocks() for sentence in block.sentences]
        names = {r.list_name for e in expressions for r in references(e) if isinstance(r, ListReference)}
        return self.has_home or not names.isdisjoint(HOME_LISTS)

    @cached_property
    def _said(self) -> frozenset[str]:
        """What templates say literally, and its words."""
        said = {" ".join(words_of(text)) for text in self._literal_texts()}
        return frozenset(said | {word for text in said for word in text.split()})

    def _words_among(self, name: str, surfaces: Sequence[tuple[str, str]]) -> frozenset[str]:
        """Values of a short list that templates say literally as well: they are not marked."""
        if name in self.hints.open or len({value for _, value in surfaces}) > _MAX_CLOSED:
            return frozenset()
        return frozenset(text for text, _ in surfaces if " ".join(words_of(text)) in self._said)

    @cached_property
    def _units(self) -> Mapping[str, tuple[str, str]]:
        return unit_words(self.language)

    def _compiled(self) -> Iterator[Template]:
        intents = self.files.intents
        index = 0
        for name, block in self._blocks():
            rules = {**intents.expansion_rules, **block.expansion_rules}
            lists = {**intents.slot_lists, **block.slot_lists}
            for sentence in block.sentences:
                text = sentence.text or ""
                place = place_of(text)
                compiler = Compiler(
                    language=self.language,
                    block=block,
                    rules=rules,
                    lists=lists,
                    list_kinds=self._kinds,
                    home_first=self.has_home,
                    open_lists=frozenset(self.hints.open),
                    units=self._units,
                )
                node = compiler.compile(sentence.expression)
                self.empty_lists |= compiler.empty
                count, filled = _count(sentence.expression, rules, lists)
                template = Template(
                    index=index,
                    intent=name,
                    text=text,
                    place=place,
                    block=block,
                    node=node,
                    slots=frozenset(compiler.uses),
                    uses=compiler.uses,
                    lists=compiler.used_lists,
                    words=frozenset(compiler.said),
                    count=count,
                    filled=filled,
                    weight=min(4.0, 1 + 0.25 * math.log2(max(count, 1))),
                    is_own=place != BUILTIN,
                    needed=tuple(needed_by(sentence.expression, rules, slot_of)),
                )
                reason = self._probe(template)
                if reason is None:
                    yield template
                    index += 1
                elif template.is_own:
                    fault = Fault(place, f"{text!r} gives no sentence: {reason}", _remedy(reason))
                    self.impossible.append(fault)
                    if "no entries" not in reason and "no home" not in reason:
                        self.faults.append(fault)

    def _probe(self, template: Template) -> str | None:
        """Why no sentence comes out of the template; None where one does."""
        rng = random.Random(0)
        reason = ""
        homes = [self.names.draw(rng) for _ in range(3)] if template.slots else [HomeNames()]
        for number in range(_TRIES):
            try:
                self._walk(template, homes[number % len(homes)], rng)
            except Impossible as impossible:
                reason = str(impossible)
                continue
            return None
        return reason

    def _check_hints(self) -> None:
        """Names in the hints that nothing has."""
        hints = self.hints
        intents = {*self.files.intents.intents, NO_MATCH, *(example.intent for example in hints.examples)}
        slots = {slot for schema in self._schemas.values() for slot in schema.slots}
        lists = {name for name, _ in self._text_lists()}
        wild = {name for scope in self._scopes() for name, some in scope.items() if isinstance(some, WildcardSlotList)}
        problems: list[Problem] = []

        def known(key: str, names: Iterable[str], where: set[str], what: str) -> None:
            for name in names:
                if name not in where:
                    remedy = f"use one of: {', '.join(sorted(where)[:12])}{did_you_mean(name, where)}"
                    problems.append(Problem(key, f"`{key}` names {name!r}, which is no {what}", remedy))

        known("required", hints.required, intents, "intent of the files")
        known("exclusive", hints.exclusive, intents, "intent of the files")
        known("default", hints.default, intents, "intent of the files")
        known("weight", hints.weight, intents, "intent of the files")
        known("open", hints.open, lists | set(HOME_LISTS), "list with values")
        known("types", hints.types, wild, "wildcard list of the files")
        for name, several in hints.required.items():
            known(f"required.{name}", several, slots, "slot of the sentences")
        for name, groups in hints.exclusive.items():
            for group in groups:
                known(f"exclusive.{name}", group, slots, "slot of the sentences")
        for name, values in self._text_lists():
            if name in hints.open and id(values) not in self._kinds:
                what = f"`open` names {name!r}, whose values cannot be listed: they have lists in them"
                problems.append(Problem("open", what, "write its values as text"))
        if problems:
            raise ConfigError("", problems)

    def _scopes(self) -> list[Mapping[str, SlotList]]:
        return [self.files.intents.slot_lists, *(block.slot_lists for _, block in self._blocks() if block.slot_lists)]

    # Drawing

    def draw(self, rng: random.Random) -> Sample:
        """One training sentence; never one of a held-out split."""
        return self._draw(rng)

    def draw_split(self, rng: random.Random, split: str) -> Sample:
        """One sentence of a held-out split, in the home that ships.

        Raises:
            ConfigError: the rule of the split fits no sentence.
        """
        for _ in range(200 * _TRIES):
            sample = self.draw_shipped(rng)
            if sample is not None and self.split_of(sample) == split:
                return sample
        problem = Problem("splits", f"the split {split!r} holds no sentence", "give it a larger share")
        raise ConfigError("", [problem])

    def draw_shipped(self, rng: random.Random) -> Sample | None:
        """One sentence in the home that ships, of a split or not; None where the home lacks what it names."""
        sample = self._candidate(rng, self.names.shipped)
        if sample is None or len(sample.entries) > len(self.names.shipped.entries):
            return None
        return dataclasses.replace(sample, entries=())

    def _draw(self, rng: random.Random) -> Sample:
        sample = None
        for _ in range(_TRIES):
            sample = self._candidate(rng)
            if sample is not None and (not self.config.splits or self.split_of(sample) is None):
                return sample
        if sample is None:
            raise ConfigError("", [Problem("files", "no template gives a sentence", "run `thimble check` on it")])
        return sample

    def _candidate(self, rng: random.Random, home: HomeNames | None = None) -> Sample | None:
        groups, weights = self._groups
        members, cumulative = rng.choices(groups, cum_weights=weights)[0]
        chosen = rng.choices(members, cum_weights=cumulative)[0]
        if not isinstance(chosen, Template):
            return chosen
        if home is None:
            home = self.names.draw(rng) if self._uses_home else HomeNames()
        try:
            return self._walk(chosen, home, rng)
        except Impossible:
            return None

    def draw_template(self, template: Template, rng: random.Random) -> Sample | None:
        """One sentence of a template; None where this try gives none."""
        try:
            return self._walk(template, self.names.draw(rng), rng)
        except Impossible:
            return None

    @cached_property
    def _uses_home(self) -> bool:
        return any(self._uses_names(template) for template in self.templates)

    def _uses_names(self, template: Template) -> bool:
        kinds = {"area", "floor", *KINDS}
        return any(use.kinds & kinds for uses in template.uses.values() for use in uses)

    @cached_property
    def _groups(self) -> tuple[list[tuple[list[Template | Sample], list[float]]], list[float]]:
        """Templates and examples by intent, an intent weighted with the root of their number."""
        by_intent: dict[str, list[tuple[Template | Sample, float]]] = {}
        for template in self.templates:
            by_intent.setdefault(template.intent, []).append((template, template.weight))
        for sample in self.examples:
            by_intent.setdefault(sample.intent, []).append((sample, 1.0))
        groups: list[tuple[list[Template | Sample], list[float]]] = []
        weights: list[float] = []
        total = 0.0
        for intent, members in by_intent.items():
            inner = 0.0
            cumulative: list[float] = []
            for _, weight in members:
                inner += weight
                cumulative.append(inner)
            groups.append(([member for member, _ in members], cumulative))
            total += len(members) ** 0.5 * self.hints.weight.get(intent, 1.0)
            weights.append(total)
        if not groups:
            what = "the files hold no sentence that can be said"
            raise ConfigError("", [Problem("files", what, "add sentences under `intents`")])
        return groups, weights

    @cached_property
    def examples(self) -> tuple[Sample, ...]:
        """Sentences that no template says."""
        result = []
        for example in self.hints.examples:
            slots = {slot: slot_text(value) for slot, value in example.slots.items()}
            spans = []
            for value in slots.values():
                start = example.sentence.lower().find(value.lower())
                if start >= 0:
                    spans.append((start, start + len(value)))
            result.append(Sample(example.sentence, example.intent, slots, fixed=tuple(sorted(spans))))
        return tuple(result)

    def _walk(self, template: Template, home: HomeNames, rng: random.Random) -> Sample:
        walk = Walk(rng, home, self.names, self.phrases)
        template.node.walk(walk)
        sentence, spans = assemble(walk.pieces)
        if not sentence:
            raise Impossible("it may be empty, and then nothing is said")
        block = template.block
        if block.required_keywords and block.required_keywords.isdisjoint(sentence.split()):
            raise Impossible("it holds none of the block's `required_keywords`")
        skip_words = self.files.intents.skip_words
        if skip_words and rng.random() < _SKIP_WORDS:
            filler = str(rng.choice(skip_words))
            if rng.random() < 0.5 and not (spans and spans[-1][1] == len(sentence)):
                sentence = f"{sentence} {filler}"
            elif not (spans and spans[0][0] == 0):
                sentence = f"{filler} {sentence}"
                shift = len(filler) + 1
                spans = tuple((start + shift, end + shift) for start, end in spans)
        slots = {name: slot_text(value) for name, value in fixed_slots(block).items() if not name.startswith(HIDDEN)}
        slots.update(walk.slots)
        for name, value in self.hints.default.get(template.intent, {}).items():
            slots.setdefault(name, slot_text(value))
        intent = template.intent
        lacks = any(name not in slots for name in self.hints.required.get(intent, ()))
        if lacks or any(len(slots.keys() & set(group)) > 1 for group in self.hints.exclusive.get(intent, ())):
            intent, slots = NO_MATCH, {}
        return Sample(
            sentence, intent, slots, (*walk.made, *home.entries) if walk.made else home.entries, template.index, spans
        )

    def split_of(self, sample: Sample) -> str | None:
        """The held-out split to which a sample belongs; None for those of training."""
        for name, rule in self.config.splits.items():
            if self._is_held(name, rule, sample):
                return name
        return None

    def _is_held(self, name: str, rule: SplitRule, sample: Sample) -> bool:
        if rule.by == "template":
            template = self.templates[sample.template].text if sample.template >= 0 else sample.sentence
            parts = [f"{sample.intent} {template}"]
        elif rule.by == "answer":
            parts = [f"{sample.intent} {sorted(sample.slots.items())}"]
        elif rule.by == "value":
            spans = [sample.sentence[start:end] for start, end in sample.fixed]
            parts = [span.casefold() for span in spans if not span.isdigit()]
        else:
            parts = [" ".join(words_of(sample.sentence))]
        limit = rule.share * 2**32
        return any(zlib.crc32(f"{self.config.seed}\0{name}\0{part}".encode()) < limit for part in parts)

    # What the sentences mean

    def entries(self) -> tuple[Entry, ...]:
        """Names of the home that ships, then values of the lists that are marked."""
        return self._entries

    @cached_property
    def _entries(self) -> tuple[Entry, ...]:
        result: dict[tuple[str, str], Entry] = {}
        for entry in self.names.shipped.entries:
            result.setdefault((entry.text.casefold(), entry.kind), entry)
        used = {id(values) for template in self.templates for values in template.lists.values()}
        for name, values in self._text_lists():
            kind = self._kinds.get(id(values))
            if kind is None or id(values) not in used:
                continue
            surfaces = self._surfaces[id(values)] or ()
            words = self._words_among(name, surfaces)
            for said, value in surfaces:
                if said not in words:
                    result.setdefault((said.casefold(), kind), Entry(said, kind, value))
        return tuple(result.values())

    def listed(self) -> Iterator[tuple[str, TextSlotList, Sequence[tuple[str, str]]]]:
        """Lists whose values can be listed: name, list, and what is said for each value with the value."""
        for name, values in self._text_lists():
            surfaces = self._surfaces[id(values)]
            if surfaces is not None:
                yield name, values, surfaces

    def intents(self) -> Mapping[str, IntentSchema]:
        """All intents but `NO_MATCH`, with what their slots may hold."""
        return self._schemas

    @cached_property
    def _schemas(self) -> dict[str, IntentSchema]:
        slots: dict[str, dict[str, _SlotBuilder]] = {}
        for template in self.templates:
            known = slots.setdefault(template.intent, {})
            for name, value in fixed_slots(template.block).items():
                if not name.startswith(HIDDEN):
                    known.setdefault(name, _SlotBuilder()).values.add(slot_text(value))
            for name, uses in template.uses.items():
                builder = known.setdefault(name, _SlotBuilder())
                for use in uses:
                    builder.add(use, self._type_of(template, name))
        for intent, defaults in self.hints.default.items():
            for name, value in defaults.items():
                slots.setdefault(intent, {}).setdefault(name, _SlotBuilder()).values.add(slot_text(value))
        for example in self.examples:
            if example.intent == NO_MATCH:
                continue
            known = slots.setdefault(example.intent, {})
            for name, value in example.slots.items():
                builder = known.setdefault(name, _SlotBuilder())
                if not builder.kinds and not builder.is_free and value.casefold() not in example.sentence.casefold():
                    builder.values.add(value)
                elif not builder.kinds and not builder.values:
                    builder.is_free = True
        return {
            intent: IntentSchema(
                {name: builder.schema() for name, builder in sorted(known.items())},
                self._needed(intent),
                tuple(map(frozenset, self.hints.exclusive.get(intent, ()))),
            )
            for intent, known in slots.items()
        }

    def _needed(self, intent: str) -> tuple[frozenset[str], ...]:
        """What templates and examples of an intent fill, with what is required and what has a default."""
        always = {*self.hints.default.get(intent, ()), *self.hints.required.get(intent, ())}
        found = [
            always | {name for name in fixed_slots(template.block) if not name.startswith(HIDDEN)} | filled
            for template in self.templates
            if template.intent == intent
            for filled in template.needed
        ]
        found += [always.union(example.slots) for example in self.examples if example.intent == intent]
        return tuple(least_sets(map(frozenset, found)))

    def _type_of(self, template: Template, slot: str) -> str:
        """The type that the hints give a slot's wildcard."""
        for list_name, kind in self.hints.types.items():
            if list_name in template.lists and (slot == list_name or f"{{{list_name}:{slot}}}" in template.text):
                return kind
        return ""

    def literal_words(self) -> frozenset[str]:
        """Words that the templates say literally, and those that hassil skips."""
        words = {word for template in self.templates for word in template.words}
        words |= self._glued_words
        words.update(word for phrase in self.files.intents.skip_words for word in words_of(str(phrase)))
        words.update(word for example in self.examples for word in words_of(example.sentence))
        return frozenset(word for word in words if word not in "%°:")

    @cached_property
    def _glued_words(self) -> set[str]:
        """Words that templates put together of parts, such as `light[s]`, as far as some walks say them."""
        rng = random.Random(0)
        words: set[str] = set()
        for template in self.templates:
            homes = [self.names.draw(rng) for _ in range(3)]
            for number in range(12 + min(template.count, 60)):
                try:
                    sample = self._walk(template, homes[number % 3], rng)
                except Impossible:
                    continue
                start = 0
                for first, end in (*sample.fixed, (len(sample.sentence), len(sample.sentence))):
                    words.update(words_of(sample.sentence[start:first]))
                    start = end
        return words

    # What hassil reads

    @cached_property
    def catch_alls(self) -> tuple[Template, ...]:
        """Templates that read any sentence."""
        return tuple(t for t in self.templates if self._reads_all(t))

    def _reads_all(self, template: Template) -> bool:
        if not any(isinstance(some, WildcardSlotList) for some in template.lists.values()):
            return False
        return all(self._by_template(text, template) for text in ("qzx vwk pfh", "jrl xqz wvb kkq"))

    def _by_template(self, sentence: str, template: Template) -> bool:
        return any(
            result.intent_sentence is not None
            and result.intent_sentence.text == template.text
            and result.intent.name == template.intent
            for result in self.recognize(sentence)
        )

    @property
    def nomatch_share(self) -> float:
        """Share of training sentences that ask for nothing; none where a template reads any sentence."""
        if self.catch_alls and "nomatch_share" not in self.config.model_fields_set:
            return 0.0
        return self.config.nomatch_share

    def recognize(self, sentence: str, entries: Iterable[Entry] = ()) -> Iterator[RecognizeResult]:
        """What hassil reads in a sentence, in its order.

        Args:
            sentence: as it is said.
            entries: names of the home, besides those of the home that ships.
        """
        lists = dict(self._home_lists)
        extra = tuple(entries)
        if extra:
            lists = {name: self._with(name, extra) for name in HOME_LISTS if self._is_of_home(name)}
        return iter(
            recognize_all(
                sentence,
                self.files.intents,
                slot_lists=lists,
                intent_context={"area": HERE},
                language=self.language,
            )
        )

    def _is_of_home(self, name: str) -> bool:
        return self.has_home or name not in self.files.intents.slot_lists

    @cached_property
    def _home_lists(self) -> dict[str, SlotList]:
        return {name: self._with(name, ()) for name in HOME_LISTS if self._is_of_home(name)}

    def _with(self, name: str, extra: Sequence[Entry]) -> TextSlotList:
        values = [
            TextSlotValue.from_tuple((named.entry.text, named.entry.value, dict(named.context)), allow_template=False)
            for named in self.names.shipped.of(name)
        ]
        for entry in extra:
            kind = entry.kind if entry.kind in HOME_LISTS else "name"
            if kind == name:
                context = {"domain": entry.kind} if kind == "name" else {}
                values.append(TextSlotValue.from_tuple((entry.text, entry.value, context), allow_template=False))
        return TextSlotList(name=name, values=values)

    def reads(self, sentence: str) -> bool:
        """Whether a template of the task reads the sentence, whatever it then does."""
        return bool(self._cached_reads(sentence))

    @cached_property
    def _cached_reads(self) -> Any:
        @lru_cache(maxsize=100_000)
        def reads(sentence: str) -> bool:
            return any(True for _ in self.recognize(sentence))

        return reads


class _SlotBuilder:
    """Collects how the templates of an intent fill a slot."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.values: set[str] = set()
        self.is_free = False
        self.parts: set[str] = set()

    def add(self, use: SlotUse, kind: str) -> None:
        if use.is_free and kind:
            name, part = ("duration", kind) if kind in ("days", "hours", "minutes", "seconds") else (kind, "")
            if name == "name":
                self.is_free = True
            else:
                self.kinds.add(name)
            self.parts.add(part)
            return
        self.kinds |= use.kinds
        if use.values is not None and (len(use.values) <= _MAX_CLOSED or not use.kinds):
            self.values.update(use.values)
        self.is_free |= use.is_free
        if use.kinds & {"duration", "time"}:
            self.parts.add(use.part)

    def schema(self) -> SlotSchema:
        return SlotSchema(
            kinds=frozenset(self.kinds),
            values=tuple(sorted(self.values)),
            is_free=self.is_free,
            part=next(iter(self.parts)) if len(self.parts) == 1 else "",
        )


_UNITS: Mapping[str, tuple[tuple[str, str], tuple[str, ...]]] = {
    "percent": (
        ("percent", ""),
        ("%", "percent", "prozent", "procent", "процент", "процентов", "pour", "por", "per", "százalék", "prosent"),
    ),
    "degrees": (
        ("degrees", ""),
        ("°", "degree", "degrees", "grad", "grader", "graden", "degré", "degrés", "grado", "grados", "gradi", "graus"),
    ),
    "clock": (("time", "hours"), ("uhr", "o'clock", "oclock", "am", "pm", "heures", "heure", "uur", "klockan")),
}
"""Words behind a number in any language: kind and part of the quantity that it is then."""
_UNIT_KEYS = ("days", "hours", "minutes", "seconds")


def unit_words(language: str) -> Mapping[str, tuple[str, str]]:
    """Words behind a number that make it a quantity of another kind: the kind, and the part of it that the number is.

    Args:
        language: code; its file of quantities has the words of durations.
    """
    words = {word: meaning for meaning, several in _UNITS.values() for word in several}
    known = languages("quantities")
    if language in known or language.split("-", maxsplit=1)[0] in known:
        data = load_language_file(language, "quantities")
        for section in ("units", "abbreviations"):
            for unit in _UNIT_KEYS:
                for word in data.get(section, {}).get(unit, ()):
                    words[str(word).lower()] = ("duration", unit)
    return words


def fixed_slots(block: IntentData) -> dict[str, Any]:
    """The fixed slots of a block, and those that a context of one value fills."""
    slots: dict[str, Any] = {}
    for key, wanted in block.requires_context.items():
        if isinstance(wanted, Mapping) and wanted.get("slot") and isinstance(wanted.get("value"), str):
            slots[wanted["slot"] if isinstance(wanted["slot"], str) else key] = wanted["value"]
    return {**slots, **block.slots}


def _remedy(reason: str) -> str:
    if "wildcards" in reason:
        return "put a word between them, or give one of them `values:`"
    if "no entries" in reason:
        return "give the list values"
    if "no home" in reason:
        return "check `requires_context`, or the home"
    if "required_keywords" in reason:
        return "write the keywords as the sentence has them, capitals too"
    return "let it say something"


def _literals(expression: Expression, rules: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    if isinstance(expression, TextChunk):
        yield expression.text
    elif isinstance(expression, Group):
        for item in expression.items:
            yield from _literals(item, rules, depth)
    elif isinstance(expression, RuleReference) and depth < 12 and expression.rule_name in rules:
        yield from _literals(rules[expression.rule_name].expression, rules, depth + 1)


def _expansions(expression: Expression, rules: Mapping[str, Any], limit: int, depth: int = 0) -> list[str] | None:
    """All that an expression without lists says; None where it has lists or says more than `limit`."""
    if isinstance(expression, TextChunk):
        return [expression.text]
    if isinstance(expression, RuleReference):
        if depth > 12 or expression.rule_name not in rules:
            return None
        return _expansions(rules[expression.rule_name].expression, rules, limit, depth + 1)
    if isinstance(expression, ListReference | Permutation) or not isinstance(expression, Group):
        return None
    parts = [_expansions(item, rules, limit, depth) for item in expression.items]
    result: list[str] = [] if isinstance(expression, Alternative) else [""]
    for part in parts:
        if part is None:
            return None
        result = result + part if isinstance(expression, Alternative) else [a + b for a in result for b in part]
        if len(result) > limit:
            return None
    return list(dict.fromkeys(result))


def _count(expression: Expression, rules: Mapping[str, Any], lists: Mapping[str, SlotList]) -> tuple[int, int]:
    """Expansions of an expression: with lists as placeholders, and with lists and ranges filled."""
    if isinstance(expression, TextChunk):
        return 1, 1
    if isinstance(expression, RuleReference):
        return _count(rules[expression.rule_name].expression, rules, lists)
    if isinstance(expression, ListReference):
        values = lists.get(expression.list_name)
        if isinstance(values, TextSlotList):
            total = sum(_count(value.text_in, rules, lists)[1] for value in values.values)
            return 1, max(total, 1)
        if isinstance(values, RangeSlotList):
            return 1, _steps(values)
        if inline := expression.get_inline_range():
            return 1, max((inline[1] - inline[0]) // inline[2] + 1, 1)
        return 1, 1
    assert isinstance(expression, Group)
    parts = [_count(item, rules, lists) for item in expression.items]
    if isinstance(expression, Alternative):
        return sum(count for count, _ in parts), sum(filled for _, filled in parts)
    orders = math.factorial(len(parts)) if isinstance(expression, Permutation) else 1
    return orders * math.prod(count for count, _ in parts), orders * math.prod(filled for _, filled in parts)


def _steps(numbers: RangeSlotList) -> int:
    """How many numbers it has, those between the whole ones too."""
    between = RangeFractionType.get_fractions(numbers.fraction_type) if numbers.fraction_type else ()
    whole = (numbers.stop - numbers.start) // numbers.step + 1
    return whole * (1 + len(list(between)))
