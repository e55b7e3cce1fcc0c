"""What a sentence looks like beside its grammar: fillers, dialect, mishearing, typing errors; and values said twice.

All of it is in the table `surface`, `repair` and `sets` of a language's `weave.yaml`; `docs/language-files.md` explains
them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pipeline.tasks.phrases import Hole, Pattern, Piece, expansions, lines, parse_pattern
from pipeline.text.annotation import Entry

__all__ = ["Repair", "Surface", "expand_set"]

_T = TypeVar("_T")
_CLEAN = 0.4  # share of sentences in which no word is changed
_MIN_LETTERS = 4  # of a word in which letters are changed


class Surface:
    """Changes of a sentence's words that leave its meaning and its slot values alone.

    Args:
        data: a `weave.yaml`.
        excluded: words that mean something in the task, which are never put in.
    """

    def __init__(self, data: Mapping[str, Any], excluded: Container[str] = ()) -> None:
        table = data["surface"]
        function_words = frozenset(table.get("function_words", ()))
        self._before, self._behind, self._particles = (
            _without(lines(table[key]), excluded, function_words) for key in ("before", "behind", "particles")
        )
        self._hesitations: Sequence[str] = table["hesitations"]
        self._dialect = _by_phrase(table["dialect"], excluded)
        self._homophones = _by_phrase(table["homophones"], excluded)
        self._letters = [(first, second) for first, second in table["letters"]]
        self._articles = frozenset(table["articles"])
        self._heads = tuple(sorted(table.get("compound_heads", ()), key=len, reverse=True))
        self._lost: Mapping[str, Sequence[str]] = table.get("lost_letters", {})
        self._alternatives = _alternatives(data["sets"], excluded)
        self._operations: tuple[tuple[float, Callable[[list[Piece], random.Random], None]], ...] = (
            (0.3, self._swap_set_words),
            (0.12, self._speak_dialect),
            (0.06, self._mishear),
            (0.07, self._drop_article),
            (0.03, self._confuse_letters),
            (0.03, self._glue),
            (0.05, self._split),
            (0.06, self._lose_letters),
            (0.05, self._mistype),
            (0.05, self._hesitate),
        )

    def fill_seams(self, pieces: Iterable[Piece | Hole], rng: random.Random, share: float = 0.3) -> list[Piece]:
        """Puts a modal particle at one seam, and takes the others out."""
        filled: list[Piece] = []
        may_fill = rng.random() < share
        for piece in pieces:
            if isinstance(piece, Hole):
                continue
            if piece.text != "~":
                filled.append(piece)
            elif may_fill:
                filled += _choose(_choose(self._particles, rng), rng)
                may_fill = False
        return filled

    def add_fillers(self, pieces: list[Piece], rng: random.Random) -> list[Piece]:
        """Perhaps something before and something behind."""
        draw = rng.random()
        if draw < 0.22:
            pieces = [*_choose(_choose(self._before, rng), rng), *pieces]
        if draw > 0.18 and draw < 0.34:
            last = pieces[-1]
            if not last.spans and last.text[-1] in ".!?":
                pieces = [*pieces[:-1], Piece(last.text[:-1])] if len(last.text) > 1 else pieces[:-1]
            pieces = [*pieces, *_choose(_choose(self._behind, rng), rng)]
        return pieces

    def apply(self, pieces: list[Piece], rng: random.Random) -> list[Piece]:
        """Perhaps some changes of words; a new list."""
        pieces = list(pieces)
        if rng.random() < _CLEAN:
            return pieces
        for share, operation in self._operations:
            if rng.random() < share:
                operation(pieces, rng)
        return pieces

    def _swap_set_words(self, pieces: list[Piece], rng: random.Random) -> None:
        _replace(pieces, self._alternatives, 1.0, rng)

    def _speak_dialect(self, pieces: list[Piece], rng: random.Random) -> None:
        _replace(pieces, self._dialect, 0.8, rng)

    def _mishear(self, pieces: list[Piece], rng: random.Random) -> None:
        _replace(pieces, self._homophones, 0.6, rng)

    def _drop_article(self, pieces: list[Piece], rng: random.Random) -> None:
        # Not the last word, which is another thing than an article ("schalte das Licht ein").
        last = len(pieces) - 1
        pieces[:] = [
            piece
            for i, piece in enumerate(pieces)
            if piece.spans or i == last or piece.text.lower() not in self._articles
        ]

    def _confuse_letters(self, pieces: list[Piece], rng: random.Random) -> None:
        index = _long_word(pieces, rng)
        if index is None:
            return
        text = pieces[index].text
        fitting = [pair for pair in self._letters if pair[0] in text]
        if fitting:
            first, second = _choose(fitting, rng)
            pieces[index] = Piece(text.replace(first, second, 1))

    def _glue(self, pieces: list[Piece], rng: random.Random) -> None:
        free = [
            i
            for i in range(len(pieces) - 1)
            if not pieces[i].spans and not pieces[i + 1].spans and (pieces[i].text + pieces[i + 1].text).isalpha()
        ]
        if free:
            index = _choose(free, rng)
            pieces[index : index + 2] = [Piece(pieces[index].text + pieces[index + 1].text.lower())]

    def _split(self, pieces: list[Piece], rng: random.Random) -> None:
        for index, piece in enumerate(pieces):
            if piece.spans or len(piece.text) < 7:
                continue
            lower = piece.text.lower()
            head = next((h for h in self._heads if lower.endswith(h) and len(lower) >= len(h) + 3), None)
            if head is not None:
                cut = len(lower) - len(head)
                pieces[index : index + 1] = [Piece(piece.text[:cut]), Piece(lower[cut:])]
                return

    def _lose_letters(self, pieces: list[Piece], rng: random.Random) -> None:
        choice = rng.random()
        for index, piece in enumerate(pieces):
            if not piece.spans and not piece.text.isascii():
                text = piece.text
                for letter, others in self._lost.items():
                    text = text.replace(letter, others[int(choice * len(others))])
                pieces[index] = Piece(text)

    def _mistype(self, pieces: list[Piece], rng: random.Random) -> None:
        index = _long_word(pieces, rng)
        if index is None:
            return
        text = pieces[index].text
        at = 1 + int(rng.random() * (len(text) - 2))
        kind = int(rng.random() * 3)
        if kind == 0:
            text = text[:at] + text[at + 1 :]
        elif kind == 1:
            text = text[:at] + text[at] + text[at:]
        else:
            text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        pieces[index] = Piece(text)

    def _hesitate(self, pieces: list[Piece], rng: random.Random) -> None:
        pieces.insert(int(rng.random() * len(pieces)), Piece(_choose(self._hesitations, rng)))


class Repair:
    """Values that a speaker corrects: the last one counts.

    Args:
        data: a `weave.yaml`.
        entries: of the task, whose names stand in for each other.

    Attributes:
        patterns: with the holes `wrong` and `right`.
        number_words: that stand in for each other.
    """

    def __init__(self, data: Mapping[str, Any], entries: Sequence[Entry]) -> None:
        table = data["repair"]
        self.patterns = [parse_pattern(text) for text in lines(table["patterns"])]
        self._numbers: Sequence[str] = table["numbers"]
        self.number_words = frozenset(self._numbers)
        self._by_text, self._by_kind = _index(entries)

    def apply(self, pieces: list[Piece], rng: random.Random, entries: Sequence[Entry] = ()) -> list[Piece]:
        """A wrong value before or behind one of the values; the pieces as they are where none can be said.

        Args:
            pieces: of a sentence.
            rng: decides.
            entries: the names of the sentence's home.
        """
        whole = [i for i, piece in enumerate(pieces) if piece.spans == ((0, len(piece.text)),)]
        if not whole:
            return pieces
        index = _choose(whole, rng)
        right = pieces[index]
        wrong = self._other(right.text, rng, entries)
        if wrong is None:
            return pieces
        said: list[Piece] = []
        for item in _choose(self.patterns, rng).draw(rng):
            if isinstance(item, Piece):
                said.append(item)
            elif item.name == "right":
                said.append(right)
            else:
                # Fixed too: half a name would be another kind of sentence.
                said.append(Piece(wrong, ((0, len(wrong)),)))
        return [*pieces[:index], *said, *pieces[index + 1 :]]

    def _other(self, text: str, rng: random.Random, entries: Sequence[Entry]) -> str | None:
        first, space, rest = text.partition(" ")
        if first.isdigit():
            number = int(first)
            others = [n for n in (number - 1, number + 1, number + 2, number + 5, number + 10, number // 2) if n > 0]
            return f"{_choose([n for n in others if n != number], rng)}{space}{rest}"
        if first.lower() in self.number_words:
            others_in_words = [word for word in self._numbers if word != first.lower()]
            return f"{_choose(others_in_words, rng)}{space}{rest}"
        by_text, by_kind = self._by_text, self._by_kind
        if entries:
            by_text, by_kind = _index(entries)
        entry = by_text.get(text.lower()) or self._by_text.get(text.lower())
        if entry is None:
            return None
        names = by_kind.get(entry.kind) or self._by_kind[entry.kind]
        for _ in range(8):
            other = _choose(names, rng)
            if other.value != entry.value:
                return other.text
        return None


def _index(entries: Iterable[Entry]) -> tuple[dict[str, Entry], dict[str, list[Entry]]]:
    by_text: dict[str, Entry] = {}
    by_kind: dict[str, list[Entry]] = {}
    for entry in entries:
        by_text.setdefault(entry.text.lower(), entry)
        by_kind.setdefault(entry.kind, []).append(entry)
    return by_text, by_kind


def expand_set(value: Mapping[str, Any]) -> list[list[str]]:
    """The forms of a set's members: a list for each form, in which the members stand for each other.

    Args:
        value: `{words, endings}`; a word that ends in `+` takes each of the endings, a word without is a form alone.
    """
    stems = [word[:-1] for word in value["words"] if word.endswith("+")]
    lists = [[stem + ending for stem in stems] for ending in value.get("endings", ())] if stems else []
    plain = [word for word in value["words"] if not word.endswith("+")]
    return [*lists, plain] if plain else lists


def _without(texts: Sequence[str], excluded: Container[str], function_words: Container[str]) -> list[list[list[Piece]]]:
    """For each filler what it may say without an excluded word, but words without a meaning of their own; one that can
    say nothing else is left out."""

    def is_excluded(word: str) -> bool:
        return word in excluded and word not in function_words

    def may_be_said(pieces: Sequence[Piece]) -> bool:
        return not any(is_excluded(word) for piece in pieces for word in re.findall(r"[\w']+", piece.text.lower()))

    fillers = ([_words(expansion) for expansion in expansions(parse_pattern(text))] for text in texts)
    kept = [allowed for filler in fillers if (allowed := [pieces for pieces in filler if may_be_said(pieces)])]
    return kept or [[_words(parse_pattern(",").draw(random.Random(0)))]]


def _alternatives(
    sets: Mapping[str, Mapping[str, Any]], excluded: Container[str]
) -> dict[str, list[tuple[tuple[str, ...], list[str]]]]:
    phrases: dict[str, list[str]] = {}
    for members in sets.values():
        for value in members.values():
            for forms in expand_set(value):
                for form in forms:
                    others = [other for other in forms if other != form]
                    if others:
                        phrases.setdefault(form, others)
    return _by_phrase(phrases, excluded)


def _by_phrase(
    phrases: Mapping[str, Sequence[str]], excluded: Container[str]
) -> dict[str, list[tuple[tuple[str, ...], list[str]]]]:
    """By its first word: words of a phrase, and what may stand for it; long phrases first."""
    known: dict[str, list[tuple[tuple[str, ...], list[str]]]] = {}
    for phrase, others in phrases.items():
        words = tuple(phrase.lower().split())
        kept = [other for other in others if not any(word.lower() in excluded for word in other.split())]
        if kept:
            known.setdefault(words[0], []).append((words, kept))
    for found in known.values():
        found.sort(key=lambda item: -len(item[0]))
    return known


def _replace(
    pieces: list[Piece],
    known: Mapping[str, list[tuple[tuple[str, ...], list[str]]]],
    share: float,
    rng: random.Random,
) -> None:
    lower = ["" if piece.spans else piece.text.lower() for piece in pieces]
    replaced: list[Piece] = []
    index = 0
    while index < len(pieces):
        size = 1
        new = [pieces[index]]
        for words, others in known.get(lower[index], ()) if lower[index] else ():
            if tuple(lower[index : index + len(words)]) == words:
                size = len(words)
                new = pieces[index : index + size]
                if rng.random() < share:
                    new = [Piece(word) for word in _choose(others, rng).split()]
                break
        replaced += new
        index += size
    pieces[:] = replaced


def _long_word(pieces: Sequence[Piece], rng: random.Random) -> int | None:
    fitting = [i for i, piece in enumerate(pieces) if not piece.spans and _is_long_word(piece.text)]
    return _choose(fitting, rng) if fitting else None


def _is_long_word(text: str) -> bool:
    return len(text) >= _MIN_LETTERS and text.isalpha()


def _words(drawn: Iterable[Piece | Hole]) -> list[Piece]:
    return [item for item in drawn if isinstance(item, Piece)]


def _choose(options: Sequence[_T], rng: random.Random) -> _T:
    return options[int(rng.random() * len(options))]


def draw_words(patterns: Sequence[Pattern], rng: random.Random) -> str:
    """One of the patterns without holes, as a sentence."""
    return " ".join(piece.text for piece in _words(_choose(patterns, rng).draw(rng)))
