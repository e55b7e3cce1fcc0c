"""Quantities in a sentence: numbers, percent, degrees, durations, clock times and dates as people say them.

A language is data: `pipeline.text.quantity_language` makes `QuantityTables` of its `quantities.yaml` and its number
words. `Quantities` reads sentences with them, and `firmware_templates/runtime/thimble_quantities.c` does the same with
the same tables. A word is split into morphemes ("dreihundertvierzig" into three), each with senses: a class and a
value. Numbers and durations have a grammar in code, everything else is patterns: short lists of items over morphemes
and numbers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline.text.annotation import Quantity
from pipeline.text.normalize import skeleton

__all__ = [
    "FRACTION_UNITS",
    "KINDS",
    "LIMITED_ITEMS",
    "POWERS",
    "SENTENCE_EDGE",
    "UNITS",
    "Class",
    "ItemType",
    "NumberStyle",
    "Quantities",
    "QuantityItem",
    "QuantityPattern",
    "QuantityTables",
    "is_class",
    "is_fraction_sign",
]

KINDS = ("none", "number", "percent", "degrees", "duration", "time", "date", "part")
UNITS = ("weeks", "days", "hours", "minutes", "seconds")
_UNIT_SECONDS = (604800, 86400, 3600, 60, 1)
_UNIT_LETTERS = "WDHMS"

MAX_WORD_BYTES = 95  # of a skeleton that is split into morphemes
MAX_WORD_MORPHEMES = 16
MAX_MORPHEMES = 32  # of a quantity
MAX_DIGITS = 12  # before and behind the decimal sign together
_DIGITS = frozenset("0123456789")
FRACTION_UNITS: Final = 12_000_000  # in which the device counts, so that thirds, quarters and six decimals are exact
_LARGEST = 999_999_999
SENTENCE_EDGE: Final = 0xFF  # in a context: the beginning or the end of the sentence


class Class:
    """What a morpheme is; literal words of patterns have the classes from LITERAL on."""

    NUMBER: Final = 0  # value below 100
    POWER: Final = 1  # value 0: hundred, 1: thousand, 2: million
    AND: Final = 2
    OF: Final = 3
    ARTICLE: Final = 4
    MINUS: Final = 5
    POINT: Final = 6
    FRACTION: Final = 7  # value: index in `fractions`
    UNIT: Final = 8  # value: index in UNITS
    ABBREVIATION: Final = 9  # likewise, behind digits alone
    ORDINAL: Final = 10
    ORDINAL_SUFFIX: Final = 11
    MOMENT: Final = 12  # value: half hours since midnight
    MONTH: Final = 13
    DATE: Final = 14  # value: index in `dates`
    SIGN: Final = 15  # with FRACTION: a sign such as ½, which is a number of its own
    HUNDREDS: Final = 16  # value: how many, in a word of their own ("quinientos")
    DIGITS: Final = 17  # never in tables: a number in digits
    LITERAL: Final = 32


class ItemType:
    """What an item of a pattern matches, beside the classes of morphemes."""

    NUMBER: Final = 20
    AMOUNT: Final = 21
    HOUR: Final = 22
    A_HOUR: Final = 23
    MINUTE: Final = 24
    CLOCK: Final = 25
    DOTTED: Final = 26
    DAY: Final = 27
    ORDINAL: Final = 28
    DAY_MONTH: Final = 29
    PART: Final = 30
    FRACTION: Final = 31


class NumberStyle:
    """How numbers below 100 are made of tens and units."""

    UNITS_FIRST: Final = 1  # "one and twenty"
    AND_IN_TENS: Final = 2  # "twenty and one"
    TEENS: Final = 4  # "sixty-eleven"
    SCORES: Final = 8  # "four-twenty"
    AND_FRACTION: Final = 16  # "two and half", not "two and a half"


LIMITED_ITEMS = frozenset({ItemType.HOUR, ItemType.A_HOUR, ItemType.MINUTE})

POWERS = (100, 1000, 1_000_000)


class QuantityItem(NamedTuple):
    """An item of a pattern: a class of morphemes or an `ItemType`, with limits of a number."""

    type: int
    optional: bool = False
    minimum: int = 0
    maximum: int = 255
    multiple: int = 1


class QuantityPattern(NamedTuple):
    """A form of a kind.

    Attributes:
        kind: index in `KINDS`.
        before: classes of which the word before must have one; none says anything goes.
        not_before: whether it must have none of them instead.
        items: in order.
        after: as `before`, of the word behind.
        not_after: as `not_before`.
        value: minutes to add (time), index of a date or a day part.
        backwards: whether minutes are taken off the hour.
    """

    kind: int
    before: tuple[int, ...]
    not_before: bool
    items: tuple[QuantityItem, ...]
    after: tuple[int, ...]
    not_after: bool
    value: int
    backwards: bool


@dataclass(frozen=True)
class QuantityTables:
    """What a language's quantities need, as plain data.

    Attributes:
        morphemes: skeletons, sorted by their bytes.
        senses: of each morpheme: pairs of a class and a value.
        fractions: numerators and denominators.
        day_parts: from which hour on a part of the day means the afternoon, and what 12 is then.
        dates: canonical values.
        patterns: the first of the longest counts.
        decimal: the sign before decimals in digits.
        number_style: sum of `NumberStyle`.
        glued: classes of morphemes that stand together in one word.
        umlauts: whether ae, oe and ue are the same as a, o and u.
    """

    morphemes: tuple[str, ...]
    senses: tuple[tuple[tuple[int, int], ...], ...]
    fractions: tuple[tuple[int, int], ...]
    day_parts: tuple[tuple[int, int], ...]
    dates: tuple[str, ...]
    patterns: tuple[QuantityPattern, ...]
    decimal: str
    number_style: int
    glued: frozenset[int]
    umlauts: bool


def is_class(kind: int) -> bool:
    """Whether an item is a class of morphemes."""
    return kind < ItemType.NUMBER or kind >= Class.LITERAL


def is_fraction_sign(word: str) -> bool:
    """Whether a word is a sign such as ½."""
    return len(word) == 1 and not word.isascii() and unicodedata.numeric(word, None) is not None


class _Digits(NamedTuple):
    """A number in digits: its value as a fraction, a clock time, and both sides of a single sign."""

    numerator: int
    denominator: int  # 0: no value
    minutes: int  # since midnight, -1: no clock time
    left: int
    right: int  # -1: not two numbers with one sign between
    right_digits: int
    negative: bool


class _Morpheme(NamedTuple):
    senses: Mapping[int, int]
    is_last: bool  # of its word
    digits: _Digits | None


class _Number(NamedTuple):
    numerator: int
    denominator: int
    end: int
    is_article: bool
    is_plain: bool  # a whole number without sign


_NO_MORPHEME = _Morpheme({}, True, None)
_DIGITS_SENSES: Mapping[int, int] = {Class.DIGITS: 0}


@dataclass(slots=True)
class _Captured:
    number: _Number | None = None
    hour: int = 0
    minute: int = 0
    part: int = -1
    day: int = 0
    month: int = 0
    date: int = -1


@dataclass(slots=True)
class _Sentence:
    """A sentence from a word on, split as far as it was read."""

    words: Sequence[str]
    next_word: int
    morphemes: list[_Morpheme] = field(default_factory=list)
    numbers: dict[tuple[int, bool], _Number | None] = field(default_factory=dict)


class Quantities:
    """Finds the quantities of one language."""

    def __init__(self, tables: QuantityTables) -> None:
        self.tables = tables
        self._senses = {text: dict(senses) for text, senses in zip(tables.morphemes, tables.senses, strict=True)}
        self._glued = {text for text, senses in self._senses.items() if not tables.glued.isdisjoint(senses)}
        self._abbreviations = {text for text, senses in self._senses.items() if Class.ABBREVIATION in senses}
        self._longest = max(map(len, self._glued | self._abbreviations), default=0)
        self._cache: dict[str, tuple[_Morpheme, ...]] = {}
        self._parts = [pattern for pattern in tables.patterns if KINDS[pattern.kind] == "part"]
        self._part_starts = frozenset(pattern.items[0].type for pattern in self._parts)
        by_class: dict[int, list[QuantityPattern]] = {}
        for pattern in tables.patterns:
            if KINDS[pattern.kind] != "part":
                for kind in self._first_classes(pattern.items):
                    by_class.setdefault(kind, []).append(pattern)
        self._is_bare_fraction = tables.number_style & NumberStyle.AND_FRACTION > 0
        order = {id(pattern): index for index, pattern in enumerate(tables.patterns)}
        self._patterns = {
            kind: sorted(
                {id(pattern): pattern for pattern in patterns}.values(), key=lambda pattern: order[id(pattern)]
            )
            for kind, patterns in by_class.items()
        }
        self._order = order
        self._starts = frozenset(self._patterns) | _NUMBER_STARTS

    def at(self, words: Sequence[str], index: int) -> Quantity | None:
        """The longest quantity that begins at a word.

        Args:
            words: normalized.
            index: of its first word.
        """
        morphemes = self._split(words[index])
        if not morphemes or self._starts.isdisjoint(morphemes[0].senses):
            return None
        sentence = _Sentence(words, index + 1, list(morphemes[:MAX_MORPHEMES]))
        best: Quantity | None = None
        best_count = 0
        for pattern in self._candidates(morphemes[0]):
            if not self._context(words, index - 1, pattern.before, pattern.not_before):
                continue
            captured = _Captured()
            end = self._match(sentence, pattern, 0, 0, captured, index)
            if end <= 0:
                continue
            count = self._count(sentence, end)
            if count > best_count and (value := self._value(pattern, captured)) is not None:
                best_count, best = count, (Quantity(KINDS[pattern.kind], count, value) if pattern.kind else None)
        duration = self._duration(sentence)
        return duration if duration is not None and duration.count >= best_count else best

    def reads_number(self, words: Sequence[str], number: int) -> bool:
        """Whether all of the words are this cardinal number."""
        sentence = _Sentence(words, 0)
        value, _, end = self._cardinal(sentence, 0)
        return value == number and end > 0 and self._is_end(sentence, end)

    def reads_ordinal(self, words: Sequence[str], number: int) -> bool:
        """Whether all of the words are this ordinal number."""
        sentence = _Sentence(words, 0)
        value, end = self._ordinal(sentence, 0)
        return value == number and end > 0 and self._is_end(sentence, end)

    def _is_end(self, sentence: _Sentence, end: int) -> bool:
        return self._get(sentence, end) is _NO_MORPHEME and sentence.next_word == len(sentence.words)

    def _candidates(self, morpheme: _Morpheme) -> Iterable[QuantityPattern]:
        lists = [self._patterns[kind] for kind in morpheme.senses if kind in self._patterns]
        if len(lists) <= 1:
            return lists[0] if lists else ()
        merged = {id(pattern): pattern for patterns in lists for pattern in patterns}
        return sorted(merged.values(), key=lambda pattern: self._order[id(pattern)])

    def _first_classes(self, items: Sequence[QuantityItem]) -> set[int]:
        classes: set[int] = set()
        for item in items:
            if is_class(item.type):
                classes.add(item.type)
            elif item.type in {ItemType.CLOCK, ItemType.DOTTED, ItemType.DAY_MONTH}:
                classes.add(Class.DIGITS)
            elif item.type == ItemType.FRACTION:
                classes.add(Class.FRACTION)
            elif item.type == ItemType.PART:
                for pattern in self._parts:
                    classes |= self._first_classes(pattern.items)
            else:
                classes |= _NUMBER_STARTS | {Class.ORDINAL}
            if not item.optional:
                break
        return classes

    # Words and morphemes

    def _split(self, word: str) -> tuple[_Morpheme, ...]:
        """The morphemes of a word; none where it holds anything else."""
        known = self._cache.get(word)
        if known is None:
            if len(self._cache) >= 1 << 16:
                self._cache.clear()
            known = self._cache[word] = self._split_anew(word)
        return known

    def _split_anew(self, word: str) -> tuple[_Morpheme, ...]:
        text = skeleton(word, self.tables.umlauts)
        senses = self._senses.get(text)
        if senses is not None:
            return (_Morpheme(senses, True, None),)
        if not text or len(text.encode()) > MAX_WORD_BYTES:
            return ()
        pieces: list[_Morpheme] = []
        return tuple(pieces) if self._split_rest(text, 0, pieces) else ()

    def _split_rest(self, text: str, start: int, pieces: list[_Morpheme]) -> bool:
        if start == len(text):
            return True
        if len(pieces) == MAX_WORD_MORPHEMES:
            return False
        end = start + (text[start] == "-" and start == 0)
        while end < len(text) and text[end] in "0123456789.,:":
            end += 1
        if end > start:
            digits = _read_digits(text[start:end], self.tables.decimal)
            if digits is None:
                return False
            pieces.append(_Morpheme(_DIGITS_SENSES, end == len(text), digits))
            if self._split_rest(text, end, pieces):
                return True
            pieces.pop()
            return False
        for end in range(min(len(text), start + self._longest), start, -1):
            piece = text[start:end]
            before_digits = piece in self._abbreviations and text[end : end + 1] in _DIGITS
            if piece in self._glued or before_digits:
                pieces.append(_Morpheme(self._senses[piece], end == len(text), None))
                if self._split_rest(text, end, pieces):
                    return True
                pieces.pop()
        return False

    def _get(self, sentence: _Sentence, index: int) -> _Morpheme:
        """A morpheme from the quantity's first word on; one without senses behind the end and for any other word."""
        while index >= len(sentence.morphemes):
            if sentence.next_word >= len(sentence.words) or len(sentence.morphemes) >= MAX_MORPHEMES:
                return _NO_MORPHEME
            split = self._split(sentence.words[sentence.next_word]) or (_NO_MORPHEME,)
            sentence.morphemes.extend(split[: MAX_MORPHEMES - len(sentence.morphemes)])
            sentence.next_word += 1
        return sentence.morphemes[index]

    @staticmethod
    def _count(sentence: _Sentence, end: int) -> int:
        """Words up to a morpheme, 0 where that is inside of a word."""
        if not sentence.morphemes[end - 1].is_last:
            return 0
        return sum(morpheme.is_last for morpheme in sentence.morphemes[:end])

    def _context(self, words: Sequence[str], index: int, classes: Sequence[int], negated: bool) -> bool:
        if not classes:
            return True
        if not 0 <= index < len(words):
            return (SENTENCE_EDGE in classes) != negated
        split = self._split(words[index])
        return (len(split) == 1 and any(kind in split[0].senses for kind in classes)) != negated

    # Patterns

    def _match(
        self,
        sentence: _Sentence,
        pattern: QuantityPattern,
        item_index: int,
        start: int,
        captured: _Captured,
        first: int,
    ) -> int:
        """The end of the longest match of the items from one on; 0: none."""
        if item_index == len(pattern.items):
            if not start or not sentence.morphemes[start - 1].is_last:
                return 0
            next_senses = self._get(sentence, start).senses
            if KINDS[pattern.kind] == "time" and (Class.UNIT in next_senses or Class.ABBREVIATION in next_senses):
                return 0  # "lamp two after ten minutes"
            behind = first + self._count(sentence, start)
            return start if self._context(sentence.words, behind, pattern.after, pattern.not_after) else 0
        item = pattern.items[item_index]
        end = self._match_item(sentence, item, start, captured, first)
        if end and (matched := self._match(sentence, pattern, item_index + 1, end, captured, first)):
            return matched
        if item.optional:
            if item.type == ItemType.PART:
                captured.part = -1
            return self._match(sentence, pattern, item_index + 1, start, captured, first)
        return 0

    def _match_item(self, sentence: _Sentence, item: QuantityItem, start: int, captured: _Captured, first: int) -> int:
        morpheme = self._get(sentence, start)
        kind = item.type
        if is_class(kind):
            value = morpheme.senses.get(kind)
            if value is None:
                return 0
            if kind == Class.MOMENT:
                captured.hour, captured.minute = divmod(value * 30, 60)
            elif kind == Class.MONTH:
                captured.month = value
            elif kind == Class.DATE:
                captured.date = value
            return start + 1
        digits = morpheme.digits
        if kind == ItemType.CLOCK:
            if digits is None or digits.minutes < 0:
                return 0
            captured.hour, captured.minute = divmod(digits.minutes, 60)
            return start + 1
        if kind in {ItemType.DOTTED, ItemType.DAY_MONTH}:
            if digits is None or digits.right < 0 or digits.negative:
                return 0
            if kind == ItemType.DOTTED:
                if digits.left > 24 or digits.right > 59 or digits.right_digits != 2:
                    return 0
                captured.hour, captured.minute = digits.left, digits.right
                return start + 1
            if not 1 <= digits.left <= 31 or not 1 <= digits.right <= 12 or digits.right_digits > 2:
                return 0
            captured.day, captured.month = digits.left, digits.right
            return start + 1
        if kind == ItemType.PART:
            return self._match_part(sentence, start, captured, first)
        if kind == ItemType.FRACTION:
            if Class.FRACTION not in morpheme.senses:
                return 0
            captured.number = _Number(*self.tables.fractions[morpheme.senses[Class.FRACTION]], start + 1, False, False)
            return start + 1
        if kind in {ItemType.DAY, ItemType.ORDINAL}:
            day, end = self._ordinal(sentence, start)
            if not end and kind == ItemType.DAY:
                number = self._number(sentence, start, False)
                if number is not None and number.is_plain and not number.is_article:
                    day, end = number.numerator, number.end
            if not end or not 1 <= day <= 31:
                return 0
            captured.day = captured.hour = day
            return end
        number = self._number(sentence, start, kind == ItemType.AMOUNT)
        if number is not None and not number.is_plain and kind in LIMITED_ITEMS:
            number = self._before_fraction(sentence, start)
        if number is None or (number.is_article and kind not in {ItemType.AMOUNT, ItemType.A_HOUR}):
            return 0
        if kind in {ItemType.NUMBER, ItemType.AMOUNT}:
            captured.number = number
            return number.end
        if not number.is_plain or not item.minimum <= number.numerator <= item.maximum:
            return 0
        if number.numerator % item.multiple:
            return 0
        if kind == ItemType.MINUTE:
            captured.minute = number.numerator
        else:
            captured.hour = number.numerator
        return number.end

    def _before_fraction(self, sentence: _Sentence, start: int) -> _Number | None:
        """The whole number that a fraction is added to: the hour of "otto e mezza"."""
        numerator, denominator, end = self._cardinal(sentence, start)
        if end == start or denominator != 1 or numerator < 0 or Class.POINT in self._get(sentence, end).senses:
            return None
        is_article = end == start + 1 and Class.ARTICLE in self._get(sentence, start).senses
        return _Number(numerator, 1, end, is_article, True)

    def _match_part(self, sentence: _Sentence, start: int, captured: _Captured, first: int) -> int:
        """The longest phrase of a part of the day; the first of equals."""
        longest, value = 0, -1
        senses = self._get(sentence, start).senses
        captured.part = -1
        if self._part_starts.isdisjoint(senses):
            return 0
        begins = first + (self._count(sentence, start) if start else 0)
        for pattern in self._parts:
            if pattern.items[0].type in senses and self._context(
                sentence.words, begins - 1, pattern.before, pattern.not_before
            ):
                end = self._match(sentence, pattern, 0, start, captured, first)
                if end > start and end > longest:
                    longest, value = end, pattern.value
        captured.part = value
        return longest

    def _value(self, pattern: QuantityPattern, captured: _Captured) -> str | None:
        """The canonical value of a match; None: there is none."""
        kind = KINDS[pattern.kind]
        if kind == "none":
            return ""
        if kind == "time":
            hour = captured.hour
            if hour > 24:
                return None
            if captured.part >= 0 and hour <= 12:
                since, twelve = self.tables.day_parts[captured.part]
                hour = twelve if hour == 12 else hour + 12 if hour >= since else hour
            minutes = hour * 60 + pattern.value + (-captured.minute if pattern.backwards else captured.minute)
            return "{:02}:{:02}".format(*divmod(minutes % 1440, 60))
        if kind == "date":
            if pattern.value >= 0:
                return self.tables.dates[pattern.value]
            if captured.date >= 0:
                return self.tables.dates[captured.date]
            if captured.month and captured.day > _MONTH_DAYS[captured.month - 1]:
                return None
            return f"--{captured.month:02}-{captured.day:02}" if captured.month else f"---{captured.day:02}"
        number = captured.number
        return None if number is None else _decimal(number.numerator, number.denominator)

    # Numbers

    def _number(self, sentence: _Sentence, start: int, is_amount: bool) -> _Number | None:
        key = (start, is_amount)
        if key not in sentence.numbers:
            sentence.numbers[key] = self._read_number(sentence, start, is_amount)
        return sentence.numbers[key]

    def _read_number(self, sentence: _Sentence, start: int, is_amount: bool) -> _Number | None:
        first = self._get(sentence, start).senses
        sign = 1
        begin = start
        if Class.MINUS in first:
            sign, begin = -1, start + 1
            first = self._get(sentence, begin).senses
        if Class.FRACTION in first:
            numerator, denominator = self.tables.fractions[first[Class.FRACTION]]
            end = begin + 1
            if is_amount:
                if Class.OF in self._get(sentence, end).senses:
                    end += 1
                if Class.ARTICLE in self._get(sentence, end).senses:
                    end += 1
            elif numerator < denominator and not self._is_sign(sentence, begin):
                return None
            return _Number(sign * numerator, denominator, end, False, False)
        numerator, denominator, end = self._cardinal(sentence, begin)
        if end == begin and is_amount and Class.ARTICLE in first:
            numerator, end = 1, begin + 1
        if end == begin:
            return None
        if sign < 0 and numerator < 0:
            return None
        is_article = end == begin + 1 and Class.ARTICLE in first
        is_plain = sign > 0 and denominator == 1 and numerator >= 0
        if denominator == 1 and numerator >= 0:
            with_decimals = self._decimals(sentence, end, numerator)
            if with_decimals is None:
                with_decimals = self._with_fraction(sentence, end, numerator, is_amount)
            if with_decimals is not None:
                numerator, denominator, end = with_decimals
                is_article = is_plain = False
        return _Number(sign * numerator, denominator, end, is_article, is_plain)

    def _is_sign(self, sentence: _Sentence, index: int) -> bool:
        """Whether a fraction is a sign of its own, such as ½; its words are no number alone ("half open")."""
        return Class.SIGN in self._get(sentence, index).senses

    def _decimals(self, sentence: _Sentence, start: int, whole: int) -> tuple[int, int, int] | None:
        """Decimals in words: "point two five", "komma fünfundzwanzig"."""
        point = self._get(sentence, start).senses
        if Class.POINT not in point:
            return None
        end = start + 1
        digits = self._get(sentence, end).digits
        if digits is not None:
            if digits.denominator != 1 or digits.negative or digits.right_digits > 3:
                return None
            scale = 10**digits.right_digits
            return whole * scale + digits.numerator, scale, end + 1
        value, behind = self._below_hundred(sentence, end)
        if behind == end:
            return None
        if value >= 10:
            return whole * 100 + value, 100, behind
        numerator, denominator = whole, 1
        while behind > end and value < 10 and denominator < 1000:
            numerator, denominator, end = numerator * 10 + value, denominator * 10, behind
            value, behind = self._below_hundred(sentence, end)
        return numerator, denominator, end

    def _with_fraction(
        self, sentence: _Sentence, start: int, whole: int, is_amount: bool
    ) -> tuple[int, int, int] | None:
        """A fraction behind a whole number: added ("two and a half", "2 ½") or as a numerator ("three quarters")."""
        end = start
        has_and = Class.AND in self._get(sentence, end).senses
        end += has_and
        one = self._get(sentence, end).senses
        has_one = Class.ARTICLE in one or one.get(Class.NUMBER) == 1
        end += has_one
        senses = self._get(sentence, end).senses
        if Class.FRACTION not in senses:
            return None
        numerator, denominator = self.tables.fractions[senses[Class.FRACTION]]
        is_sign = self._is_sign(sentence, end)
        is_added = has_one or is_sign or (has_and and self._is_bare_fraction)
        if numerator >= denominator or (has_and and not is_added):
            return None
        end += 1
        if is_added:
            return whole * denominator + numerator, denominator, end
        if numerator != 1 or not 1 <= whole < denominator:
            return None
        if is_amount:
            if Class.OF in self._get(sentence, end).senses:
                end += 1
            if Class.ARTICLE in self._get(sentence, end).senses:
                end += 1
        return whole, denominator, end

    def _cardinal(self, sentence: _Sentence, start: int) -> tuple[int, int, int]:
        """A number without sign and fraction in words, or in digits with its sign: numerator, denominator, end."""
        digits = self._get(sentence, start).digits
        if digits is not None:
            if not digits.denominator:
                return 0, 1, start
            power = self._get(sentence, start + 1).senses.get(Class.POWER)
            if power is not None and digits.numerator > 0:
                value = digits.numerator * POWERS[power]
                if value % digits.denominator == 0 and value // digits.denominator <= _LARGEST:
                    return value // digits.denominator, 1, start + 2
            if digits.numerator % digits.denominator == 0:
                return digits.numerator // digits.denominator, 1, start + 1
            return digits.numerator, digits.denominator, start + 1
        total, limit, end = 0, _LARGEST + 1, start
        while True:
            begin = end
            if end > start and Class.AND in self._get(sentence, end).senses:
                begin = end + 1
            group, behind = self._group(sentence, begin)
            power = self._get(sentence, behind).senses.get(Class.POWER, 0)
            if power and POWERS[power] < limit and (group or behind == begin):
                added = (group or 1) * POWERS[power]
                if added >= limit or total + added > _LARGEST:
                    break
                total, limit, end = total + added, POWERS[power], behind + 1
                continue
            if behind > begin and group < limit and (group or end == start):
                total, end = total + group, behind
            break
        return total, 1, end

    def _group(self, sentence: _Sentence, start: int) -> tuple[int, int]:
        """A number below 1000, or below 10,000 in hundreds ("fifteen hundred"); its end is its start where none is."""
        value, end = self._below_hundred(sentence, start)
        senses = self._get(sentence, start).senses
        if end == start and Class.ARTICLE in senses and Class.POWER in self._get(sentence, start + 1).senses:
            value, end = 1, start + 1
        if Class.HUNDREDS in senses:
            value, end = senses[Class.HUNDREDS] * 100, start + 1
        elif self._get(sentence, end).senses.get(Class.POWER) != 0 or (end > start and not value):
            return value, end
        else:
            value, end = (value if end > start else 1) * 100, end + 1
        begin = end + (Class.AND in self._get(sentence, end).senses)
        rest, behind = self._below_hundred(sentence, begin)
        return (value + rest, behind) if behind > begin and rest else (value, end)

    def _below_hundred(self, sentence: _Sentence, start: int) -> tuple[int, int]:
        style = self.tables.number_style
        value, end = self._below_twenty(sentence, start)
        if style & NumberStyle.UNITS_FIRST:
            if 1 <= value <= 9 and Class.AND in self._get(sentence, end).senses:
                tens = self._get(sentence, end + 1).senses.get(Class.NUMBER, 0)
                if tens >= 20 and tens % 10 == 0:
                    return value + tens, end + 2
            return value, end
        if value == 4 and style & NumberStyle.SCORES and self._get(sentence, end).senses.get(Class.NUMBER) == 20:
            value, end = 80, end + 1
        if value >= 20 and value % 10 == 0:
            has_and = style & NumberStyle.AND_IN_TENS > 0 and Class.AND in self._get(sentence, end).senses
            unit, behind = self._below_twenty(sentence, end + has_and)
            if 1 <= unit <= (19 if style & NumberStyle.TEENS and value in {60, 80} else 9):
                return value + unit, behind
        return value, end

    def _below_twenty(self, sentence: _Sentence, start: int) -> tuple[int, int]:
        """A single number word, or "ten-seven"."""
        value = self._get(sentence, start).senses.get(Class.NUMBER)
        if value is None:
            return 0, start
        if value == 10 and self.tables.number_style & NumberStyle.TEENS:
            unit = self._get(sentence, start + 1).senses.get(Class.NUMBER, 0)
            if 7 <= unit <= 9:
                return 10 + unit, start + 2
        return value, start + 1

    def _ordinal(self, sentence: _Sentence, start: int) -> tuple[int, int]:
        """The number and the end of an ordinal; the end is 0 where there is none."""
        senses = self._get(sentence, start).senses
        if Class.ORDINAL in senses:
            tens = senses[Class.ORDINAL]
            unit = self._get(sentence, start + 1).senses.get(Class.ORDINAL, 0)
            if tens in {20, 30} and 1 <= unit <= 9:  # "dwudziestego pierwszego"
                return tens + unit, start + 2
            return tens, start + 1
        tens = senses.get(Class.NUMBER, 0)
        if tens >= 20 and tens % 10 == 0:
            unit = self._get(sentence, start + 1).senses.get(Class.ORDINAL, 0)
            if 1 <= unit <= 9:
                return tens + unit, start + 2
        numerator, denominator, end = self._cardinal(sentence, start)
        if end > start and denominator == 1 and Class.ORDINAL_SUFFIX in self._get(sentence, end).senses:
            return numerator, end + 1
        return 0, 0

    # Durations

    def _duration(self, sentence: _Sentence) -> Quantity | None:
        parts = [0] * len(UNITS)
        best: tuple[int, list[int]] | None = None
        start, previous = 0, -1
        while True:
            begin = start
            if start and Class.AND in self._get(sentence, start).senses:
                begin = start + 1
            senses = self._get(sentence, begin).senses
            if Class.ARTICLE in senses and Class.UNIT in senses:
                number: _Number | None = _Number(1, 1, begin, True, False)  # "godzinę": an hour
            else:
                number = self._number(sentence, begin, True)
            unit = -1 if number is None else self._unit(sentence, number.end)
            if number is None or unit <= previous or number.numerator < 0:
                break
            if not _add_duration(parts, number.numerator, number.denominator, unit):
                break
            start, previous = number.end + 1, unit
            if sentence.morphemes[start - 1].is_last:
                best = start, list(parts)
        if start:
            end = self._duration_end(sentence, start, previous, parts)
            if end and sentence.morphemes[end - 1].is_last:
                best = end, parts
        if best is None:
            return None
        end, parts = best
        return Quantity(
            "duration",
            self._count(sentence, end),
            _iso_duration(parts),
            tuple((name, str(value)) for name, value in zip(UNITS, parts, strict=True) if value),
        )

    def _unit(self, sentence: _Sentence, index: int) -> int:
        """Index of the unit behind a number; -1: none."""
        senses = self._get(sentence, index).senses
        if Class.UNIT in senses:
            return senses[Class.UNIT]
        if Class.ABBREVIATION in senses and self._get(sentence, index - 1).digits is not None:
            return senses[Class.ABBREVIATION]
        return -1

    def _duration_end(self, sentence: _Sentence, start: int, unit: int, parts: list[int]) -> int:
        """What may follow the last unit: "and a half", or a number of the next unit ("1h30"); 0: nothing of that."""
        if Class.AND in self._get(sentence, start).senses:
            end = start + 1
            one = self._get(sentence, end).senses
            has_one = Class.ARTICLE in one or one.get(Class.NUMBER) == 1
            if not has_one and not self._is_bare_fraction:
                return 0
            end += has_one
            senses = self._get(sentence, end).senses
            if Class.FRACTION not in senses or self._unit(sentence, end + 1) >= 0:
                return 0
            numerator, denominator = self.tables.fractions[senses[Class.FRACTION]]
            if numerator >= denominator or not _add_duration(parts, numerator, denominator, unit):
                return 0
            return end + 1
        if UNITS[unit] not in {"hours", "minutes"}:
            return 0
        number = self._number(sentence, start, False)
        if number is None or not number.is_plain or not 10 <= number.numerator <= 59:
            return 0
        if sentence.morphemes[start - 1].is_last and self._get(sentence, number.end).senses:
            return 0  # "2 hours 20 percent"
        parts[unit + 1] += number.numerator
        return number.end


_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NUMBER_STARTS = frozenset(
    {Class.NUMBER, Class.POWER, Class.HUNDREDS, Class.ARTICLE, Class.MINUS, Class.FRACTION, Class.DIGITS},
)


def _read_digits(text: str, decimal: str) -> _Digits | None:
    """A number in digits, such as "-5", "1.5", "1,500", "7:20"."""
    negative = text.startswith("-")
    signs = "".join(character for character in text[negative:] if character in ".,:")
    groups = text[negative:].replace(",", ".").replace(":", ".").split(".")
    first_size, size = len(groups[0]), len(groups[-1])
    if not all(groups) or sum(map(len, groups)) > MAX_DIGITS or signs[:-1].strip(signs[:1]):
        return None
    left, right, right_digits = int(groups[0]), int(groups[-1]), size
    if ":" in signs:
        is_clock = len(signs) == 1 and not negative and first_size <= 2 and size == 2 and left <= 24 and right <= 59
        return _Digits(0, 0, left * 60 + right, 0, -1, 0, False) if is_clock else None
    decimals = ""
    if len(signs) == 1:
        has_decimals = signs == decimal or size != 3 or first_size > 3 or groups[0] == "0"
    else:
        has_decimals = signs[-1:] != signs[:1]
    if has_decimals:
        decimals = groups.pop()
    if any(len(group) != 3 for group in groups[1:]) or (len(groups) > 1 and first_size > 3):
        return None
    whole = "".join(groups)
    if len(decimals) > 6 or int(whole) > _LARGEST:
        return None
    numerator = int(whole + decimals)
    pair = len(signs) == 1
    return _Digits(
        -numerator if negative else numerator,
        10 ** len(decimals),
        -1,
        left if pair else 0,
        right if pair else -1,
        right_digits if pair else len(whole + decimals),
        negative,
    )


def _decimal(numerator: int, denominator: int) -> str:
    """A fraction with at most six decimals, no zeros at the end."""
    scaled = (abs(numerator) * 1_000_000 + denominator // 2) // denominator
    whole, rest = divmod(scaled, 1_000_000)
    text = f"{whole}.{rest:06}".rstrip("0").rstrip(".")
    return f"-{text}" if numerator < 0 and scaled else text


def _add_duration(parts: list[int], numerator: int, denominator: int, unit: int) -> bool:
    """Adds an amount of a unit, its fraction in smaller ones; False where that is no whole number of seconds."""
    whole, rest = divmod(numerator, denominator)
    seconds = rest * _UNIT_SECONDS[unit]
    if seconds % denominator:
        return False
    seconds //= denominator
    parts[unit] += whole
    for smaller in range(unit + 1, len(UNITS)):
        parts[smaller] += seconds // _UNIT_SECONDS[smaller]
        seconds %= _UNIT_SECONDS[smaller]
    return True


def _iso_duration(parts: Sequence[int]) -> str:
    date = "".join(f"{value}{letter}" for value, letter in zip(parts[:2], _UNIT_LETTERS[:2], strict=True) if value)
    time = "".join(f"{value}{letter}" for value, letter in zip(parts[2:], _UNIT_LETTERS[2:], strict=True) if value)
    return f"P{date}T{time}" if time else f"P{date}" if date else "PT0S"
