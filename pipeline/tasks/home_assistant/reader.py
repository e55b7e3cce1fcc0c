"""Whether a template reads a sentence: for sentences that are made, which must not mean another command by chance."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    TextChunk,
)
from hassil.intents import RangeSlotList, TextSlotList

from pipeline.tasks.home_assistant.templates import NAMED, Language, Template, number_words

__all__ = ["Reader"]

_NAME_MARK = "\1"  # before each word that names are made of
_SPACE = r"(?: |(?<= )|^|$)"
_NAME = rf"{_NAME_MARK}[^ ]+(?: (?:{_NAME_MARK}[^ ]+|\d+)){{0,5}}"
_NUMBER_WORD = "\2"  # instead of a spelled number's word
_NUMBER = rf"(?:-?\d+(?:[.,]\d+)?|{_NUMBER_WORD}(?: {_NUMBER_WORD})*)"
_UNIT = re.compile(r" ?([%°]) ?")
_GLUED = re.compile(
    r"(?:\{(?:area|floor|name)[^}]*\}|<(?:area|floor|name)[^>]*>)\[?([^\W\d_]+(?:\|[^\W\d_]+)*)(?=[\] ]|$)"
)
_DROPPED = re.compile(r"[?!.,;:\"]+(?= |$)|[\"¿¡]")


class Reader:
    """Reads sentences with the templates of a language.

    Names are any few of the words that names are made of: whose name it is makes no difference here.

    Args:
        language: with its templates.
        name_words: words of which names are made, lower-case.
    """

    def __init__(self, language: Language, name_words: Iterable[str]) -> None:
        self._language = language
        names = {word for word in name_words if not word.isdigit()}
        glued = sorted(
            {ending for text in _texts(language) for found in _GLUED.findall(text) for ending in found.split("|")}
        )
        self._name_words = frozenset(names | {word + ending for word in names for ending in glued})
        self._patterns: dict[int, re.Pattern[str]] = {}
        self._templates = language.templates
        # Sets of templates, a bit for each.
        self._with_word: defaultdict[str, int] = defaultdict(int)
        self._with_names = self._with_free_text = 0
        needing: defaultdict[tuple[str, ...], int] = defaultdict(int)
        for index, template in enumerate(language.templates):
            lists = language.lists(template)
            used = {reference.list_name for reference in language.references(template)}
            for word in language.words_of(template):
                self._with_word[word] |= 1 << index
            if not used.isdisjoint(NAMED):
                self._with_names |= 1 << index
            if any(
                name not in NAMED and not isinstance(lists.get(name), RangeSlotList | TextSlotList) for name in used
            ):
                self._with_free_text |= 1 << index
            for parts in _Needed(language, template).of(template.sentence.expression):
                needing[parts] |= 1 << index
        self._needing = list(needing.items())
        literal = language.literal_words()
        self._numbers = (
            frozenset(
                word
                for number in range(101)
                for word in re.split("[ -]", number_words(language.code, number).replace("\xad", ""))
                if word
            )
            - literal
        )
        self.reads = lru_cache(50_000)(self._reads)

    def _reads(self, sentence: str) -> bool:
        words = _UNIT.sub(r" \1 ", _DROPPED.sub("", sentence.lower()).replace("-", " ")).split()
        text = " ".join(_NUMBER_WORD if word in self._numbers else self._marked(word) for word in words)
        text = _UNIT.sub(r"\1 ", text).rstrip()
        candidates = self._candidates(words)
        while candidates:
            lowest = candidates & -candidates
            if self._pattern(self._templates[lowest.bit_length() - 1]).fullmatch(text):
                return True
            candidates ^= lowest
        return False

    def _marked(self, word: str) -> str:
        """The word with the mark of a name, which stands behind an elided article ("l'office")."""
        if word in self._name_words:
            return _NAME_MARK + word
        article, apostrophe, noun = word.rpartition("'")
        return f"{article}'{_NAME_MARK}{noun}" if apostrophe and noun in self._name_words else word

    def _candidates(self, words: Sequence[str]) -> int:
        """The templates that may read a sentence: with all its words, and with nothing that it does not have."""
        candidates = (1 << len(self._templates)) - 1
        for word in words:
            if word not in self._numbers and word[0].isalpha():
                names = self._with_names if word.rpartition("'")[2] in self._name_words else 0
                candidates &= self._with_word.get(word, 0) | self._with_free_text | names
        spoken = " ".join(words)
        for parts, templates in self._needing if candidates else ():
            if candidates & templates and not any([part in spoken for part in parts]):  # noqa: C419  # faster
                candidates &= ~templates
        return candidates

    def _pattern(self, template: Template) -> re.Pattern[str]:
        pattern = self._patterns.get(template.index)
        if pattern is None:
            text = _Regex(self._language, template).of(template.sentence.expression)
            pattern = self._patterns[template.index] = re.compile(f"{_SPACE}*{text}{_SPACE}*")
        return pattern


def _texts(language: Language) -> list[str]:
    """Templates and rules, as they are written."""
    rules = (rule.text or "" for rule in language.intents.expansion_rules.values())
    return [*(template.text for template in language.templates), *rules]


class _Needed:
    """What every sentence of a template holds: a fast check before the slow one."""

    def __init__(self, language: Language, template: Template) -> None:
        self._rules, self._lists = language.rules(template), language.lists(template)

    def of(self, expression: Expression) -> list[tuple[str, ...]]:
        """Parts of words, of each tuple one."""
        if isinstance(expression, TextChunk):
            text = re.sub(r"[?!.,;:\"]", "", expression.original_text.lower().replace("-", " "))
            return [(part,) for part in text.split() if part.isalpha()]
        if isinstance(expression, Alternative):
            return self._one_of(expression.items)
        if isinstance(expression, Group):  # a Permutation too
            return [parts for item in expression.items for parts in self.of(item)]
        if isinstance(expression, RuleReference):
            return self.of(self._rules[expression.rule_name].expression)
        assert isinstance(expression, ListReference)
        values = self._lists.get(expression.list_name)
        if expression.list_name not in NAMED and isinstance(values, TextSlotList):
            return self._one_of([value.text_in for value in values.values])
        return []

    def _one_of(self, expressions: Iterable[Expression]) -> list[tuple[str, ...]]:
        found: set[str] = set()
        for expression in expressions:
            options = self.of(expression)
            if not options:
                return []
            # The alternative's longest parts tell most.
            found.update(max(options, key=lambda parts: min(map(len, parts))))
        return [tuple(sorted(found))] if found else []


class _Regex:
    """Writes regular expressions of templates."""

    def __init__(self, language: Language, template: Template) -> None:
        self._rules, self._lists = language.rules(template), language.lists(template)

    def of(self, expression: Expression) -> str:
        if isinstance(expression, TextChunk):
            return self._text(expression.original_text.lower().replace("-", " "))
        if isinstance(expression, Alternative):
            return f"(?:{'|'.join(self.of(item) for item in expression.items)})"
        if isinstance(expression, Permutation):
            first, *rest = expression.items
            if not rest:
                return self.of(first)
            orders: list[str] = []
            for item in expression.items:
                others = Permutation(items=[other for other in expression.items if other is not item])
                orders.append(f"{_SPACE}{self.of(item)}{_SPACE}{self.of(others)}")
            return f"(?:{'|'.join(orders)}){_SPACE}"
        if isinstance(expression, Group):
            return "".join(self.of(item) for item in expression.items)
        if isinstance(expression, RuleReference):
            return self.of(self._rules[expression.rule_name].expression)
        assert isinstance(expression, ListReference)
        values = self._lists.get(expression.list_name)
        if expression.list_name in NAMED:
            return _NAME
        if isinstance(values, RangeSlotList):
            return _NUMBER
        if isinstance(values, TextSlotList):
            return f"(?:{'|'.join(self.of(value.text_in) for value in values.values)})"
        return ".+"

    def _text(self, text: str) -> str:
        text = _UNIT.sub(r"\1", text)
        pieces = [re.sub(r"\\?[?!.,;:\"]", "", re.escape(piece)).replace("\\ ", " ") for piece in text.split(" ")]
        return _SPACE.join(f"{_NAME_MARK}?{piece}" if piece else "" for piece in pieces)
