"""Small words that change before the word behind them: "la ampoule" is "l'ampoule", "de le salon" is "du salon"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pipeline.languages import languages, load_language_file
from pipeline.tasks.phrases import Piece, Spans, join, lines, split

__all__ = ["Elision", "elision_of"]

_HYPHEN = "-"


class Elision:
    """The table `elision` of a language's `weave.yaml`; `docs/language-files.md` explains it.

    Args:
        table: of the file; an empty one changes nothing.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._vowels = tuple(table.get("vowels", ""))
        self._kept = tuple(table.get("kept_before", ()))
        self._short: Mapping[str, str] = table.get("short", {})
        self._full: dict[str, str] = {}
        for full, short in self._short.items():
            self._full.setdefault(short, full)
        self._enclitics = frozenset(table.get("enclitics", ()))
        # Those that end in a full form hold before any word; of the others an elided word comes first.
        self._repaired = _by_pair(table.get("repaired", {}))
        self._contracted = _by_pair(table.get("contracted", {}))
        self._joint = str(table.get("hyphen", _HYPHEN))
        self._doubled = frozenset(table.get("doubled", ()))
        self._glued = {word: parts.split() for word, parts in table.get("glued", {}).items()}
        # What `contracted` joins waits until the articles agree: "del", "de la".
        self._unglued = {
            tuple(parts): [word] for word, parts in self._glued.items() if tuple(parts) not in self._contracted
        }
        self._sounds = [
            (tuple(sound["beginnings"]), sound["forms"], tuple(sound.get("kept_before", ())))
            for sound in table.get("sounds", ())
        ]
        self._agreement = _Agreement(table.get("agreement", {}))
        self._is_empty = not table

    def text(self, sentence: str, fixed: Spans) -> tuple[str, Spans]:
        """A sentence as it is said, with where its fixed spans are then."""
        return (sentence, fixed) if self._is_empty else join(self.join(self.split(split(sentence, fixed))))

    def split(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Elided words and what hangs on a verb as pieces of their own: "l'", "ampoule"; "donne", "moi"."""
        if self._is_empty:
            return list(pieces)
        parts: list[Piece] = []
        for piece in pieces:
            rest = piece
            cut = rest.text.find("'") + 1
            while cut and rest.text[:cut].lower() in self._full and _is_free(rest, cut):
                parts.append(Piece(rest.text[:cut]))
                rest = _from(rest, cut)
                cut = rest.text.find("'") + 1
            if not rest.spans and rest.text.lower() in self._glued:
                parts += map(Piece, self._glued[rest.text.lower()])
                continue
            first, hyphen, last = rest.text.rpartition(_HYPHEN)
            if hyphen and first and last.lower() in self._enclitics and not rest.spans:
                parts += (Piece(first), Piece(last))
            else:
                parts.append(rest)
        return parts

    def join(self, pieces: Sequence[Piece]) -> list[Piece]:
        """The pieces as they are said one behind the other; a piece that is a hyphen joins those around it."""
        if self._is_empty or not pieces:
            return list(pieces)
        said = self._agreement.of(_contracted(_contracted(self._hyphenated(pieces), self._unglued), self._repaired))
        said = [self._before(piece, following) for piece, following in zip(said, [*said[1:], None], strict=True)]
        joined: list[Piece] = []
        for piece in _contracted(said, self._contracted):
            if joined and not joined[-1].spans and joined[-1].text.lower() in self._full:
                joined[-1] = _glued(joined[-1], piece)
            else:
                joined.append(piece)
        return joined

    def _hyphenated(self, pieces: Sequence[Piece]) -> list[Piece]:
        said: list[Piece] = []
        is_joined = False
        for piece in pieces:
            is_hyphen = piece.text == _HYPHEN
            follows_hyphen = is_joined or (said and said[-1].text.endswith(_HYPHEN) and not said[-1].spans)
            if said and is_hyphen:
                said[-1] = _glued(said[-1], Piece(self._joint))
            elif said and follows_hyphen:
                is_doubled = is_joined and not piece.spans and said[-1].text.lower() in self._doubled
                said[-1] = _glued(said[-1], Piece(piece.text[0] + piece.text) if is_doubled else piece)
            else:
                said.append(piece)
            is_joined = bool(said) and is_hyphen
        return said

    def _before(self, piece: Piece, following: Piece | None) -> Piece:
        """A small word in the form that it has before the next one."""
        if piece.spans:
            return piece
        word = piece.text.lower()
        behind = "" if following is None else following.text.lower()
        for beginnings, forms, kept_before in self._sounds:
            if word in forms and behind.startswith(beginnings) and not behind.startswith(kept_before):
                return Piece(_as_large(forms[word], piece.text))
        if word not in self._short and word not in self._full:
            return piece
        is_elided = behind.startswith(self._vowels) and not behind.startswith(self._kept)
        form = self._short.get(word, word) if is_elided else self._full.get(word, word)
        if form == word:
            return piece
        return Piece(_as_large(form, piece.text))


class _Agreement:
    """The table `agreement`: articles in the gender and number of the noun behind them, where it shows them.

    Args:
        table: of the file; an empty one changes nothing.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._forms: dict[str, Mapping[str, str]] = {}
        for row in lines(table.get("articles", "")):
            forms = [form.split("/") for form in row.split()]
            written = dict(zip(table["kinds"], (words[0] for words in forms), strict=False))
            self._forms.update((word, written) for words in forms for word in words)
        self._merged = frozenset(table.get("merged", "").split())
        self._nouns = {word: kind for kind, words in table.get("nouns", {}).items() for word in words.split()}
        endings = [(ending, kind) for kind, words in table.get("endings", {}).items() for ending in words.split()]
        self._endings = sorted(endings, key=lambda item: -len(item[0]))

    def of(self, pieces: list[Piece]) -> list[Piece]:
        """The pieces, their articles in other forms."""
        if not self._forms:
            return pieces
        kept: list[Piece] = []
        for piece in pieces:
            follows_article = kept and not kept[-1].spans and kept[-1].text.lower() in self._forms
            if piece.spans or not follows_article or piece.text.lower() not in self._merged:
                kept.append(piece)
        pieces = kept
        return [self._agreed(piece, following) for piece, following in zip(pieces, [*pieces[1:], None], strict=True)]

    def _agreed(self, piece: Piece, following: Piece | None) -> Piece:
        forms = self._forms.get(piece.text.lower())
        if forms is None or piece.spans or following is None:
            return piece
        noun = following.text.split()[0].lower().strip(",.;:?!")
        kind = self._nouns.get(noun)
        if kind is None and following.spans:
            kind = next((kind for ending, kind in self._endings if noun.endswith(ending)), None)
        if kind is None or kind not in forms:
            return piece
        return Piece(_as_large(forms[kind], piece.text))


@cache
def elision_of(language: str) -> Elision:
    """The rules of a language; one without a `weave.yaml`, or without the table in it, changes nothing."""
    code = language.split("-", maxsplit=1)[0]
    if code not in languages("weave"):
        return Elision({})
    return Elision(load_language_file(code, "weave").get("elision", {}))


def _as_large(word: str, other: str) -> str:
    return word[0].upper() + word[1:] if other[0].isupper() else word


def _by_pair(table: Mapping[str, str]) -> dict[tuple[str, ...], list[str]]:
    return {(pair.split()[0], pair.split()[1]): said.split() for pair, said in table.items()}


def _contracted(pieces: Sequence[Piece], pairs: Mapping[tuple[str, ...], list[str]]) -> list[Piece]:
    said: list[Piece] = []
    for piece in pieces:
        last = said[-1] if said else None
        pair = None
        if last is not None and not last.spans and not piece.spans:
            pair = pairs.get((last.text.lower(), piece.text.lower()))
        if pair is None or last is None:
            said.append(piece)
        else:
            said[-1:] = [Piece(_as_large(pair[0], last.text)), *map(Piece, pair[1:])]
    return said


def _is_free(piece: Piece, cut: int) -> bool:
    return cut < len(piece.text) and all(first >= cut for first, _ in piece.spans)


def _from(piece: Piece, cut: int) -> Piece:
    return Piece(piece.text[cut:], tuple((first - cut, end - cut) for first, end in piece.spans))


def _glued(left: Piece, right: Piece) -> Piece:
    shift = len(left.text)
    spans = tuple((first + shift, end + shift) for first, end in right.spans)
    return Piece(left.text + right.text, (*left.spans, *spans))
