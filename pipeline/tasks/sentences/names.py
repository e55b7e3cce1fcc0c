"""The names that homes give to `{name}`, `{area}` and `{floor}`."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pipeline.tasks.home_file import KINDS, Home, kind_of, load_home
from pipeline.tasks.homes import HomeSource
from pipeline.text.annotation import Entry

__all__ = ["DOMAINS", "HomeNames", "Named", "Names"]

DOMAINS = (*KINDS, "input_boolean", "siren", "humidifier", "remote", "group", "automation", "water_heater", "camera")
"""Domains that a block of sentences without `requires_context` may mean."""
_POOL = 400  # homes that are drawn once
_FRESH = 0.05  # share of sentences in a home that no other sentence has
_SHIPPED = 0.2  # share of sentences in the home that ships, where there is one


@dataclass(frozen=True, slots=True)
class Named:
    """A name of a thing, an area or a floor.

    Attributes:
        entry: as the vocabulary has it; the kind is "area", "floor" or that of a thing.
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

    @classmethod
    def of_home(cls, home: Home) -> HomeNames:
        """The names of a home, each once: of a name that several things have, the thing that commands mean."""
        entries = {entry.text.lower(): entry for entry in home.entries()}
        things: dict[str, Named] = {}
        for entity in home.entities:
            context = {"domain": entity.domain, "area": entity.area}
            if entity.device_class:
                context["device_class"] = entity.device_class
            for text in (entity.name, *entity.aliases):
                entry = entries[text.lower()]
                if entry.kind == entity.kind and entry.value == entity.name:
                    things.setdefault(text.lower(), Named(entry, context))
        areas = tuple(Named(entry) for entry in entries.values() if entry.kind == "area")
        return cls(tuple(things.values()), areas, tuple(Named(e) for e in entries.values() if e.kind == "floor"))

    def of(self, list_name: str) -> Sequence[Named]:
        """The names that a built-in list holds."""
        return self.things if list_name == "name" else self.areas if list_name == "area" else self.floors

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """For the vocabulary: things before areas before floors."""
        return tuple(named.entry for names in (self.things, self.areas, self.floors) for named in names)


class Names:
    """Homes for training, and the home that ships.

    Args:
        source: makes up homes.
        home: the file of the home that ships; None where there is none.
    """

    def __init__(self, source: HomeSource, home: Path | None = None) -> None:
        self._source = source
        self._pool: dict[int, HomeNames] = {}
        self.shipped = HomeNames() if home is None else HomeNames.of_home(load_home(home))

    def draw(self, rng: random.Random) -> HomeNames:
        """Names of a home for one sentence; that which ships in one of five, where there is one."""
        share = rng.random()
        if share < _FRESH:
            return HomeNames.of_home(self._source.draw_home(rng))
        if share < _FRESH + _SHIPPED and self.shipped.entries:
            return self.shipped
        number = int(rng.random() * _POOL)
        home = self._pool.get(number)
        if home is None:
            own = random.Random(f"home {number} of sentences")
            home = self._pool[number] = HomeNames.of_home(self._source.draw_home(own))
        return home

    def make(self, rng: random.Random, list_name: str, domain: str = "") -> Named:
        """A name that the home lacks.

        Args:
            rng: random numbers.
            list_name: "name", "area" or "floor".
            domain: of a thing.
        """
        if list_name == "name":
            kind = kind_of(domain)
            text = self._source.name(rng, kind)
            return Named(Entry(text, kind, text), {"domain": domain})
        text = self._source.area(rng) if list_name == "area" else self._source.floor(rng)
        return Named(Entry(text, list_name, text))
