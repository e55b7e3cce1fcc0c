"""Homes: the names of floors, areas and things that a sentence may say.

`home.yaml` is the project's own format; homes of Home Assistant's test data, where areas, devices and entities are
listed with ids, are read too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, model_validator

from pipeline.errors import ConfigError, Problem
from pipeline.text.annotation import Entry
from pipeline.validation import StrictModel, complain, complaint, read_yaml, validate

__all__ = ["KINDS", "Area", "Entity", "Floor", "Home", "HomeFile", "kind_of", "load_home"]

KINDS = (
    "lock", "cover", "light", "climate", "fan", "media_player", "vacuum", "lawn_mower", "valve", "switch", "scene",
    "script", "button", "todo", "person", "weather", "binary_sensor", "sensor",
)  # fmt: skip
"""Kinds of entities that commands distinguish. Of a name that several entities have, the first of theirs holds: what
can be commanded stands before what can only be asked."""

_SAME_KIND = {
    "input_boolean": "switch",
    "siren": "switch",
    "humidifier": "switch",
    "remote": "switch",
    "group": "switch",
    "automation": "script",
    "water_heater": "climate",
    "input_button": "button",
    "device_tracker": "person",
}
_REMEDY = "write `areas:` and `entities:`; docs/home.md shows one"


def kind_of(domain: str) -> str:
    """The kind of an entity's names: its domain, that of a domain which is commanded alike, or "sensor"."""
    domain = _SAME_KIND.get(domain, domain)
    return domain if domain in KINDS else "sensor"


class Floor(StrictModel):
    """A floor."""

    name: str = Field(min_length=1)
    """As people say it, and as an answer holds it."""
    aliases: tuple[str, ...] = Field((), strict=False)
    """Other names that people say."""


class Area(StrictModel):
    """A room, or another part of the home."""

    name: str = Field(min_length=1)
    """As people say it, and as an answer holds it."""
    floor: str = ""
    """Name of its floor."""
    aliases: tuple[str, ...] = Field((), strict=False)
    """Other names that people say."""


class Entity(StrictModel):
    """A thing that can be commanded or asked."""

    name: str = Field(min_length=1)
    """As people say it, and as an answer holds it."""
    domain: str = Field(min_length=1, pattern=r"^[a-z_]+$")
    """As Home Assistant calls it: light, switch, cover …"""
    area: str = ""
    """Name of its area."""
    device_class: str = ""
    """As Home Assistant calls it: a cover's `blind`, a sensor's `humidity`."""
    aliases: tuple[str, ...] = Field((), strict=False)
    """Other names that people say."""
    id: str = ""
    """Home Assistant's own, `light.desk_lamp`; not used."""

    @property
    def kind(self) -> str:
        """See `kind_of`."""
        return kind_of(self.domain)


class HomeFile(StrictModel):
    """`home.yaml`: floors, areas and entities by the names that people say."""

    section: ClassVar[str] = ""

    floors: tuple[Floor, ...] = Field((), strict=False)
    """Floors that have more names than those in `areas`."""
    areas: tuple[Area, ...] = Field((), strict=False)
    """Rooms and other parts of the home."""
    entities: tuple[Entity, ...] = Field((), strict=False)
    """Things that can be commanded or asked."""

    @model_validator(mode="after")
    def _consistent(self) -> HomeFile:
        areas = {area.name for area in self.areas}
        counts = Counter(area.name.lower() for area in self.areas)
        complain(
            [
                *(
                    complaint(
                        ("entities", index, "area"), f"is {entity.area!r}, no area", f"use one of: {_list(areas)}"
                    )
                    for index, entity in enumerate(self.entities)
                    if entity.area and entity.area not in areas
                ),
                *(
                    complaint(("areas", index, "name"), f"is {area.name!r}, as another's", "name each area once")
                    for index, area in enumerate(self.areas)
                    if counts[area.name.lower()] > 1
                ),
            ]
        )
        return self

    def home(self) -> Home:
        """What the file describes."""
        known = {floor.name for floor in self.floors}
        more = dict.fromkeys(area.floor for area in self.areas if area.floor and area.floor not in known)
        return Home((*self.floors, *(Floor(name=name) for name in more)), self.areas, self.entities)


@dataclass(frozen=True)
class Home:
    """The names of a home."""

    floors: tuple[Floor, ...] = ()
    areas: tuple[Area, ...] = ()
    entities: tuple[Entity, ...] = ()

    def entries(self) -> tuple[Entry, ...]:
        """All names with their kinds and what an answer holds: entities, areas, floors; a name stands once.

        A name that several entities have gets the first of their kinds in `KINDS`. An alias that is another entity's
        name is that entity.
        """
        entities = sorted(self.entities, key=lambda entity: KINDS.index(entity.kind))
        return distinct(
            (
                *(Entry(entity.name, entity.kind, entity.name) for entity in entities),
                *(Entry(alias, entity.kind, entity.name) for entity in entities for alias in entity.aliases),
                *(Entry(area.name, "area", area.name) for area in self.areas),
                *(Entry(alias, "area", area.name) for area in self.areas for alias in area.aliases),
                *(Entry(floor.name, "floor", floor.name) for floor in self.floors),
                *(Entry(alias, "floor", floor.name) for floor in self.floors for alias in floor.aliases),
            )
        )


def distinct(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The first entry of each text, case aside."""
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry.text.lower(), entry)
    return tuple(first.values())


def load_home(path: Path) -> Home:
    """The home of a file.

    Raises:
        ConfigError: no such file, or everything that is wrong in it, with the keys.
    """
    data = read_yaml(path, "home", _REMEDY)
    if isinstance(data, Mapping):
        data = _listed_by_id(data, path)
    return validate(HomeFile, data, path).home()


def _listed_by_id(data: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Homes of test data in the format of `HomeFile`; others as they are.

    Two formats are known: things with `id` and `names`, whose areas and floors are ids, and the synthetic homes of
    home-assistant-datasets, with `areas`, `devices` and `entities`, whose areas are ids.

    Raises:
        ConfigError: what is read of these two formats is of another kind than they have there.
    """
    areas = _mappings(data.get("areas"))
    if any("names" in item for item in (*areas, *_mappings(data.get("entities")), *_mappings(data.get("floors")))):
        _check_kinds(data, path)
        floors = _mappings(data.get("floors"))
        floor_names, area_names = _names(floors), _names(areas)
        return {
            "floors": [_named(floor) for floor in floors],
            "areas": [{**_named(area), "floor": floor_names.get(area.get("floor"), "")} for area in areas],
            "entities": [
                {
                    **_named(entity),
                    "domain": str(entity.get("id", "")).partition(".")[0],
                    "area": area_names.get(entity.get("area"), ""),
                    "device_class": entity.get("device_class") or "",
                    "id": entity.get("id", ""),
                }
                for entity in _mappings(data.get("entities"))
            ],
        }
    if not any("id" in area for area in areas):
        return data
    _check_kinds(data, path)
    area_names = {area.get("id"): area.get("name", "") for area in areas}
    devices = {device.get("id"): device for device in _mappings(data.get("devices"))}

    def area_of(entity: Mapping[str, Any]) -> str:
        device = devices.get(entity.get("device"), {})
        return area_names.get(entity.get("area") or device.get("area"), "")

    return {
        "areas": [
            {"name": area.get("name", ""), "floor": area.get("floor") or "", "aliases": area.get("aliases") or []}
            for area in areas
        ],
        "entities": [
            {
                "name": entity.get("name") or devices.get(entity.get("device"), {}).get("name", ""),
                "domain": str(entity.get("id", "")).partition(".")[0],
                "area": area_of(entity),
                "device_class": (entity.get("attributes") or {}).get("device_class") or "",
                "aliases": entity.get("aliases") or [],
                "id": entity.get("id", ""),
            }
            for entity in _mappings(data.get("entities"))
        ],
    }


def _check_kinds(data: Mapping[str, Any], path: Path) -> None:
    """Checks the kinds of what is read of homes of test data.

    Raises:
        ConfigError: names all that is wrong.
    """
    problems = []
    for section in ("floors", "areas", "devices", "entities"):
        for index, item in enumerate(_mappings(data.get(section))):
            for key in ("id", "name", "area", "floor", "device", "device_class"):
                if not isinstance(item.get(key), str | int | None):
                    what = f"`{section}.{index}.{key}` is {item[key]!r:.40}, not text"
                    problems.append(Problem(f"{section}.{index}.{key}", what, "write text"))
            for key in ("names", "aliases"):
                if not isinstance(item.get(key), list | None):
                    what = f"`{section}.{index}.{key}` is {item[key]!r:.40}, not a list"
                    problems.append(Problem(f"{section}.{index}.{key}", what, "write a list of names"))
            if not isinstance(item.get("attributes"), Mapping | None):
                what = f"`{section}.{index}.attributes` is no mapping of keys"
                problems.append(Problem(f"{section}.{index}.attributes", what, "write keys and values"))
    if problems:
        raise ConfigError(path, problems)


def _mappings(items: object) -> list[Mapping[str, Any]]:
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, Sequence) else []


def _names(items: Iterable[Mapping[str, Any]]) -> dict[Any, str]:
    return {item.get("id"): (item.get("names") or [""])[0] for item in items}


def _named(item: Mapping[str, Any]) -> dict[str, Any]:
    names = item.get("names") or [""]
    return {"name": names[0], "aliases": names[1:]}


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none is listed"
