"""Which entities of a home an answer commands, as an assistant that carries it out would take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.tasks.home_file import KINDS, Entity, Home
from pipeline.text.answers import StructuredAnswer

__all__ = ["DOMAINS", "resolve"]

DOMAINS: Mapping[str, tuple[str, ...]] = {
    "HassTurnOn": (),
    "HassTurnOff": (),
    "HassToggle": (),
    "HassLightSet": ("light",),
    "HassFanSetSpeed": ("fan",),
    "HassSetPosition": ("cover", "valve"),
    "HassClimateSetTemperature": ("climate",),
    "HassClimateSetFanMode": ("climate",),
    "HassMediaPause": ("media_player",),
    "HassMediaUnpause": ("media_player",),
    "HassMediaNext": ("media_player",),
    "HassMediaPrevious": ("media_player",),
    "HassMediaPlayerMute": ("media_player",),
    "HassMediaPlayerUnmute": ("media_player",),
    "HassMediaSearchAndPlay": ("media_player",),
    "HassSetVolume": ("media_player",),
    "HassSetVolumeRelative": ("media_player",),
    "HassVacuumStart": ("vacuum",),
    "HassVacuumReturnToBase": ("vacuum",),
    "HassVacuumCleanArea": ("vacuum",),
    "HassLawnMowerStartMowing": ("lawn_mower",),
    "HassLawnMowerDock": ("lawn_mower",),
    "HassListAddItem": ("todo",),
    "HassListCompleteItem": ("todo",),
    "HassListRemoveItem": ("todo",),
    "HassShoppingListAddItem": ("todo",),
    "HassShoppingListCompleteItem": ("todo",),
}
"""Domains on which an intent acts; none named: on all that can be commanded."""

_ONLY_MEASURE = frozenset({"sensor", "binary_sensor", "weather", "camera", "person", "zone", "device_tracker"})


def resolve(answer: StructuredAnswer, home: Home, speaker_area: str = "") -> tuple[Entity, ...]:
    """The entities that an answer acts on.

    A name, area, floor, domain and device class must all fit, with aliases. A name that several entities have means
    those on which the intent can act. Where an answer names neither a thing nor a part of the home, it means the things
    of the speaker's area if there are any, else the only thing that fits; nothing where several do, unless it says all.

    Args:
        answer: an intent with slots.
        home: where it is said.
        speaker_area: name of the area that hears it; empty where that is not known.

    Returns:
        The entities in the order of the home; none where the answer fits none, or cannot be told from others.
    """
    domains = DOMAINS.get(answer.intent)
    if domains is None:
        return ()
    slots = answer.slots
    fitting = [
        entity
        for entity in home.entities
        if entity.domain not in _ONLY_MEASURE
        and (not domains or entity.domain in domains)
        and _is_one_of(entity.domain, slots.get("domain"))
        and _is_one_of(entity.device_class, slots.get("device_class"))
    ]
    name = slots.get("name", "")
    if name and name != "all":
        fitting = _exact_first([entity for entity in fitting if _called(entity, name)], name)
    area, floor = slots.get("area") or slots.get("preferred_area_id"), slots.get("floor")
    if area:
        names = _names_of(area, [(each.name, each.aliases) for each in home.areas])
        fitting = [entity for entity in fitting if entity.area.lower() in names]
    if floor:
        floors = _names_of(floor, [(each.name, each.aliases) for each in home.floors])
        on_floor = {each.name.lower() for each in home.areas if each.floor.lower() in floors}
        fitting = [entity for entity in fitting if entity.area.lower() in on_floor]
    if not (name or area or floor) and len(fitting) > 1:
        here = [entity for entity in fitting if speaker_area and entity.area.lower() == speaker_area.lower()]
        return tuple(here)
    return tuple(fitting)


def _is_one_of(value: str, wanted: str | None) -> bool:
    return wanted is None or value in wanted.split("|")


def _called(entity: Entity, name: str) -> bool:
    return name.lower() in (entity.name.lower(), *(alias.lower() for alias in entity.aliases))


def _exact_first(entities: Sequence[Entity], name: str) -> list[Entity]:
    """Those whose own name it is, where there are any; of several kinds the one that commands act on first."""
    own = [entity for entity in entities if entity.name.lower() == name.lower()] or list(entities)
    first = min((KINDS.index(entity.kind) for entity in own), default=0)
    return [entity for entity in own if KINDS.index(entity.kind) == first]


def _names_of(name: str, things: Sequence[tuple[str, Sequence[str]]]) -> set[str]:
    """Lower-case names of the things that are called so."""
    return {own.lower() for own, aliases in things if name.lower() in (own.lower(), *(a.lower() for a in aliases))}
