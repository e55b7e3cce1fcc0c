"""Home Assistant's sentence templates, and random sentences from them.

`hassil` parses the templates. Its own sampler expands a template into all its sentences, which are too many to list, so
each template becomes a chain of small functions that write one random sentence.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import home_assistant_intents
import yaml
from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    Sentence,
    TextChunk,
)
from hassil.intents import IntentData, Intents, RangeSlotList, SlotList, TextSlotList
from hassil.numbers import get_rbnf_engine
from hassil.sample import sample_expression

from pipeline.errors import ThimbleError
from pipeline.tasks.answer_schema import PLACES
from pipeline.tasks.needed_slots import needed_by

__all__ = ["DOWN", "NAMED", "Language", "Template", "Walk", "load_language", "number_words", "slot_text"]

_IMPLIED_DOMAINS = {"HassLightSet": "light"}
NAMED = ("name", "area", "floor")
"""Lists that a home fills."""
_HERE = ("here", "in_here", "hier", "ici", "de_aqui")
"""Rules of the package, by language, for the room in which something is said."""

_WORD_NUMBERS = 0.2  # share of numbers that are spelled out
_VALUE, _VALUE_END = "\1", "\2"  # around a slot's value in a sentence under construction
DOWN = "down"  # of a step, as `volume_step` of the package has it without a number
_OWN = "own"  # key of a block's metadata


@dataclass(frozen=True)
class Template:
    """One sentence template of an intent, with the block that it stands in.

    Attributes:
        index: its number among the language's templates.
        intent: its name.
        block: hassil's, with fixed slots and the block's own lists and rules.
        sentence: hassil's.
        text: of the template.
        domains: domains of the entities that `{name}` may be.
        device_class: of these entities; empty where any.
        slots: that its lists fill.
        has_name: whether it says the name of a thing.
        is_own: whether it is of this project's files, not of the package.
    """

    index: int
    intent: str
    block: IntentData
    sentence: Sentence
    text: str
    domains: tuple[str, ...]
    device_class: str
    slots: frozenset[str]
    has_name: bool
    is_own: bool

    @property
    def signature(self) -> tuple[object, ...]:
        """Signature of the template: intent, slots and fixed values."""
        return (self.intent, self.slots, tuple(sorted((key, str(value)) for key, value in self.block.slots.items())))


class Walk:
    """A sentence under construction.

    Args:
        rng: random numbers.
        value: gives the text of a home's name or of free text, by the list, and what the slot holds.

    Attributes:
        parts: pieces of text, slots' values between marks.
        slots: what the slots hold.
    """

    __slots__ = ("parts", "rng", "slots", "value")

    def __init__(self, rng: random.Random, value: Callable[[str], tuple[str, str]]) -> None:
        self.rng, self.value = rng, value
        self.parts: list[str] = []
        self.slots: dict[str, str] = {}

    def finish(self) -> tuple[str, tuple[tuple[int, int], ...]]:
        """The sentence with single spaces, and where values stand in it, [start, end) in characters."""
        text = " ".join("".join(self.parts).split())
        if _VALUE not in text:
            return text, ()
        spans: list[tuple[int, int]] = []
        pieces: list[str] = []
        length = 0
        for number, piece in enumerate(text.replace(_VALUE_END, _VALUE).split(_VALUE)):
            pieces.append(piece)
            if number % 2:
                spans.append((length, length + len(piece)))
            length += len(piece)
        return "".join(pieces), tuple(spans)


_Draw = Callable[[Walk], None]


@dataclass(frozen=True)
class Language:
    """A language's intents as hassil has them, and its templates in order."""

    code: str
    intents: Intents
    templates: tuple[Template, ...]
    _draws: dict[int, _Draw] = field(default_factory=dict, repr=False, compare=False)
    _words: dict[int, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def fillers(self) -> list[str]:
        """Words that hassil skips ("please")."""
        return [str(word).lower() for word in self.intents.skip_words]

    def here_phrases(self) -> list[str]:
        """What means the room in which it is said ("in here", "this room")."""
        rules = self.intents.expansion_rules
        return sorted(
            {
                text
                for name in _HERE
                if name in rules
                for text in sample_expression(rules[name].expression, self.intents.slot_lists, rules)
            }
        )

    def room_of(self, intent: str) -> str:
        """Whether sentences that say neither where nor which thing need the room in which they are said, see
        `IntentSchema.room`.

        "always" where each such template of the package requires it. Not where this project's templates fix slots: then
        the same answer is given for all of a kind, wherever ("turn on all lights").
        """
        bare = [template for template in self.templates if template.intent == intent and not template.slots & PLACES]
        package = [template for template in bare if not template.is_own]
        needing = [template for template in package if "area" in template.block.requires_context]
        if not needing:
            return ""
        is_ambiguous = any(template.is_own and template.block.slots for template in bare)
        return "said" if is_ambiguous or len(needing) < len(package) else "always"

    def literal_texts(self) -> list[str]:
        """All literal text of the templates and rules, for made-up words that sound like the language."""
        rules = [rule.expression for rule in self.intents.expansion_rules.values()]
        texts: list[str] = []
        for expression in [template.sentence.expression for template in self.templates] + rules:
            _collect(expression, texts)
        return texts

    def domains(self) -> list[str]:
        """Entity domains that names in the templates may have."""
        return sorted({domain for template in self.templates for domain in template.domains})

    def draw(self, template: Template, rng: random.Random, value: Callable[[str], tuple[str, str]]) -> Walk:
        """One random sentence of the template.

        Args:
            template: of this language.
            rng: random numbers.
            value: gives the text of a home's name or of free text, by the list, and what the slot holds.
        """
        draw = self._draws.get(template.index)
        if draw is None:
            draw = self._draws[template.index] = _Compiler(self, template).compile(template.sentence.expression)
        walk = Walk(rng, value)
        for key, fixed in template.block.slots.items():
            walk.slots[key] = slot_text(fixed)
        draw(walk)
        return walk

    def lists(self, template: Template) -> Mapping[str, SlotList]:
        """The lists that a template can refer to."""
        return {**self.intents.slot_lists, **template.block.slot_lists}

    def rules(self, template: Template) -> Mapping[str, Sentence]:
        """The rules that a template can refer to."""
        return {**self.intents.expansion_rules, **template.block.expansion_rules}

    def references(self, template: Template) -> Iterator[ListReference]:
        """The lists' references in a template and its rules."""
        return _references(template.sentence.expression, self.rules(template))

    def needed_slots(self, template: Template) -> list[frozenset[str]]:
        """Sets of slots of which each sentence of the template fills one, see `needed_by`."""
        fixed = frozenset(template.block.slots)
        return [fixed | one for one in needed_by(template.sentence.expression, self.rules(template), _slot_of)]

    def words_of(self, template: Template) -> frozenset[str]:
        """Words that a template and its lists say literally, lower-case; with a name glued to it a word is none."""
        words = self._words.get(template.index)
        if words is None:
            words = self._words[template.index] = self._literal_words(template)
        return words

    def _literal_words(self, template: Template) -> frozenset[str]:
        edges = _Edges(self.rules(template), self.lists(template)).of(template.sentence.expression)
        words = edges.words | edges.first | edges.last | edges.whole
        split = {part for word in words for part in word.split("-")}
        return frozenset(word.strip(".,!?\"'") for word in split if word and _NAME not in word) - {""}

    def literal_words(self) -> frozenset[str]:
        """Words that all templates and their lists say literally, see `words_of`."""
        return frozenset().union(*map(self.words_of, self.templates))


def slot_text(value: object) -> str:
    """A slot's value as actions spell it: several values are joined by `|`, whole numbers have no fraction."""
    if isinstance(value, list):
        return "|".join(map(slot_text, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


class _Compiler:
    """Makes a function that writes a random sentence of an expression.

    Args:
        language: with the rules and lists.
        template: whose block has rules and lists of its own.
    """

    def __init__(self, language: Language, template: Template) -> None:
        self._language = language.code
        self._rules, self._lists = language.rules(template), language.lists(template)

    def compile(self, expression: Expression) -> _Draw:
        if isinstance(expression, TextChunk):
            return _text(expression.original_text)
        if isinstance(expression, Alternative):
            # hassil writes [x] as (x|): an optional part is left out as often as it is put in.
            return _choice([self.compile(item) for item in expression.items])
        if isinstance(expression, Permutation):
            return _permutation([self.compile(item) for item in expression.items])
        if isinstance(expression, Group):
            return _sequence([self.compile(item) for item in expression.items])
        if isinstance(expression, RuleReference):
            return self.compile(self._rules[expression.rule_name].expression)
        assert isinstance(expression, ListReference)
        return self._reference(expression)

    def _reference(self, reference: ListReference) -> _Draw:
        name = reference.list_name
        slot = None if reference.is_capture else reference.slot_name
        values = self._lists.get(name)
        if isinstance(values, TextSlotList) and name not in NAMED:
            choices = [(self.compile(value.text_in), slot_text(value.value_out).lower()) for value in values.values]

            def draw_value(walk: Walk) -> None:
                draw, value = choices[int(walk.rng.random() * len(choices))]
                draw(walk)
                if slot is not None:
                    walk.slots[slot] = value

            return draw_value
        number = values if isinstance(values, RangeSlotList) else None

        def draw_name(walk: Walk) -> None:
            text, value = walk.value(name) if number is None else self._number(number, walk.rng)
            walk.parts.append(f"{_VALUE}{text}{_VALUE_END}")
            if slot is not None:
                walk.slots[slot] = value

        return draw_name

    def _number(self, values: RangeSlotList, rng: random.Random) -> tuple[str, str]:
        choice = rng.randrange(values.start, values.stop + 1, values.step)
        number: float | int = choice
        if values.fraction_type is not None and choice < values.stop and rng.random() < 0.15:
            number = choice + 0.5
        # An answer can point at a number, not at its negative: of "down by 7" it keeps the direction.
        out = DOWN if (values.multiplier or 1) < 0 else slot_text(float(number * (values.multiplier or 1)))
        words = values.words and isinstance(number, int) and number <= 100 and rng.random() < _WORD_NUMBERS
        spoken = number_words(self._language, int(number)) if words else ""
        return spoken or str(number), out


def _text(text: str) -> _Draw:
    def draw(walk: Walk) -> None:
        walk.parts.append(text)

    return draw


def _choice(items: list[_Draw]) -> _Draw:
    count = len(items)

    def draw(walk: Walk) -> None:
        items[int(walk.rng.random() * count)](walk)

    return draw if count > 1 else items[0]


def _sequence(items: list[_Draw]) -> _Draw:
    def draw(walk: Walk) -> None:
        for item in items:
            item(walk)

    return draw if len(items) != 1 else items[0]


def _permutation(items: list[_Draw]) -> _Draw:
    def draw(walk: Walk) -> None:
        order = list(items)
        walk.rng.shuffle(order)
        for item in order:
            walk.parts.append(" ")
            item(walk)
            walk.parts.append(" ")

    return draw


_NAME = "\0"  # stands for a value that is no literal text


@dataclass(frozen=True)
class _Words:
    """The words of an expression: whole ones, and parts of words at its ends.

    Attributes:
        words: with a space on both sides.
        first: between the beginning and the first space.
        last: between the last space and the end.
        whole: texts without any space; "" where it may be empty.
    """

    words: frozenset[str] = frozenset()
    first: frozenset[str] = frozenset()
    last: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()


class _Edges:
    """Finds the words of expressions without listing their sentences."""

    def __init__(self, rules: Mapping[str, Sentence], lists: Mapping[str, SlotList]) -> None:
        self._rules, self._lists = rules, lists
        self._of_rule: dict[str, _Words] = {}

    def of(self, expression: Expression) -> _Words:
        if isinstance(expression, TextChunk):
            return _words_of_text(expression.original_text.lower())
        if isinstance(expression, Alternative):
            return _either([self.of(item) for item in expression.items])
        if isinstance(expression, Permutation):
            items = [self.of(item) for item in expression.items]
            words = frozenset().union(*(part for item in items for part in (item.words, item.first, item.last)))
            return _Words(words | frozenset().union(*(item.whole for item in items)), frozenset({""}), frozenset({""}))
        if isinstance(expression, Group):
            joined = _Words(whole=frozenset({""}))
            for item in expression.items:
                joined = _joined(joined, self.of(item))
            return joined
        if isinstance(expression, RuleReference):
            name = expression.rule_name
            if name not in self._of_rule:
                self._of_rule[name] = self.of(self._rules[name].expression)
            return self._of_rule[name]
        if isinstance(expression, ListReference):
            values = self._lists.get(expression.list_name)
            if isinstance(values, TextSlotList) and expression.list_name not in NAMED and values.values:
                return _either([self.of(value.text_in) for value in values.values])
        return _Words(whole=frozenset({_NAME}))


def _words_of_text(text: str) -> _Words:
    pieces = text.replace("\t", " ").split(" ")
    if len(pieces) == 1:
        return _Words(whole=frozenset(pieces))
    return _Words(frozenset(pieces[1:-1]) - {""}, frozenset(pieces[:1]), frozenset(pieces[-1:]))


def _either(items: list[_Words]) -> _Words:
    return _Words(
        frozenset().union(*(item.words for item in items)),
        frozenset().union(*(item.first for item in items)),
        frozenset().union(*(item.last for item in items)),
        frozenset().union(*(item.whole for item in items)),
    )


def _joined(left: _Words, right: _Words) -> _Words:
    return _Words(
        left.words | right.words | _each(left.last, right.first),
        left.first | _each(left.whole, right.first),
        right.last | _each(left.last, right.whole),
        _each(left.whole, right.whole),
    )


def _each(left: Iterable[str], right: Iterable[str]) -> frozenset[str]:
    return frozenset(a + b for a in left for b in right)


@cache
def load_language(code: str) -> Language:
    """Parses all templates of a language: the package's, then this project's own.

    Raises:
        ThimbleError: the package has no such language.
    """
    folder = Path(home_assistant_intents.__file__).parent / "data"
    path = folder / f"{code}.json"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json")))
        raise ThimbleError(f"`task.language` {code!r} is not in home-assistant-intents", f"use one of: {known}")
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    own = Path(__file__).parent / "sentences" / f"{code}.yaml"  # its rules are those of this very package
    if own.exists():
        _add(data, yaml.safe_load(own.read_text(encoding="utf-8")))
    _leave_out_implied(data)
    intents = Intents.from_dict(data)
    templates: list[Template] = []
    for intent, body in intents.intents.items():
        for block in body.data:
            for text, sentence in zip(block.sentence_texts, block.sentences, strict=True):
                rules = {**intents.expansion_rules, **block.expansion_rules}
                references = list(_references(sentence.expression, rules))
                lists = {*intents.slot_lists, *block.slot_lists, *NAMED}
                if any(reference.list_name not in lists for reference in references):
                    continue  # a list that only Home Assistant itself fills
                templates.append(
                    Template(
                        index=len(templates),
                        intent=intent,
                        block=block,
                        sentence=sentence,
                        text=text,
                        domains=_domains(block),
                        device_class=_device_class(block),
                        slots=frozenset(reference.slot_name for reference in references if not reference.is_capture),
                        has_name=any(reference.list_name == "name" for reference in references),
                        is_own=bool((block.metadata or {}).get(_OWN)),
                    )
                )
    return Language(code, intents, tuple(templates))


def _add(data: dict[str, Any], own: Mapping[str, Any]) -> None:
    """Puts a file of sentences on top of the package's.

    Rules and lists of the same names are replaced, and in the package's templates of an intent the texts that
    `replace` gives for it.
    """
    for intent, texts in own.get("replace", {}).items():
        for block in data["intents"][intent]["data"]:
            for old, new in texts.items():
                block["sentences"] = [sentence.replace(old, new) for sentence in block["sentences"]]
    data["expansion_rules"] = {**data.get("expansion_rules", {}), **own.get("expansion_rules", {})}
    data["lists"] = {**data.get("lists", {}), **own.get("lists", {})}
    for intent, body in own["intents"].items():
        blocks = [{**block, "metadata": {_OWN: True}} for block in body["data"]]
        data["intents"].setdefault(intent, {"data": []})["data"].extend(blocks)


def _leave_out_implied(data: dict[str, Any]) -> None:
    """Takes fixed slots out that an intent implies: only lights have a brightness and a color, wherever they are."""
    for intent, domain in _IMPLIED_DOMAINS.items():
        for block in data["intents"].get(intent, {"data": ()})["data"]:
            if block.get("slots", {}).get("domain") == domain:
                block["slots"] = {key: value for key, value in block["slots"].items() if key != "domain"}


def _domains(block: IntentData) -> tuple[str, ...]:
    domains = block.requires_context.get("domain") or block.slots.get("domain") or ("light", "switch")
    if isinstance(domains, dict):
        domains = domains.get("value") or ("light", "switch")
    return (domains,) if isinstance(domains, str) else tuple(map(str, domains))


def _device_class(block: IntentData) -> str:
    value = block.requires_context.get("device_class")
    return value if isinstance(value, str) else ""


def _references(expression: Expression, rules: Mapping[str, Sentence]) -> Iterator[ListReference]:
    if isinstance(expression, ListReference):
        yield expression
    elif isinstance(expression, Group):
        for item in expression.items:
            yield from _references(item, rules)
    elif isinstance(expression, RuleReference) and expression.rule_name in rules:
        yield from _references(rules[expression.rule_name].expression, rules)


def _slot_of(reference: ListReference) -> str:
    return "" if reference.is_capture else str(reference.slot_name)


def _collect(expression: Expression, texts: list[str]) -> None:
    if isinstance(expression, TextChunk):
        texts.append(expression.text)
    elif isinstance(expression, Group):
        for item in expression.items:
            _collect(item, texts)


@cache
def number_words(language: str, number: int) -> str:
    """A spelled number; empty in a language that has none."""
    try:
        return str(get_rbnf_engine(language).format_number(number).text)
    except (ValueError, KeyError, AttributeError):
        return ""  # languages without spelled numbers keep digits
