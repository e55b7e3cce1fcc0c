"""The names that a home gives to `{name}`, `{area}` and `{floor}`."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.text.annotation import Entry

__all__ = ["HomeNames", "NameSource", "Named"]


@dataclass(frozen=True, slots=True)
class Named:
    """A name of a thing, an area or a floor.

    Attributes:
        entry: as the vocabulary has it; the kind is "area", "floor" or the domain of a thing.
        context: what Home Assistant knows of a thing, such as its domain, for `requires_context`.
    """

    entry: Entry
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HomeNames:
    """All names of one home.

    Attributes:
        things: names of entities, those of aliases too.
        areas: names of areas.
        floors: names of floors.
    """

    things: Sequence[Named] = ()
    areas: Sequence[Named] = ()
    floors: Sequence[Named] = ()

    def of(self, list_name: str) -> Sequence[Named]:
        """The names that a built-in list holds."""
        return {"name": self.things, "area": self.areas, "floor": self.floors}[list_name]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """For the vocabulary: things before areas before floors."""
        return tuple(named.entry for names in (self.things, self.areas, self.floors) for named in names)


class NameSource(Protocol):
    """Homes for training, and the home that ships."""

    def draw(self, rng: random.Random) -> HomeNames:
        """Names of a home for one sentence."""
        ...

    def shipped(self) -> HomeNames:
        """Names of the home that the task names; none where it names none."""
        ...

    def domains(self) -> Sequence[str]:
        """Domains that things of a home may have."""
        ...
