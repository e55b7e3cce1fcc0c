"""Sentences with structured answers, drawn one by one: what tasks with intents and slots are made of."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.text.annotation import Entry
from pipeline.text.answers import NO_MATCH

__all__ = ["NO_MATCH", "IntentSchema", "Sample", "SampleSource", "SlotSchema", "SourceOnTop"]


@dataclass(frozen=True)
class SlotSchema:
    """What a slot of an intent may hold.

    Attributes:
        kinds: marks that it may point at: kinds of entries and of quantities.
        values: canonical values of its closed lists, fixed values and defaults.
        is_free: whether it may hold any words of the sentence.
        part: the part of a marked duration or time that it holds, such as "minutes"; empty for its whole value.
    """

    kinds: frozenset[str] = frozenset()
    values: tuple[str, ...] = ()
    is_free: bool = False
    part: str = ""


@dataclass(frozen=True)
class IntentSchema:
    """An intent.

    Attributes:
        slots: by name.
        needed: sets of slots of which each answer has at least one whole; none where it needs no slot.
        exclusive: sets of slots of which an answer has at most one.
        room: whether its answers need the room where they are said, unless they say where, or which thing: "always",
            or only where the sentence says so ("said"); empty for never.
    """

    slots: Mapping[str, SlotSchema] = field(default_factory=dict)
    needed: tuple[frozenset[str], ...] = ()
    exclusive: tuple[frozenset[str], ...] = ()
    room: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """A sentence with its answer.

    Attributes:
        sentence: as it is said.
        intent: `NO_MATCH` where nothing may be done.
        slots: canonical values.
        entries: the names known where it is said (the home), beside the task's own.
        template: index of the template that made it, −1 where none did.
        fixed: spans of characters of the sentence, [start, end), that hold a slot's value, which noise leaves alone.
    """

    sentence: str
    intent: str
    slots: Mapping[str, str]
    entries: tuple[Entry, ...] = ()
    template: int = -1
    fixed: tuple[tuple[int, int], ...] = ()


class SampleSource(Protocol):
    """Draws samples, the same for the same random numbers."""

    @property
    def language(self) -> str: ...

    def draw(self, rng: random.Random) -> Sample:
        """One training sentence, in a home of its own."""
        ...

    def entries(self) -> tuple[Entry, ...]:
        """The lists of the task and the names of the home that it ships with."""
        ...

    def intents(self) -> Mapping[str, IntentSchema]:
        """All intents but `NO_MATCH`."""
        ...

    def literal_words(self) -> frozenset[str]:
        """Words that the templates say literally, in lower case."""
        ...

    def reads(self, sentence: str) -> bool:
        """Whether a template of the task reads the sentence, whatever it then does."""
        ...


class SourceOnTop:
    """A source that draws otherwise than the one below it, and is of the same task; see `SampleSource`.

    Args:
        source: the one below.
    """

    def __init__(self, source: SampleSource) -> None:
        self._source = source

    @property
    def language(self) -> str:
        """Of the source below."""
        return self._source.language

    def entries(self) -> tuple[Entry, ...]:
        """Of the source below."""
        return self._source.entries()

    def intents(self) -> Mapping[str, IntentSchema]:
        """Of the source below."""
        return self._source.intents()

    def literal_words(self) -> frozenset[str]:
        """Of the source below."""
        return self._source.literal_words()

    def reads(self, sentence: str) -> bool:
        """As the source below."""
        return self._source.reads(sentence)
