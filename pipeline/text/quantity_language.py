"""A language file of quantities, compiled to tables; its format: `pipeline/languages/en/quantities.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import ThimbleError
from pipeline.text.normalize import skeleton
from pipeline.text.quantities import (
    FRACTION_UNITS,
    KINDS,
    LIMITED_ITEMS,
    POWERS,
    SENTENCE_EDGE,
    UNITS,
    Class,
    ItemType,
    NumberStyle,
    Quantities,
    QuantityItem,
    QuantityPattern,
    QuantityTables,
    is_class,
    is_fraction_sign,
)

__all__ = ["compile_quantities"]


def compile_quantities(
    mapping: Mapping[str, Any], number_words: Mapping[str, Mapping[int, Sequence[str]]]
) -> QuantityTables:
    """The tables of a language.

    Args:
        mapping: a `quantities.yaml`, whose header says what it holds.
        number_words: "cardinals" (0 to 99), "hundreds" (100, 200 ... 900), "powers" (100, 1000, 1000000) and
            "ordinals" (1 to 31), for each number its words.

    Raises:
        ThimbleError: the language file holds something else than its format has, or number words that cannot be read.
    """
    return _Compiler(mapping, number_words).tables()


_KEYS = (
    "numbers",
    "fractions",
    "units",
    "abbreviations",
    "day_parts",
    "times",
    "months",
    "dates",
    "umlauts",
    "patterns",
)
_NUMBER_KEYS = (
    *("decimal", "glued", "units_first", "and_in_tens", "teens", "scores", "and_fraction", "and", "of", "articles"),
    *("minus", "point", "more", "ordinal_words", "ordinal_suffixes", "ordinals"),
)
_PATTERN_KINDS = ("none", "date", "time", "degrees", "percent", "number")


def _check_keys(mapping: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for key in mapping:
        if key not in known:
            raise ThimbleError(f"{what} has {key!r}", f"use: {', '.join(known)}")


class _Compiler:
    def __init__(self, mapping: Mapping[str, Any], number_words: Mapping[str, Mapping[int, Sequence[str]]]) -> None:
        _check_keys(mapping, _KEYS, "quantities.yaml")
        if "numbers" not in mapping:
            raise ThimbleError("quantities.yaml has no numbers", "write `numbers: {}` at least")
        _check_keys(mapping["numbers"], _NUMBER_KEYS, "numbers of quantities.yaml")
        _check_keys(mapping.get("patterns", {}), _PATTERN_KINDS, "patterns of quantities.yaml")
        self.mapping = mapping
        self.numbers: Mapping[str, Any] = mapping["numbers"]
        self.umlauts = bool(mapping.get("umlauts", False))
        self.lexicon: dict[str, dict[int, int]] = {}
        self.literals: dict[str, int] = {}
        self.fractions: list[tuple[int, int]] = []
        self.day_parts: list[tuple[int, int]] = []
        self.dates: list[str] = []
        self.patterns: list[QuantityPattern] = []
        self.number_words = number_words

    def tables(self) -> QuantityTables:
        numbers = self.numbers
        for key, kind in (
            ("and", Class.AND),
            ("of", Class.OF),
            ("minus", Class.MINUS),
            ("point", Class.POINT),
            ("ordinal_suffixes", Class.ORDINAL_SUFFIX),
        ):
            for word in numbers.get(key, ()):
                self.add(word, kind, 0)
        for word in numbers.get("articles", ()):
            self.add(word, Class.ARTICLE, 1)
        for number, words in self.merged("powers"):
            for word in words:
                self.add(word, Class.POWER, self.index(POWERS, number, "more of quantities.yaml"))
        for value, words in self.mapping.get("fractions", {}).items():
            numerator, denominator = self.pair(value, "/", "fractions")
            if not denominator or FRACTION_UNITS % denominator or not 0 < numerator < 256:
                raise ThimbleError(f"the fraction {value} of quantities.yaml", f"use a divisor of {FRACTION_UNITS}")
            self.fractions.append((numerator, denominator))
            for word in words:
                self.add(word, Class.FRACTION, len(self.fractions) - 1)
                if is_fraction_sign(str(word)):
                    self.add(word, Class.SIGN, 0)
        for key, kind in (("units", Class.UNIT), ("abbreviations", Class.ABBREVIATION)):
            for unit, words in self.mapping.get(key, {}).items():
                for word in words:
                    self.add(word, kind, self.index(UNITS, unit, key))
        for time, words in self.mapping.get("times", {}).items():
            hour, minute = self.pair(time, ":", "times")
            if not 0 <= hour <= 24 or minute not in {0, 30}:
                raise ThimbleError(f"times of quantities.yaml has {time!r}", "write full or half hours")
            for word in words:
                self.add(word, Class.MOMENT, hour * 2 + minute // 30)
        for month, words in enumerate(self.mapping.get("months", ()), 1):
            for word in words:
                self.add(word, Class.MONTH, month)
        for date, words in self.mapping.get("dates", {}).items():
            self.dates.append(str(date))
            for word in words:
                self.add(word, Class.DATE, len(self.dates) - 1)
        self.add_numbers()
        for part in self.mapping.get("day_parts", ()):
            _check_keys(part, ("from", "twelve", "phrases"), "a day part of quantities.yaml")
            self.day_parts.append((int(part["from"]), int(part["twelve"])))
            for phrase in part["phrases"]:
                self.pattern("part", str(phrase), len(self.day_parts) - 1)
        for name in _PATTERN_KINDS:
            for text in self.mapping.get("patterns", {}).get(name, ()):
                self.pattern(name, str(text))
        return self.made()

    def made(self) -> QuantityTables:
        morphemes = sorted(self.lexicon, key=str.encode)
        glued: set[int] = set()
        if self.numbers.get("glued"):
            glued = {
                Class.NUMBER,
                Class.POWER,
                Class.AND,
                Class.FRACTION,
                Class.UNIT,
                Class.ORDINAL_SUFFIX,
                Class.ORDINAL,
                Class.POINT,
                Class.HUNDREDS,
            }
        else:
            glued = {Class.NUMBER}
        return QuantityTables(
            morphemes=tuple(morphemes),
            senses=tuple(tuple(sorted(self.lexicon[text].items())) for text in morphemes),
            fractions=tuple(self.fractions),
            day_parts=tuple(self.day_parts),
            dates=tuple(self.dates),
            patterns=tuple(self.patterns),
            decimal=str(self.numbers.get("decimal", ".")),
            number_style=sum(
                flag * bool(self.numbers.get(name, False))
                for name, flag in (
                    ("units_first", NumberStyle.UNITS_FIRST),
                    ("and_in_tens", NumberStyle.AND_IN_TENS),
                    ("teens", NumberStyle.TEENS),
                    ("scores", NumberStyle.SCORES),
                    ("and_fraction", NumberStyle.AND_FRACTION),
                )
            ),
            glued=frozenset(glued),
            umlauts=self.umlauts,
        )

    def merged(self, key: str) -> list[tuple[int, Sequence[str]]]:
        """Words of the rules and of the file, by number."""
        words = {number: list(forms) for number, forms in self.number_words.get(key, {}).items()}
        if key in {"cardinals", "powers"}:
            for number, forms in self.numbers.get("more", {}).items():
                if (number >= 100) == (key == "powers"):
                    words.setdefault(number, []).extend(map(str, forms))
        if key == "ordinals":
            for number, forms in self.numbers.get("ordinal_words", {}).items():
                words.setdefault(number, []).extend(map(str, forms))
        return sorted(words.items())

    def add_numbers(self) -> None:
        """The number words that do not follow from shorter ones."""
        cardinals = self.merged("cardinals")
        for rank in range(max(len(words) for _, words in cardinals)):  # the first form of a number is the surest
            for number, words in cardinals:
                if (number <= 20 or number % 10 == 0) and rank < len(words) and " " not in words[rank]:
                    self.add(words[rank], Class.NUMBER, number)
        reader = Quantities(self.made())
        for number, words in cardinals:
            unread = [word for word in words if not reader.reads_number(word.split(" "), number)]
            for word in unread:
                if " " not in word:
                    self.add(word, Class.NUMBER, number)
            if len(unread) == len(words) and all(" " in word for word in unread):
                raise ThimbleError(
                    f"the number words {unread[0]!r} are not read as {number}",
                    "see and, units_first, and_in_tens, teens and scores in the language's quantities.yaml",
                )
        reader = Quantities(self.made())
        for number, words in self.merged("hundreds"):
            for word in words:
                if " " not in word and not reader.reads_number([word], number):
                    self.add(word, Class.HUNDREDS, number // 100)
        ordinals = self.merged("ordinals")
        for limit in (20, 31):
            reader = Quantities(self.made())
            for number, words in ordinals:
                if number > self.numbers.get("ordinals", 31) or (number > limit and number % 10):
                    continue
                for word in words:
                    if " " not in word and not reader.reads_ordinal([word], number):
                        self.add(word, Class.ORDINAL, number)

    def add(self, word: object, kind: int, value: int) -> None:
        text = skeleton(str(word).lower(), self.umlauts)
        if not text or " " in text:
            raise ThimbleError(f"{word!r} is not one word", "write single words, phrases are for patterns")
        self.lexicon.setdefault(text, {}).setdefault(kind, value)

    def index(self, names: Sequence[object], name: object, key: str) -> int:
        if name not in names:
            raise ThimbleError(f"{key} has {name!r}", f"use one of: {', '.join(map(str, names))}")
        return names.index(name)

    def pair(self, text: object, sign: str, key: str) -> tuple[int, int]:
        """Both numbers around a sign."""
        parts = str(text).split(sign)
        if len(parts) != 2 or not all(part.isdigit() for part in parts):
            raise ThimbleError(f"{key} of quantities.yaml has {text!r}", f"write two numbers with {sign!r} between")
        return int(parts[0]), int(parts[1])

    def word_class(self, words: Sequence[str]) -> int:
        """A class of literal words, one for each set of words."""
        key = "|".join(sorted({skeleton(word, self.umlauts) for word in words}))
        if key not in self.literals:
            self.literals[key] = Class.LITERAL + len(self.literals)
            for word in words:
                self.add(word, self.literals[key], 0)
        return self.literals[key]

    def context(self, token: str) -> tuple[tuple[int, ...], bool]:
        inner = token[1:-1]
        negated = inner.startswith("!")
        words = inner[negated:].split("|")
        classes = [SENTENCE_EDGE for word in words if word in {"^", "$"}]
        plain = [word for word in words if word not in {"^", "$"}]
        if plain:
            classes.append(self.word_class(plain))
        return tuple(classes), negated

    def pattern(self, kind: str, text: str, value: int = -1) -> None:
        body, _, result = text.partition(" = ")
        tokens = body.split()
        before: tuple[int, ...] = ()
        after: tuple[int, ...] = ()
        not_before = not_after = False
        if tokens[0].startswith("("):
            before, not_before = self.context(tokens.pop(0))
        if tokens and tokens[-1].startswith("("):
            after, not_after = self.context(tokens.pop())
        backwards = False
        if kind == "time":
            value = 0
            for term in result.split():
                if term == "-minute":
                    backwards = True
                elif term.lstrip("-").isdigit():
                    value += int(term)
                else:
                    raise ThimbleError(f"the pattern {text!r} adds {term!r}", "write minutes, or -minute")
        elif kind == "date" and result:
            if result not in self.dates:
                self.dates.append(result)
            value = self.dates.index(result)
        items = tuple(self.item(token, text) for token in tokens)
        if all(item.optional for item in items):
            raise ThimbleError(f"the pattern {text!r} has nothing that must be there", "write an item without [ ]")
        if kind == "part" and (items[0].optional or not is_class(items[0].type)):
            raise ThimbleError(f"the phrase {text!r} of a day part does not begin with a word", "write words alone")
        self.patterns.append(
            QuantityPattern(KINDS.index(kind), before, not_before, items, after, not_after, value, backwards)
        )

    def item(self, token: str, text: str) -> QuantityItem:
        optional = token.startswith("[")
        inner = token[1:-1] if optional else token
        if not inner.startswith("{"):
            return QuantityItem(self.word_class(inner.split("|")), optional)
        name, _, limits = inner[1:-1].partition(":")
        if name not in _ITEMS:
            raise ThimbleError(f"the pattern {text!r} has {token!r}", f"use one of: {', '.join(_ITEMS)}")
        kind, minimum, maximum = _ITEMS[name]
        if limits and kind not in LIMITED_ITEMS:
            raise ThimbleError(f"the pattern {text!r} has limits at {name!r}", "limit hours and minutes alone")
        span, _, multiple = limits.partition("/")
        if span:
            low, _, high = span.partition("-")
            minimum, maximum = int(low), int(high or low)
        return QuantityItem(kind, optional, minimum, maximum, int(multiple or 1))


_ITEMS: Mapping[str, tuple[int, int, int]] = {
    "number": (ItemType.NUMBER, 0, 255),
    "amount": (ItemType.AMOUNT, 0, 255),
    "hour": (ItemType.HOUR, 0, 24),
    "a_hour": (ItemType.A_HOUR, 0, 24),
    "minute": (ItemType.MINUTE, 0, 59),
    "clock": (ItemType.CLOCK, 0, 255),
    "dotted": (ItemType.DOTTED, 0, 255),
    "part": (ItemType.PART, 0, 255),
    "moment": (Class.MOMENT, 0, 255),
    "date": (Class.DATE, 0, 255),
    "month": (Class.MONTH, 0, 255),
    "day": (ItemType.DAY, 1, 31),
    "ordinal": (ItemType.ORDINAL, 1, 31),
    "day.month": (ItemType.DAY_MONTH, 0, 255),
    "fraction": (ItemType.FRACTION, 0, 255),
}
