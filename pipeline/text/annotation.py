"""The records that the steps of the text path hand on: words, quantities, entries of a vocabulary, and marks."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Annotated", "Entry", "Mark", "Quantity", "Word"]


@dataclass(frozen=True, slots=True)
class Word:
    """A normalized word.

    Attributes:
        text: without spaces.
        start: byte offset in the UTF-8 of the original text where the word begins.
        end: byte offset behind its last byte.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, time or duration that begins at a word.

    Attributes:
        kind: "number", "percent", "degrees", "duration", "time" or "date".
        count: words that it takes.
        value: in canonical form: "340", "-5", "2.5"; "PT1H30M" (ISO 8601); "08:15"; "today", "friday", "---03".
        parts: units of a duration that are not zero, the largest first: (("hours", "1"), ("minutes", "30")).
    """

    kind: str
    count: int
    value: str
    parts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A surface form of a known name.

    Attributes:
        text: as people say it, in any case.
        kind: of its marker, such as "area", "light" or the name of a list.
        value: the canonical text or id that an answer holds.
    """

    text: str
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A known name or a quantity in a sentence.

    Attributes:
        kind: of the entry or the quantity.
        first: index of its first word.
        end: index behind its last word.
        value: canonical.
        parts: of a duration, see `Quantity`.
        is_quantity: whether the prompt leaves out its words.
    """

    kind: str
    first: int
    end: int
    value: str
    parts: tuple[tuple[str, str], ...] = ()
    is_quantity: bool = False


@dataclass(frozen=True, slots=True)
class Annotated:
    """A sentence with what is known of it.

    Attributes:
        text: the original.
        words: after words were restored and compounds split; both parts of a compound have its bytes' share.
        marks: in order, never overlapping.
    """

    text: str
    words: tuple[Word, ...]
    marks: tuple[Mark, ...]
