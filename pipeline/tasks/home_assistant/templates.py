"""Home Assistant's sentence templates, and random sentences from them.

`hassil` parses the templates; its own sampler expands a template into all its sentences, which are too many to list, so
here one sentence is drawn at a time by a random walk through the parsed template.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import home_assistant_intents
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

from pipeline.errors import ThimbleError
from pipeline.tasks.home_assistant.home import Home

__all__ = ["Language", "Sample", "Template", "load_language", "slot_text"]

_WORD_NUMBERS = 0.15  # share of numbers that are spelled out
NAMED = ("name", "area", "floor")


@dataclass(frozen=True)
class Template:
    """One sentence template of an intent, with the block that it stands in."""

    index: int
    intent: str
    block: IntentData
    sentence: Sentence
    text: str
    domains: tuple[str, ...]
    slots: frozenset[str]

    @property
    def signature(self) -> tuple[object, ...]:
        """Signature of the template: intent, slots and fixed values."""
        return (self.intent, self.slots, tuple(sorted((key, str(value)) for key, value in self.block.slots.items())))


@dataclass
class Sample:
    """A sentence under construction: its text in pieces, and what the slots hold.

    A piece is (text, fixed); a fixed piece is a slot's value, which noise must leave alone.
    """

    pieces: list[tuple[str, bool]] = field(default_factory=list)
    slots: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The text, lower-case, with single spaces."""
        return " ".join("".join(text for text, _ in self.pieces).lower().split())


@dataclass(frozen=True)
class Language:
    """A language's intents as hassil has them, and its templates in order."""

    code: str
    intents: Intents
    templates: tuple[Template, ...]

    @property
    def fillers(self) -> list[str]:
        """Words that hassil skips ("please")."""
        return [str(word).lower() for word in self.intents.skip_words]

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

    def draw(self, template: Template, home: Home, rng: random.Random, new_names: bool) -> Sample:
        """One random sentence of the template; with `new_names`, all its free names are held-out ones."""
        sample = Sample()
        for key, value in template.block.slots.items():
            sample.slots[key] = slot_text(value)
        walk = _Walk(self, template, home, rng, new_names, sample)
        walk.expression(template.sentence.expression)
        return sample


def slot_text(value: object) -> str:
    """A slot's value as actions spell it: several values are joined by `|`, whole numbers have no fraction."""
    if isinstance(value, list):
        return "|".join(map(slot_text, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


class _Walk:
    """A random walk through one parsed template."""

    def __init__(
        self, language: Language, template: Template, home: Home, rng: random.Random, new_names: bool, sample: Sample
    ) -> None:
        self.language, self.template, self.home, self.rng, self.new_names = language, template, home, rng, new_names
        self.sample = sample
        self.rules = {**language.intents.expansion_rules, **template.block.expansion_rules}
        self.lists: dict[str, SlotList] = {**language.intents.slot_lists, **template.block.slot_lists}

    def expression(self, expression: Expression) -> None:
        rng = self.rng
        if isinstance(expression, TextChunk):
            self.sample.pieces.append((expression.original_text, False))
        elif isinstance(expression, Alternative):
            # hassil writes [x] as (x|): an optional part is left out as often as it is put in.
            self.expression(rng.choice(expression.items))
        elif isinstance(expression, Permutation):
            order = list(expression.items)
            rng.shuffle(order)
            for item in order:
                self.sample.pieces.append((" ", False))
                self.expression(item)
                self.sample.pieces.append((" ", False))
        elif isinstance(expression, Group):
            for item in expression.items:
                self.expression(item)
        elif isinstance(expression, RuleReference):
            self.expression(self.rules[expression.rule_name].expression)
        elif isinstance(expression, ListReference):
            self.reference(expression)

    def reference(self, reference: ListReference) -> None:
        text, value = self.value(reference.list_name)
        self.sample.pieces.append((text, True))
        if value is not None and not reference.is_capture:
            self.sample.slots[reference.slot_name] = value

    def value(self, name: str) -> tuple[str, str]:
        """The text of a list's value as spoken, and as the slot holds it."""
        rng, home = self.rng, self.home
        if name == "area":
            return self.named(home.area(rng, self.new_names))
        if name == "floor":
            return (floor := home.floor(rng)), floor
        if name == "name":
            return self.named(home.entity(rng, rng.choice(self.template.domains), self.new_names))
        values = self.lists[name]
        if isinstance(values, RangeSlotList):
            return self.number(values)
        if isinstance(values, TextSlotList):
            value = rng.choice(values.values)
            inner = Sample()
            outer, self.sample = self.sample, inner
            self.expression(value.text_in)
            self.sample = outer
            return "".join(text for text, _ in inner.pieces).strip(), slot_text(value.value_out).lower()
        return self.named(home.phrase(rng, name, self.new_names))

    def named(self, text: str) -> tuple[str, str]:
        self.sample.names.append(text)
        return text, text

    def number(self, values: RangeSlotList) -> tuple[str, str]:
        choice = self.rng.randrange(values.start, values.stop + 1, values.step)
        number: float | int = choice
        if values.fraction_type is not None and choice < values.stop and self.rng.random() < 0.15:
            number = choice + 0.5
        out = slot_text(float(number * (values.multiplier or 1)))
        words = values.words and isinstance(number, int) and number <= 100 and self.rng.random() < _WORD_NUMBERS
        spoken = _number_words(self.language.code, int(number)) if words else ""
        return spoken or str(number), out


def load_language(code: str) -> Language:
    """Parses all templates of a language.

    Raises:
        ThimbleError: the package has no such language.
    """
    folder = Path(home_assistant_intents.__file__).parent / "data"
    path = folder / f"{code}.json"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json")))
        raise ThimbleError(f"`task.language` {code!r} is not in home-assistant-intents", f"use one of: {known}")
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
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
                        slots=frozenset(reference.slot_name for reference in references),
                    )
                )
    return Language(code, intents, tuple(templates))


def _domains(block: IntentData) -> tuple[str, ...]:
    domains = block.requires_context.get("domain") or block.slots.get("domain") or ("light", "switch")
    if isinstance(domains, dict):
        domains = domains.get("value") or ("light", "switch")
    return (domains,) if isinstance(domains, str) else tuple(map(str, domains))


def _references(expression: Expression, rules: dict[str, Sentence]) -> list[ListReference]:
    if isinstance(expression, ListReference):
        return [expression]
    if isinstance(expression, Group):
        return [reference for item in expression.items for reference in _references(item, rules)]
    if isinstance(expression, RuleReference) and expression.rule_name in rules:
        return _references(rules[expression.rule_name].expression, rules)
    return []


def _collect(expression: Expression, texts: list[str]) -> None:
    if isinstance(expression, TextChunk):
        texts.append(expression.text)
    elif isinstance(expression, Group):
        for item in expression.items:
            _collect(item, texts)


@cache
def _number_words(language: str, number: int) -> str:
    try:
        return str(get_rbnf_engine(language).format_number(number).text)
    except (ValueError, KeyError, AttributeError):
        return ""  # languages without spelled numbers keep digits
