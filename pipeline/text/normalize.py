"""Words of a text as people type it and as speech recognizers write it: folded, composed, without punctuation.

`firmware_templates/runtime/thimble_normalize.c` is its twin and gives the same to the byte; its tables are made of
`FoldTable`.

A text is read in two steps. Each code point is folded: case, width, kinds of apostrophes and digits; a combining mark
becomes one with the letter before it, or is left out. Then words are cut:

- Punctuation, symbols, emoji and controls separate words, and so do hyphens, but for the sign of a number ("-5").
- An apostrophe stays between letters, and a full stop, comma or colon between digits: "o'clock", "20.5", "7:30".
- Single letters with full stops between them are an abbreviation, written without: "a.m." is "am".
- Number and letters written together are apart where the number comes first: "5min" is "5 min", but "ps5" stays.
- %, °, currencies, fractions, + and & are words of their own.
- Where the language says so, an article or the like that lost its vowel is a word of its own, with its apostrophe:
  "l'air" is "l'" and "air".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import pairwise

from pipeline.errors import ThimbleError
from pipeline.text.annotation import Word

__all__ = [
    "MAX_RESTORED_BYTES",
    "PLAIN_SPELLINGS",
    "SCRIPTS",
    "SYMBOLS",
    "CodePointClass",
    "FoldTable",
    "Normalizer",
    "build_restore",
    "skeleton",
]

MAX_RESTORED_BYTES = 64
"""Of the UTF-8 of a word that is restored: THIMBLE_MAX_RESTORED_BYTES."""

SCRIPTS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "latin": ((0x41, 0x2AF), (0x1E00, 0x1EFF), (0x212A, 0x212B)),
    "greek": ((0x370, 0x3FF), (0x1F00, 0x1FFF), (0x2126, 0x2126)),
    "cyrillic": ((0x400, 0x52F),),
}
"""First and last code points whose case is folded and whose marks are composed."""

SYMBOLS = frozenset("%°€$£+&¼½¾↉") | frozenset(map(chr, range(0x2150, 0x215F)))
"""Words of their own."""

_APOSTROPHES = "’‘ʼ′`´"
_MINUS = "−"

# Where whole blocks have one class, versions of Unicode that add to them change nothing, and the tables are small.
_SEPARATOR_BLOCKS = ((0x2000, 0x2BFF), (0x2E00, 0x2E7F), (0xD800, 0xF8FF))
_LETTER_BLOCKS = ((0x1B00, 0x1B7F), (0x31C0, 0x31EF), (0xFB50, 0xFDFF))
_IGNORED_BLOCKS = (
    (0xAD, 0xAD),  # soft hyphen
    (0x300, 0x36F),
    (0x483, 0x489),
    (0x61C, 0x61C),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x200C, 0x200F),  # joiners, marks of direction
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x20D0, 0x20FF),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFE20, 0xFE2F),
    (0xFEFF, 0xFEFF),
)
_MATHEMATICAL_DIGITS = (0x1D7CE, 0x1D7FF)
_EMOJI = (0x1F000, 0x1FFFF)
_TAGS = 0xE0000  # and what follows: variation selectors, private use
_VARIATION_SELECTORS = (0xE0100, 0xE01EF)

PLAIN_SPELLINGS = {
    "'": "",
    **{"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ı": "i"},
    **{"đ": "d", "ħ": "h", "ł": "l", "ø": "o", "ŧ": "t"},
}
"""Letters that do not decompose, but are written with others where a keyboard lacks them; and the apostrophe."""
_BREVE = 0x306


class CodePointClass:
    """What a folded code point is to the cutting of words; the numbers are those of the device's table."""

    LETTER = 0
    SEPARATOR = 1
    IGNORED = 2
    SYMBOL = 3
    DIGIT = 4


class FoldTable:
    """How code points are folded, for all of Unicode: what is not in the tables is a letter that folds to itself.

    Attributes:
        scripts: those of `SCRIPTS` whose letters fold and compose, sorted.

    Args:
        scripts: names of `SCRIPTS`; all unless given.

    Raises:
        ThimbleError: a script that is not one of `SCRIPTS`.
    """

    def __init__(self, scripts: Iterable[str] = tuple(SCRIPTS)) -> None:
        self.scripts = tuple(sorted(set(scripts)))
        unknown = [script for script in self.scripts if script not in SCRIPTS]
        if unknown:
            raise ThimbleError(f"no table folds the script {unknown[0]!r}", f"use some of: {', '.join(SCRIPTS)}")
        self._blocks = [block for script in self.scripts for block in SCRIPTS[script]]

    @cached_property
    def folds(self) -> Mapping[int, int]:
        """Code points that are folded to others, ascending, without `digits` and what lies above U+FFFF."""
        folds = {}
        for code in self._covered():
            if (folded := self._folded(code)) != code:
                folds[code] = folded
        folds |= {ord(letter): ord("'") for letter in _APOSTROPHES}
        folds[ord(_MINUS)] = ord("-")
        for code in range(0x21, 0x7F):
            folds[code + 0xFEE0] = folds.get(code, code)  # of full width
        folds |= {code: _composed(chr(code)) for code in (0x340, 0x341, 0x343)}  # marks that are others by definition
        folds = {code: folds.get(folded, folded) for code, folded in folds.items()}
        return {code: folds[code] for code in sorted(folds) if folds[code] != code and code not in _digits()}

    @property
    def digits(self) -> tuple[int, ...]:
        """The zeros of the scripts that have digits beside ASCII, up to U+FFFF, ascending; nine others follow each."""
        return tuple(code for code, value in _digits().items() if value == 0)

    @cached_property
    def pairs(self) -> Mapping[tuple[int, int], int]:
        """What a folded letter and a combining mark become together.

        With two marks either may come first, as some keyboards write them.
        """
        pairs = {}
        for code in self._covered():
            composed = self._folded(code)
            base, *marks = list(unicodedata.normalize("NFD", chr(composed)))
            for index, mark in enumerate(marks):
                rest = unicodedata.normalize("NFC", base + "".join(marks[:index] + marks[index + 1 :]))
                is_letter = self.class_of(composed) == CodePointClass.LETTER
                if is_letter and len(rest) == 1 and _composed(rest + mark) == composed:
                    pairs[self._folded(ord(rest)), ord(mark)] = composed
        return pairs

    @cached_property
    def classes(self) -> tuple[tuple[int, int], ...]:
        """Where a class of folded code points begins, up to U+FFFF, ascending, and the class."""
        every = [self.class_of(code) for code in range(0x10000)]
        return (
            (0, every[0]),
            *((code, here) for code, (before, here) in enumerate(pairwise(every), 1) if here != before),
        )

    def class_of(self, code: int) -> int:
        """The `CodePointClass` of a folded code point."""
        letter = chr(code)
        if code < 0x80 and letter.isdigit():
            return CodePointClass.DIGIT
        if letter in SYMBOLS:
            return CodePointClass.SYMBOL
        if _is_in(code, _IGNORED_BLOCKS) or _is_in(code, (_VARIATION_SELECTORS,)):
            return CodePointClass.IGNORED
        if code >= 0x10000:
            separates = _is_in(code, (_EMOJI,)) or code >= _TAGS
        elif _is_in(code, _LETTER_BLOCKS):
            separates = False
        else:
            category = unicodedata.category(letter)
            separates = _is_in(code, _SEPARATOR_BLOCKS) or (category[0] in "PSZC" and category != "Cn")
        return CodePointClass.SEPARATOR if separates else CodePointClass.LETTER

    def fold(self, code: int) -> int:
        """What a code point is folded to."""
        if code < 0x10000:
            digit = _digits().get(code)
            return self.folds.get(code, code) if digit is None else 0x30 + digit
        first, last = _MATHEMATICAL_DIGITS
        return 0x30 + (code - first) % 10 if first <= code <= last else code

    @staticmethod
    def is_kept(base: int, mark: int) -> bool:
        """Whether a skeleton keeps the mark of a letter: й is one of its own to those who write it."""
        return mark == _BREVE and _is_in(base, SCRIPTS["cyrillic"])

    def _covered(self) -> Iterator[int]:
        for first, last in self._blocks:
            yield from range(first, last + 1)

    def _folded(self, code: int) -> int:
        """Canonical composition and simple case folding."""
        composed = _composed(chr(code))
        letter = chr(composed)
        if unicodedata.category(letter) in {"Mn", "Me", "Cn"}:
            return composed
        lower = letter.casefold()
        if len(lower) != 1:
            lower = letter.lower()  # ẞ, whose full folding are two letters
        # İ has no simple folding: it is an I whose dot is left out, as other marks that do not compose.
        return ord(lower[0])

    @cached_property
    def plain(self) -> Mapping[int, str]:
        """What letters with accents and the like are in a skeleton, and apostrophes."""
        plain = {ord(letter): text for letter, text in PLAIN_SPELLINGS.items()}
        for (base, mark), composed in self.pairs.items():
            if not self.is_kept(base, mark):
                plain[composed] = chr(base)
        while (further := {code: text.translate(plain) for code, text in plain.items()}) != plain:
            plain = further  # ế is ê, and then e
        return plain


class _Folding(dict[int, str]):
    """Code points to folded ones for `str.translate`: separators are spaces; ignored ones are as they are."""

    def __init__(self, table: FoldTable) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, code: int) -> str:
        folded = self._table.fold(code)
        kept = chr(folded) in "'.,:-" or self._table.class_of(folded) != CodePointClass.SEPARATOR
        self[code] = text = chr(folded) if kept else " "
        return text


_SYMBOL = re.escape("".join(sorted(SYMBOLS)))
_L = rf"[^ 0-9'.,:\-{_SYMBOL}]"
_NUMBER = r"[0-9]+(?:[.,:][0-9]+)*"
_LETTERS = rf"{_L}+(?:'{_L}+)*"
_WORD = (
    rf"{_L}(?:\.{_L}(?!{_L}|[0-9]|'{_L}))+"  # an abbreviation; a full stop may follow each but the last of its letters
    rf"|(?<=[0-9]){_LETTERS}"  # behind a number that begins a word
    rf"|{_LETTERS}(?:{_NUMBER}(?:{_LETTERS})?)*"
    rf"|(?:(?<![^ '.,:\-])-)?{_NUMBER}"
    rf"|[{_SYMBOL}]"
)
_PLAIN_WORD = re.compile(_WORD)
_IGNORED = "".join(f"{chr(first)}-{chr(last)}" for first, last in (*_IGNORED_BLOCKS, _VARIATION_SELECTORS))
_HAS_IGNORED = re.compile(f"[{_IGNORED}]")


class Normalizer:
    """Makes normalized words of texts.

    Args:
        table: how code points are folded; that of all `SCRIPTS` unless given.
        elided: what is a word of its own with the apostrophe behind it: ASCII letters in lower case.

    Raises:
        ThimbleError: something else than letters in `elided`.
    """

    def __init__(self, table: FoldTable | None = None, elided: Sequence[str] = ()) -> None:
        self.table = _default_table() if table is None else table
        self.elided = tuple(elided)
        for text in self.elided:
            if not re.fullmatch("[a-z]+", text):
                raise ThimbleError(f"{text!r} cannot be elided", "write ASCII letters in lower case, no apostrophe")
        self._folding = _Folding(self.table)
        self._word = re.compile(rf"(?:{'|'.join(elided)})'(?={_L})|{_WORD}") if elided else _PLAIN_WORD

    def words(self, text: str) -> list[Word]:
        """The words, and where they are in the UTF-8 of the text."""
        if text.isascii():
            return [
                Word(_without_stops(match[0]), match.start(), match.end())
                for match in self._word.finditer(text.lower().translate(_ASCII))
            ]
        words = []
        if _HAS_IGNORED.search(text):
            folded, starts, ends = self._composed(text)
            for match in self._word.finditer(folded):
                words.append(Word(_without_stops(match[0]), starts[match.start()], ends[match.end() - 1]))
            return words
        at = end = 0  # character, byte
        for match in self._word.finditer(text.translate(self._folding)):
            start = end + _num_bytes(text[at : match.start()])
            at = match.end()
            end = start + _num_bytes(text[match.start() : at])
            words.append(Word(_without_stops(match[0]), start, end))
        return words

    def text(self, text: str) -> str:
        """The words joined by single spaces."""
        if text.isascii():
            folded = text.lower().translate(_ASCII)
        elif _HAS_IGNORED.search(text):
            folded, _, _ = self._composed(text)
        else:
            folded = text.translate(self._folding)
        return " ".join(map(_without_stops, self._word.findall(folded)))

    def _composed(self, text: str) -> tuple[str, list[int], list[int]]:
        """The folded text, and where each of its letters begins and ends in the UTF-8 of the text."""
        letters: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        end = 0
        for character in text:
            start, end = end, end + _num_bytes(character)
            folded = self._folding[ord(character)]
            if _HAS_IGNORED.match(folded) is None:
                letters.append(folded)
                starts.append(start)
                ends.append(end)
            elif letters:
                composed = self.table.pairs.get((ord(letters[-1]), ord(folded)))
                if composed is not None:
                    letters[-1] = chr(composed)
                ends[-1] = end
        return "".join(letters), starts, ends


def _without_stops(word: str) -> str:
    """The word as it is, an abbreviation without its full stops; "1.5" is none."""
    return word.replace(".", "") if word[1:2] == "." and word[0] not in "0123456789" else word


def skeleton(word: str, umlauts: bool = False, table: FoldTable | None = None) -> str:
    """A normalized word without accents and apostrophes, by which words are compared whose accents may be lost.

    Args:
        word: normalized.
        umlauts: whether ae, oe and ue are other spellings of ä, ö and ü, and so become a, o and u.
        table: of which the letters with accents are; that of all `SCRIPTS` unless given.
    """
    plain = word.translate((table or _default_table()).plain)
    return _UMLAUT.sub(r"\1", plain) if umlauts else plain


def build_restore(
    words: Iterable[str], known: Collection[str], umlauts: bool = False, any_form: bool = False
) -> Mapping[str, str]:
    """Which word was meant where its accents are lost: words with accents by skeleton.

    Skeletons that several words have are left out, those of known words without accents among them, and so are words
    of more than `MAX_RESTORED_BYTES`.

    Args:
        words: texts that hold the words to restore.
        known: words that are never restored to others, normalized.
        umlauts: as for `skeleton`.
        any_form: whether of several words with accents the last counts: forms of one word, where words are declined
            ("następną" and "następna").
    """
    normalizer = Normalizer()
    candidates = {
        word.text for text in words for word in normalizer.words(text) if _num_bytes(word.text) <= MAX_RESTORED_BYTES
    }
    by_skeleton: dict[str, set[str]] = {text: {text} for text in known}
    for text in candidates | set(known):
        by_skeleton.setdefault(skeleton(text, umlauts), set()).add(text)
    accented = {text: skeleton(text, umlauts) for text in sorted(candidates) if not text.isascii()}
    return {
        plain: text
        for text, plain in accented.items()
        if plain != text and (by_skeleton[plain] == {text} or (any_form and plain not in by_skeleton[plain]))
    }


_UMLAUT = re.compile("([aou])e")


@cache
def _default_table() -> FoldTable:
    return FoldTable()


@cache
def _digits() -> Mapping[int, int]:
    """Decimal digits beside ASCII, up to U+FFFF, and their values."""
    return {code: unicodedata.decimal(chr(code)) for code in range(0x80, 0x10000) if chr(code).isdecimal()}


def _composed(text: str) -> int:
    """The code point that is canonically the same, or the first where that is several."""
    composed = unicodedata.normalize("NFC", text)
    return ord(composed if len(composed) == 1 else text[0])


def _is_in(code: int, blocks: Iterable[tuple[int, int]]) -> bool:
    return any(first <= code <= last for first, last in blocks)


def _num_bytes(text: str) -> int:
    """Of its UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


_ASCII = {
    code: "'" if chr(code) == "`" else " "
    for code in range(0x80)
    if not (chr(code).isalnum() or chr(code) in SYMBOLS or chr(code) in "'.,:-")
}
