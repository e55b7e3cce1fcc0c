"""Parsed templates made ready for drawing: one random walk gives a sentence and what its slots hold."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from hassil.expression import Alternative, Expression, Group, ListReference, Permutation, RuleReference, TextChunk
from hassil.expression import Sentence as ParsedSentence
from hassil.intents import IntentData, RangeFractionType, RangeSlotList, RangeType, SlotList, TextSlotList
from hassil.numbers import get_rbnf_engine
from hassil.util import check_excluded_context, check_required_context

from pipeline.tasks.home_file import kind_of
from pipeline.tasks.sentences.files import HOME_LISTS
from pipeline.tasks.sentences.names import DOMAINS, HomeNames, Named, Names
from pipeline.text.annotation import Entry

__all__ = [
    "Compiler",
    "Impossible",
    "Node",
    "SlotUse",
    "Walk",
    "assemble",
    "number_words",
    "slot_of",
    "slot_text",
    "words_of",
]

_SPELLED = 0.2  # share of numbers that are written as words
_FRACTION = 0.15  # share of numbers with a fraction where a range has them
_OMITTED = 0.5  # share of optional parts that are left out
_SPACES = re.compile(r"\s+")
_WORDS = re.compile(r"[%°:]|[^\W\d_]+(?:'[^\W\d_]+)*|\d+")
_WILDCARD = "\0"  # stands in sets of first words for any word
HIDDEN = "x_"
"""Slots that begin so are matched and left out of the answer."""


class Impossible(Exception):
    """This walk makes no sentence that can be; the message says why."""


def slot_text(value: object) -> str:
    """A slot's value as answers spell it.

    Several values are joined by `|`, whole numbers have no fraction, truth values are `true` and `false`, mappings are
    JSON without spaces.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "|".join(map(slot_text, value))
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(round(value, 6))
    return " ".join(str(value).split())


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; `%`, `°` and `:` are words."""
    return _WORDS.findall(text.lower())


def slot_of(reference: ListReference) -> str:
    """The slot of an answer that a reference fills; empty where it fills none."""
    return "" if reference.is_capture or reference.slot_name.startswith(HIDDEN) else str(reference.slot_name)


@dataclass(frozen=True)
class SlotUse:
    """How a template fills a slot.

    Attributes:
        kinds: marks that the value may be.
        values: the values of a closed list; None where they are not listed.
        is_free: whether any words may stand there.
        part: the part of a duration or a time that the slot holds, such as "minutes"; empty for the whole.
    """

    kinds: frozenset[str] = frozenset()
    values: tuple[str, ...] | None = None
    is_free: bool = False
    part: str = ""


class FreeText(Protocol):
    """Makes text for wildcards."""

    def draw(self, rng: random.Random, list_name: str, avoid: frozenset[str]) -> tuple[str, str]:
        """What is said, and the slot's value; none of the words is in `avoid`."""
        ...


class Walk:
    """A walk through a template: the sentence and the slots so far."""

    __slots__ = ("free", "home", "made", "names", "pieces", "random", "rng", "slots")

    def __init__(self, rng: random.Random, home: HomeNames, names: Names, free: FreeText) -> None:
        self.rng, self.random, self.home, self.names, self.free = rng, rng.random, home, names, free
        self.made: list[Entry] = []  # names that the home lacks
        self.pieces: list[tuple[str, int]] = []  # 0: words of the template, 1: a value, 2: free text
        self.slots: dict[str, str] = {}


def assemble(pieces: Sequence[tuple[str, int]]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The sentence of pieces, with single spaces, and the spans of its values.

    Raises:
        Impossible: free text begins where other free text ends.
    """
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    length, is_space, is_open = 0, True, False
    for piece, kind in pieces:
        text = _SPACES.sub(" ", piece)
        if is_space and text[:1] == " ":
            text = text[1:]
        if not text:
            continue
        if kind == 2 and is_open:
            raise Impossible("two wildcards side by side: nothing says where one ends")
        parts.append(text)
        is_space = text[-1] == " "
        if kind:
            spans.append((length, length + len(text) - is_space))
        is_open = kind == 2 or (is_open and text == " ")
        length += len(text)
    return "".join(parts).rstrip(), tuple(spans)


class Node(Protocol):
    """A part of a template."""

    def walk(self, walk: Walk) -> None:
        """Adds what it says."""
        ...


@dataclass(frozen=True, slots=True)
class _Text:
    text: str

    def walk(self, walk: Walk) -> None:
        walk.pieces.append((self.text, 0))


@dataclass(frozen=True, slots=True)
class _Row:
    items: tuple[Node, ...]

    def walk(self, walk: Walk) -> None:
        for item in self.items:
            item.walk(walk)


@dataclass(frozen=True, slots=True)
class _Choice:
    items: tuple[Node, ...]
    is_optional: bool

    def walk(self, walk: Walk) -> None:
        if self.is_optional and walk.random() < _OMITTED:
            return
        self.items[int(walk.random() * len(self.items))].walk(walk)


@dataclass(frozen=True, slots=True)
class _Shuffled:
    items: tuple[Node, ...]

    def walk(self, walk: Walk) -> None:
        for item in walk.rng.sample(self.items, len(self.items)):
            item.walk(walk)


@dataclass(frozen=True, slots=True)
class _Dead:
    reason: str

    def walk(self, walk: Walk) -> None:
        raise Impossible(self.reason)


@dataclass(frozen=True, slots=True)
class _Value:
    """A list with values. Values that mean the same share one chance, so that a hundred names of one thing do not hide
    the other things."""

    groups: tuple[tuple[str | None, tuple[str | Node, ...]], ...]
    slot: str

    def walk(self, walk: Walk) -> None:
        out, spoken = self.groups[int(walk.random() * len(self.groups))]
        said = spoken[int(walk.random() * len(spoken))]
        if not isinstance(said, str):
            outer, walk.pieces = walk.pieces, []
            said.walk(walk)
            inner, walk.pieces = walk.pieces, outer
            said, _ = assemble(inner)
        walk.pieces.append((said, 1))
        if self.slot:
            walk.slots[self.slot] = slot_text(said) if out is None else out


@dataclass(frozen=True, slots=True)
class _Number:
    numbers: RangeSlotList
    language: str
    slot: str

    def walk(self, walk: Walk) -> None:
        limits = self.numbers
        steps = (limits.stop - limits.start) // limits.step + 1
        # In wide ranges the small numbers are those that people say.
        share = walk.random()
        if steps > 200 and walk.random() < 0.6:
            share **= math.log(steps) / math.log(200) * 2
        whole = limits.start + int(share * steps) * limits.step
        number: float | int = whole
        if limits.fraction_type is not None and walk.random() < _FRACTION:
            number = whole + walk.rng.choice(RangeFractionType.get_fractions(limits.fraction_type))
            if number > limits.stop:
                number = whole
        text = str(number)
        if limits.words and (walk.random() < _SPELLED or not limits.digits):
            spelled = number_words(limits.words_language or self.language, number)
            if spelled:
                text = walk.rng.choice(spelled)
        walk.pieces.append((text, 1))
        if self.slot:
            walk.slots[self.slot] = slot_text(float(number * (1 if limits.multiplier is None else limits.multiplier)))


@dataclass(frozen=True, slots=True)
class _Wildcard:
    list_name: str
    slot: str
    avoid: frozenset[str]

    def walk(self, walk: Walk) -> None:
        text, value = walk.free.draw(walk.rng, self.list_name, self.avoid)
        walk.pieces.append((text, 2))
        if self.slot:
            walk.slots[self.slot] = value


@dataclass(frozen=True, slots=True)
class _Name:
    list_name: str
    slot: str
    domains: tuple[str, ...]
    is_limited: bool
    requires: dict[str, Any]
    excludes: dict[str, Any]

    def walk(self, walk: Walk) -> None:
        names = walk.home.of(self.list_name)
        if self.is_limited:
            names = [name for name in names if self._fits(name)]
        if names:
            named = names[int(walk.random() * len(names))]
        elif self.list_name == "name" and not self.domains:
            raise Impossible("no thing of a home fits the block's context")
        else:
            named = walk.names.make(walk.rng, self.list_name, walk.rng.choice(self.domains) if self.domains else "")
            walk.made.append(named.entry)
        walk.pieces.append((named.entry.text, 1))
        if self.slot:
            walk.slots[self.slot] = named.entry.value

    def _fits(self, name: Named) -> bool:
        context = dict(name.context)
        required: bool = check_required_context(self.requires, context, allow_missing_keys=True)
        return required and bool(check_excluded_context(self.excludes, context))


@lru_cache(maxsize=20_000)
def number_words(language: str, number: float) -> tuple[str, ...]:
    """How a language spells a number; in one way only for the larger ones, which have a dozen of grammar's."""
    try:
        result = get_rbnf_engine(language).format_number(number)
    except (ValueError, KeyError, AttributeError, NotImplementedError):
        return ()  # languages without spelled numbers keep digits
    text = str(result.text)
    return (text,) if text and not any(character.isdigit() for character in text) else ()


@dataclass
class _Firsts:
    """The words with which a part of a template may begin, and whether it may be empty."""

    words: frozenset[str]
    may_be_empty: bool


@dataclass
class Compiler:
    """Makes nodes of hassil's expressions for one block of sentences.

    Attributes:
        language: code.
        block: of the sentences.
        rules: by name, the block's own before the others.
        lists: by name, the block's own before the others.
        list_kinds: the kind of the marks of a list by its identity; lists whose values are no marks are not in it.
        home_first: whether the home's names win over a list of the same name.
        open_lists: lists that grow on the device: their values are marked and no answer tokens.
        units: by word, the kind of a quantity that it makes of the number before it, and the part that the number is.
        uses: what was learned of the slots.
        said: words that the templates say literally.
        empty: lists without entries, by name.
    """

    language: str
    block: IntentData
    rules: Mapping[str, ParsedSentence]
    lists: Mapping[str, SlotList]
    list_kinds: Mapping[int, str]
    home_first: bool
    open_lists: frozenset[str]
    units: Mapping[str, tuple[str, str]]
    uses: dict[str, list[SlotUse]] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    empty: set[str] = field(default_factory=set)
    used_lists: dict[str, SlotList] = field(default_factory=dict)
    _before: str = ""  # the last word of the template so far, empty behind a list

    def compile(self, expression: Expression, follow: frozenset[str] = frozenset()) -> Node:
        """The node of an expression.

        Args:
            expression: as hassil parsed it.
            follow: words that may come right after it.
        """
        if isinstance(expression, TextChunk):
            said = words_of(expression.text)
            self.said.update(said)
            if said:
                self._before = said[-1]
            return _Text(expression.text)
        if isinstance(expression, Alternative):
            nodes = []
            before = self._before
            items = [item for item in expression.items if not (isinstance(item, TextChunk) and not item.text)]
            for item in items:
                self._before = before
                nodes.append(self.compile(item, follow))
            is_optional = len(items) < len(expression.items)
            alive = tuple(node for node in nodes if not isinstance(node, _Dead))
            if not alive:
                return _Text("") if is_optional or not nodes else nodes[0]
            return _Choice(alive, is_optional)
        if isinstance(expression, Permutation):
            if len(expression.items) == 1:
                return self.compile(expression.items[0], follow)
            return self._row(_Shuffled, [self.compile(item, follow) for item in expression.items])
        if isinstance(expression, Group):
            follows = [follow]
            for item in reversed(expression.items[1:]):
                firsts = self.firsts(item)
                follows.append(firsts.words | follows[-1] if firsts.may_be_empty else firsts.words)
            nodes = [self.compile(item, after) for item, after in zip(expression.items, reversed(follows), strict=True)]
            return self._row(_Row, nodes)
        if isinstance(expression, RuleReference):
            return self.compile(self.rules[expression.rule_name].expression, follow)
        if isinstance(expression, ListReference):
            return self._reference(expression, follow)
        raise TypeError(f"hassil has a new kind of expression: {expression!r}")

    @staticmethod
    def _row(kind: type[_Row] | type[_Shuffled], nodes: list[Node]) -> Node:
        return next((node for node in nodes if isinstance(node, _Dead)), kind(tuple(nodes)))

    def firsts(self, expression: Expression, depth: int = 0) -> _Firsts:
        """The words with which an expression may begin."""
        if isinstance(expression, TextChunk):
            said = words_of(expression.text)
            return _Firsts(frozenset(said[:1]), not said)
        if isinstance(expression, Alternative | Permutation):
            parts = [self.firsts(item, depth) for item in expression.items]
            words = frozenset(word for part in parts for word in part.words)
            combine = any if isinstance(expression, Alternative) else all
            return _Firsts(words, combine(part.may_be_empty for part in parts))
        if isinstance(expression, Group):
            words = frozenset()
            for item in expression.items:
                part = self.firsts(item, depth)
                words |= part.words
                if not part.may_be_empty:
                    return _Firsts(words, False)
            return _Firsts(words, True)
        if isinstance(expression, RuleReference):
            return self.firsts(self.rules[expression.rule_name].expression, depth)
        if isinstance(expression, ListReference) and depth < 3:
            values = self._list(expression)
            if isinstance(values, TextSlotList):
                some = values.values[:200]
                return _Firsts(
                    frozenset(w for value in some for w in self.firsts(value.text_in, depth + 1).words), False
                )
        return _Firsts(frozenset({_WILDCARD}), False)

    def _list(self, reference: ListReference) -> SlotList | None:
        """The list of a reference; None where the home has it."""
        name = reference.list_name
        if name in HOME_LISTS and (self.home_first or name not in self.lists):
            return None
        if name in self.lists:
            return self.lists[name]
        low, high, step = reference.get_inline_range() or (0, 0, 1)
        return RangeSlotList(name=name, start=low, stop=high, step=step)

    def _reference(self, reference: ListReference, follow: frozenset[str]) -> Node:
        before, self._before = self._before, ""
        name = reference.list_name
        slot = slot_of(reference)
        values = self._list(reference)
        if values is None:
            if name != "name":
                self._use(slot, SlotUse(kinds=frozenset({name})))
                return _Name(name, slot, (), False, {}, {})
            block, domains = self.block, self._allowed_domains()
            self._use(slot, SlotUse(kinds=frozenset(map(kind_of, domains))))
            # The area of a context is that of the device which listens, and no thing's.
            requires = {key: value for key, value in block.requires_context.items() if key != "area"}
            excludes = {key: value for key, value in block.excludes_context.items() if key != "area"}
            is_limited = bool(requires or excludes or block.name_domains)
            return _Name(name, slot, tuple(domains), is_limited, requires, excludes)
        self.used_lists[name] = values
        if isinstance(values, RangeSlotList):
            self._use(slot, self._number_use(values, before, follow))
            return _Number(values, self.language, slot)
        if isinstance(values, TextSlotList):
            return self._values(name, values, slot)
        self._use(slot, SlotUse(is_free=True))
        return _Wildcard(name, slot, follow - {_WILDCARD})

    def _allowed_domains(self) -> list[str]:
        """Domains of the things that the block's contexts allow."""
        block = self.block
        named = block.requires_context.get("domain")
        named = named.get("value") if isinstance(named, Mapping) else named
        several = [named] if isinstance(named, str) else list(named or ())
        known = dict.fromkeys([*map(str, several), *(block.name_domains or ()), *DOMAINS])
        return [
            domain
            for domain in known
            if check_required_context(block.requires_context, {"domain": domain}, allow_missing_keys=True)
            and check_excluded_context(block.excludes_context, {"domain": domain})
            and (not block.name_domains or domain in block.name_domains)
        ]

    def _number_use(self, numbers: RangeSlotList, before: str, follow: frozenset[str]) -> SlotUse:
        if numbers.multiplier not in (None, 1):
            return SlotUse(values=tuple(slot_text(float(n * (numbers.multiplier or 1))) for n in numbers.get_numbers()))
        kinds, part = {"number"}, ""
        if numbers.type == RangeType.PERCENTAGE:
            kinds.add("percent")
        if numbers.type == RangeType.TEMPERATURE:
            kinds.add("degrees")
        for word in sorted(follow):
            kind, unit = self.units.get(word, ("", ""))
            if kind:
                kinds.add(kind)
                part = part or unit
        if ":" in follow:
            kinds.add("time")
            part = "hours"
        if before == ":" or self.units.get(before, ("", ""))[0] == "time":
            kinds.add("time")
            part = "minutes"
        return SlotUse(kinds=frozenset(kinds), part=part)

    def _values(self, name: str, values: TextSlotList, slot: str) -> Node:
        block = self.block
        groups: dict[str | None, dict[str, str | Node]] = {}
        seen: set[str] = set()
        for value in values.values:
            if not check_required_context(block.requires_context, value.context, allow_missing_keys=True):
                continue
            if not check_excluded_context(block.excludes_context, value.context):
                continue
            out = None if value.value_out is None else slot_text(value.value_out)
            if isinstance(value.text_in, TextChunk):
                said = " ".join(value.text_in.text.split())
                key = said.casefold()
                if not said or key in seen:
                    continue  # the first of equal values is the one that is read
                seen.add(key)
                groups.setdefault(said if out is None else out, {})[key] = said
            else:
                outer = self.said
                self.said = set()
                node = self.compile(value.text_in)
                self.said = outer
                if not isinstance(node, _Dead):
                    groups.setdefault(out, {})[f"\0{len(seen)}{len(groups.get(out, ()))}"] = node
        kind = self.list_kinds.get(id(values))
        closed = None if None in groups or name in self.open_lists else tuple(sorted(str(out) for out in groups))
        self._use(slot, SlotUse(kinds=frozenset({kind} if kind else ()), values=closed, is_free=None in groups))
        if not groups:
            self.empty.add(name)
            return _Dead(f"the list {{{name}}} has no entries")
        return _Value(tuple((out, tuple(several.values())) for out, several in groups.items()), slot)

    def _use(self, slot: str, use: SlotUse) -> None:
        if slot and use not in self.uses.setdefault(slot, []):
            self.uses[slot].append(use)
