"""How byte-level tokenizers cut a text into words, which no merge crosses: their regular expressions by hand.

`firmware_templates/runtime/thimble_pretokenizer.c` is the twin. Which characters are letters, numbers and white space
is a table, made from the library whose tokenizers are read (`pipeline.importers.tokenizer_json`), since each knows
another version of Unicode.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

__all__ = ["CharacterClass", "WordForm", "WordRules"]


class CharacterClass(IntEnum):
    """What a regular expression knows of a character."""

    OTHER = 0
    LETTER = 1
    """`\\p{L}`"""
    NUMBER = 2
    """`\\p{N}`"""
    SPACE = 3
    """`\\s`"""
    DIGIT = 4
    """A number for what sets digits apart, and none for the expression, whose Unicode is older."""


class WordForm(IntEnum):
    """The regular expressions."""

    GPT2 = 0
    r"""`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`"""
    GPT2_DIGITS = 1
    """The same, of what lies between digits, each of which is a word."""
    LLAMA3 = 2
    r"""`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}`, and behind it
    `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`"""


_LINE_ENDS = "\r\n"
_LONG_S = "\u017f"  # an s where case does not count


@dataclass(frozen=True)
class WordRules:
    """The words of a text.

    Attributes:
        form: the regular expression.
        max_digits: of a word, with `LLAMA3`.
        runs: (first code point, class) of each run of characters of one class, ascending, the first at 0.
    """

    form: WordForm
    max_digits: int
    runs: tuple[tuple[int, int], ...]

    def words(self, text: str) -> Iterator[str]:
        """The words, which together are the text."""
        classes = [CharacterClass(self.runs[bisect_right(self._starts, ord(one)) - 1][1]) for one in text]
        matcher = _Matcher(self, text, classes)
        at = 0
        while at < len(text):
            length = matcher.length(at)
            yield text[at : at + length]
            at += length

    @cached_property
    def _starts(self) -> list[int]:
        return [start for start, _ in self.runs]


class _Matcher:
    def __init__(self, rules: WordRules, text: str, classes: list[CharacterClass]) -> None:
        self._rules, self._text, self._classes = rules, text, classes
        self._folds = rules.form == WordForm.LLAMA3
        self._digits_apart = rules.form == WordForm.GPT2_DIGITS

    def length(self, at: int) -> int:
        """Characters of the word that begins there."""
        first = self._class(at)
        if self._digits_apart and self._is_digit(at):
            return 1
        if self._text[at] == "'" and (length := self._contraction(at)):
            return length
        if self._folds:
            return self._folded_length(at, first)
        start = at + (self._text[at] == " ")
        if (kind := self._class(start)) is not None and kind != CharacterClass.SPACE and not self._ends(start):
            return self._run(start, kind) - at
        return self._spaces(at)

    def _folded_length(self, at: int, first: CharacterClass | None) -> int:
        """By the expression of Llama 3, behind its contractions."""
        joins = first not in (CharacterClass.LETTER, CharacterClass.NUMBER) and self._text[at] not in _LINE_ENDS
        if (start := at + joins) < len(self._text) and self._class(start) == CharacterClass.LETTER:
            return self._run(start, CharacterClass.LETTER) - at
        if first == CharacterClass.NUMBER:
            return min(self._run(at, CharacterClass.NUMBER) - at, self._rules.max_digits)
        start = at + (self._text[at] == " ")
        if self._class(start) == CharacterClass.OTHER:
            end = self._run(start, CharacterClass.OTHER)
            while end < len(self._text) and self._text[end] in _LINE_ENDS:
                end += 1
            return end - at
        end = self._run(at, CharacterClass.SPACE)
        line_end = max(self._text.rfind(character, at, end) for character in _LINE_ENDS)
        return line_end + 1 - at if line_end >= 0 else self._spaces(at)

    def _class(self, at: int) -> CharacterClass | None:
        """What the expression knows of a character; None behind the text."""
        if at >= len(self._text):
            return None
        kind = self._classes[at]
        return CharacterClass.OTHER if kind == CharacterClass.DIGIT else kind

    def _is_digit(self, at: int) -> bool:
        return at < len(self._text) and self._classes[at] in (CharacterClass.NUMBER, CharacterClass.DIGIT)

    def _ends(self, at: int) -> bool:
        """Whether what the expression sees ends here: at a digit that is set apart."""
        return at >= len(self._text) or (self._digits_apart and self._is_digit(at))

    def _run(self, at: int, kind: CharacterClass) -> int:
        """Where the characters of a class end that begin there."""
        while not self._ends(at) and self._class(at) == kind:
            at += 1
        return at

    def _spaces(self, at: int) -> int:
        r"""`\s+(?!\S)|\s+`: all white space but the last, unless the text ends with it."""
        end = self._run(at, CharacterClass.SPACE)
        return end - at if self._ends(end) or end == at + 1 else end - 1 - at

    def _contraction(self, at: int) -> int:
        following = self._text[at + 1 : at + 3]
        if self._folds:
            following = (
                following.replace(_LONG_S, "s").lower() if following[:1].isascii() or following[:1] == _LONG_S else ""
            )
        if following[:1] and following[0] in "stmd" and not self._ends(at + 1):
            return 2
        return 3 if following in ("re", "ve", "ll") else 0
