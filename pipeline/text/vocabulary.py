"""The names that a sentence may hold: surface forms with their kind and value, and how a language changes them.

`firmware_templates/runtime/thimble_matcher.h` holds the same as tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product, takewhile
from typing import Any, NamedTuple, Protocol

from pipeline.errors import ThimbleError
from pipeline.text.annotation import Entry
from pipeline.text.normalize import skeleton

__all__ = [
    "MAX_FUZZY_LETTERS",
    "MIN_FUZZY_LETTERS",
    "MIN_TYPO_LETTERS",
    "Forms",
    "Inflection",
    "Layer",
    "Name",
    "TextNormalizer",
    "Vocabulary",
    "digits_of",
    "letters_of",
    "with_short_forms",
]

MIN_FUZZY_LETTERS = 3
"""Names with fewer letters are found only as they are written."""
MIN_TYPO_LETTERS = 4
"""Names with fewer letters are not looked for with typos."""
MAX_FUZZY_LETTERS = 48
"""Nor are names with more; and longer words are no compounds."""

_CACHE = 1 << 17  # more than the names of all homes that training draws


class TextNormalizer(Protocol):
    """What a vocabulary asks of a normalizer."""

    def text(self, text: str) -> str:
        """Normalized words joined by single spaces."""
        ...


@dataclass(frozen=True)
class Inflection:
    """How a language changes names: the file `inflection.yaml`.

    Attributes:
        umlauts: whether ae, oe and ue are compared as a, o and u.
        last: endings of the last word of a name, in the order in which they are tried.
        clitics: what hangs on a name without changing it, as the possessive does.
        inner: endings of the words before; any of them may stand for another or for none.
        stems: endings of all words of a name and what stands in the stem for each; words with equal stems are one.
        linking: letters between a name and a noun that follows in one word, "" for none; no entry, no compounds.
        dropped: letters at the end of a name that a compound may leave out.
        min_letters: of a name in a compound.
        common_words: that are never a misspelt name.
        elided: what is a word of its own with the apostrophe behind it.
        omitted: small words inside of a name without which it may be said, normalized.
    """

    umlauts: bool = False
    last: tuple[str, ...] = ()
    clitics: tuple[str, ...] = ()
    inner: tuple[str, ...] = ()
    stems: tuple[tuple[str, str], ...] = ()
    linking: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    min_letters: int = MIN_FUZZY_LETTERS
    common_words: frozenset[str] = frozenset()
    elided: tuple[str, ...] = ()
    omitted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Inflection:
        """What the language's file says.

        Raises:
            ThimbleError: an unknown key, or one of the wrong type.
        """
        try:
            endings, compounds = dict(data.get("endings", {})), dict(data.get("compounds", {}))
            inflection = cls(
                umlauts=bool(data.get("umlauts", False)),
                last=_strings(endings.pop("last", ())),
                clitics=_strings(endings.pop("clitics", ())),
                inner=_strings(endings.pop("inner", ())),
                stems=_stems(endings.pop("stems", {})),
                linking=_strings(compounds.pop("linking", ())),
                dropped=_strings(compounds.pop("dropped", ())),
                min_letters=max(MIN_FUZZY_LETTERS, int(compounds.pop("min_letters", MIN_FUZZY_LETTERS))),
                common_words=frozenset(str(data.get("common_words", "")).split()),
                elided=_strings(data.get("elided", ())),
                omitted=frozenset(_strings(data.get("omitted", ()))),
            )
        except (AttributeError, TypeError, ValueError) as error:
            raise ThimbleError(f"inflection.yaml is not as its comment says: {error}", "compare it with de's") from None
        unknown = [
            *endings,
            *compounds,
            *(data.keys() - {"umlauts", "endings", "compounds", "common_words", "elided", "omitted"}),
        ]
        if unknown or not all((*inflection.last, *inflection.clitics, *inflection.inner, *inflection.dropped)):
            what = (
                f"inflection.yaml has the unknown key {unknown[0]!r}"
                if unknown
                else "inflection.yaml has an empty ending"
            )
            raise ThimbleError(what, "compare it with de's")
        return inflection

    def stem(self, word: str) -> str:
        """The word without the longest inner ending that leaves three letters."""
        room = len(word) - MIN_FUZZY_LETTERS
        length = max((len(ending) for ending in self.inner if len(ending) <= room and word.endswith(ending)), default=0)
        return word[: len(word) - length]

    def declined(self, word: str) -> str:
        """The stem of a word that is declined: the longest ending of `stems` that changes none of the first three
        letters is replaced."""
        for length in range(min(len(word) - 1, self._longest_ending), 0, -1):
            put = self._put.get(word[-length:])
            if put is not None and len(word) - length + put[1] >= MIN_FUZZY_LETTERS:
                return word[:-length] + put[0]
        return word

    @cached_property
    def _put(self) -> Mapping[str, tuple[str, int]]:
        """By ending what is put in its place, and how many letters both begin with."""
        return {
            ending: (put, sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ending, put, strict=False))))
            for ending, put in self.stems
        }

    @cached_property
    def _longest_ending(self) -> int:
        return max(map(len, self._put), default=0)

    def endings(self, word: str) -> tuple[int, ...]:
        """Lengths of the endings that a last word may have: 0 for none, then in the order in which they are tried."""
        return (0, *(len(ending) for ending in self.last if len(ending) < len(word) and word.endswith(ending)))

    def joined(self, left: str, right: str) -> str:
        """Two skeletons written together: "o" and "eck" are "ock", as in the skeleton of "büroeck"."""
        if self.umlauts and left and right and left[-1] in "aou" and right[0] == "e":
            return left + right[1:]
        return left + right


def _strings(values: object) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{values!r} is no list of texts")
    return tuple(values)


def _stems(values: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(values, Mapping):
        raise TypeError(f"{values!r} has no endings by what stands for them")
    pairs = tuple((ending, str(put)) for put, endings in values.items() for ending in _strings(endings))
    if len({ending for ending, _ in pairs}) < len(pairs) or len(pairs) > 255:
        raise ValueError("an ending of `stems` stands there twice, or there are more than 255")
    longer = [ending for ending, put in pairs if not ending or len(put.encode()) > len(ending.encode())]
    if longer:
        raise ValueError(f"the ending {longer[0]!r} of `stems` is shorter than what stands for it")
    return pairs


def with_short_forms(entries: Sequence[Entry], normalizer: TextNormalizer, inflection: Inflection) -> tuple[Entry, ...]:
    """The entries, and those that a name has without its small words ("lampe entrée" for "Lampe de l'entrée"), or
    without the apostrophes of elided ones ("porte d entrée").

    A form that several names have, or that is a name itself, is left out.

    Args:
        entries: names with their kinds and values.
        normalizer: makes words of their texts.
        inflection: which words are small.
    """
    if not inflection.omitted:
        return tuple(entries)
    known = {normalizer.text(entry.text) for entry in entries}
    short: dict[str, list[Entry]] = {}
    for entry in entries:
        words = normalizer.text(entry.text).split() or [""]
        kept = [word for word in words[1:] if word not in inflection.omitted]
        forms = {" ".join(word.removesuffix("'") for word in words)} - known
        if kept and len(kept) < len(words) - 1:
            forms.add(" ".join([words[0], *kept]))
        for text in sorted(forms):
            short.setdefault(text, []).append(entry)
    return (
        *entries,
        *(
            Entry(text, owners[0].kind, owners[0].value)
            for text, owners in short.items()
            if text not in known and len({(owner.kind, owner.value) for owner in owners}) == 1
        ),
    )


class Name(NamedTuple):
    """A surface form as it is compared.

    Attributes:
        text: normalized words, joined by single spaces.
        words: of the text.
        skeletons: of the words.
        skeleton: of all words written together.
        stems: skeletons with inner endings taken off, joined by spaces; "" where it is one word, or inner words do not
            change.
        letters: a set of bits, one for each letter of the skeleton modulo 64.
        digits: of the skeleton.
        likeness: first letter and length of the skeleton; None where it is too short or too long for typos.
    """

    text: str
    words: tuple[str, ...]
    skeletons: tuple[str, ...]
    skeleton: str
    stems: str
    letters: int
    digits: str
    likeness: tuple[str, int] | None


class Forms:
    """Names of texts, and the forms of words by which they are compared.

    All are kept: homes are drawn from the same names over and over.

    Attributes:
        skeleton: of a word.
        stem: `Inflection.stem`.
        declined: `Inflection.declined`.
        endings: `Inflection.endings`.
        name: of a text; None where it has no word.
    """

    def __init__(self, normalizer: TextNormalizer, inflection: Inflection) -> None:
        self.inflection = inflection
        self.skeleton: Callable[[str], str] = lru_cache(_CACHE)(lambda word: skeleton(word, umlauts=inflection.umlauts))
        self.stem: Callable[[str], str] = lru_cache(_CACHE)(inflection.stem)
        self.declined: Callable[[str], str] = lru_cache(_CACHE)(inflection.declined)
        self.endings: Callable[[str], tuple[int, ...]] = lru_cache(_CACHE)(inflection.endings)
        # A space separates words whatever stands beside it, so that parts can be kept.
        self._words: Callable[[str], tuple[str, ...]] = lru_cache(_CACHE)(
            lambda part: tuple(normalizer.text(part).split())
        )
        self.name: Callable[[str], Name | None] = lru_cache(_CACHE)(self._name)

    def _name(self, text: str) -> Name | None:
        words = tuple(word for part in text.split() for word in self._words(part))
        if not words:
            return None
        inflection = self.inflection
        skeletons = tuple(map(self.skeleton, words))
        joined = ""
        for each in skeletons:
            joined = inflection.joined(joined, each)
        stems = ""
        if inflection.inner and len(words) > 1:
            stems = " ".join([*map(self.stem, skeletons[:-1]), skeletons[-1]])
        may_be_misspelt = MIN_TYPO_LETTERS <= len(joined) <= MAX_FUZZY_LETTERS
        likeness = (joined[0], len(joined)) if may_be_misspelt else None
        return Name(" ".join(words), words, skeletons, joined, stems, letters_of(joined), digits_of(joined), likeness)


def letters_of(text: str) -> int:
    """A bit for each letter of the text, by its code modulo 64."""
    bits = 0
    for letter in text:
        bits |= 1 << (ord(letter) & 63)
    return bits


def digits_of(text: str) -> str:
    """The digits 0 to 9 of the text, in order."""
    return "".join([letter for letter in text if "0" <= letter <= "9"])


class Layer:
    """Entries with the tables that find them; of equal surfaces the first entry counts.

    Attributes:
        named: names and their entries, those that have a word.
        by_text: by the words, joined by single spaces.
        first_words: of the names.
        max_words: of a name.
    """

    def __init__(self, entries: Iterable[Entry], forms: Forms) -> None:
        name_of = forms.name
        self.named: Sequence[tuple[Name, Entry]] = [
            (name, entry) for entry in entries if (name := name_of(entry.text)) is not None
        ]
        self.by_text: Mapping[str, Entry] = {name.text: entry for name, entry in reversed(self.named)}
        self._declined = forms.declined
        self.first_words = frozenset([name.words[0] for name, _ in self.named])
        self.max_words = max([len(name.words) for name, _ in self.named], default=0)

    @cached_property
    def by_skeleton(self) -> Mapping[str, tuple[Name, Entry]]:
        """By the skeleton, where it has three letters or more."""
        named = self.named
        found = {pair[0].skeleton: pair for pair in reversed(named)}
        return {key: pair for key, pair in found.items() if len(key) >= MIN_FUZZY_LETTERS}

    @cached_property
    def longest(self) -> int:
        """Letters of the longest skeleton."""
        return max(map(len, self.by_skeleton), default=0)

    @cached_property
    def beginnings(self) -> frozenset[str]:
        """The first three letters of the skeletons."""
        return frozenset([key[:MIN_FUZZY_LETTERS] for key in self.by_skeleton])

    @cached_property
    def by_stems(self) -> Mapping[str, Entry]:
        """By stems, where the skeleton has three letters or more."""
        return {
            name.stems: entry
            for name, entry in reversed(self.named)
            if name.stems and len(name.skeleton) >= MIN_FUZZY_LETTERS
        }

    @cached_property
    def first_stems(self) -> frozenset[str]:
        """The first words of `by_stems`."""
        return frozenset([stems[: stems.index(" ")] for stems in self.by_stems])

    @cached_property
    def by_declined(self) -> Mapping[tuple[str, ...], Entry]:
        """By the stems of all words, where the skeleton has three letters or more.

        A name's word counts as it is, too: others have its ending in their stems ("krakowie" and "krakow", whose own
        stem would be "krak").
        """
        return {
            stems: entry
            for name, entry in reversed(self.named)
            if len(name.skeleton) >= MIN_FUZZY_LETTERS
            for stems in product(*[{word, self._declined(word)} for word in name.skeletons])
        }

    @cached_property
    def for_typos(self) -> Mapping[tuple[str, int], Sequence[tuple[int, Name, Entry]]]:
        """Those that may be misspelt by `Name.likeness`: index of the entry, its name, and itself."""
        found: dict[tuple[str, int], list[tuple[int, Name, Entry]]] = {}
        for order, (name, entry) in enumerate(self.named):
            key = name.likeness
            if key is None:
                continue
            if key in found:
                found[key].append((order, name, entry))
            else:
                found[key] = [(order, name, entry)]
        return found

    @cached_property
    def first_letters(self) -> frozenset[str]:
        """The first letters of `for_typos`."""
        return frozenset([letter for letter, _ in self.for_typos])


class Vocabulary:
    """All names that are known where a sentence is said, in layers: those of a home above the lists of the task.

    Args:
        entries: the first of equal surfaces counts.
        normalizer: makes words of their texts.
        inflection: of the language, as its file has it.
    """

    def __init__(
        self, entries: Iterable[Entry], normalizer: TextNormalizer, inflection: Mapping[str, Any] | Inflection
    ) -> None:
        self.inflection = inflection if isinstance(inflection, Inflection) else Inflection.of(inflection)
        self.forms = Forms(normalizer, self.inflection)
        self.layers: tuple[Layer, ...] = (Layer(entries, self.forms),)

    def with_entries(self, entries: Iterable[Entry]) -> Vocabulary:
        """A vocabulary with more entries, which count before those of this one; both share what this one knows."""
        above = Vocabulary.__new__(Vocabulary)
        above.inflection = self.inflection
        above.forms = self.forms
        above.layers = (Layer(entries, self.forms), *self.layers)
        return above
