"""The answer tokens of a task: made of its intents, their slots, and the kinds of names that it knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipeline.errors import ThimbleError
from pipeline.tasks.samples import NO_MATCH, IntentSchema, SlotSchema
from pipeline.text.answers import DURATION_UNITS, AllowedValues, AnswerSchema, RoomContext, SlotSet

__all__ = ["MAX_POSITIONS", "PLACES", "QUANTITY_KINDS", "REASONS", "make_schema"]

QUANTITY_KINDS = ("date", "degrees", "duration", "number", "percent", "time")
"""Kinds of `pipeline.text.annotation.Quantity`."""
REASONS = ("two-commands",)
"""Why the model says `NO_MATCH`, where it says why."""
PLACES = frozenset({"area", "floor", "name", "preferred_area_id"})
"""Slots that say where, or which thing, so that the room where it is said does not matter."""
MAX_POSITIONS = 48
"""Positions of a prompt at which free text may begin or end."""


def make_schema(
    intents: Mapping[str, IntentSchema],
    name_kinds: Iterable[str],
    pointers: int,
    threshold: float = 0.0,
    here: Sequence[str] = (),
) -> AnswerSchema:
    """The answer tokens.

    Args:
        intents: by name, without `NO_MATCH`.
        name_kinds: kinds of the entries of all vocabularies.
        pointers: marks that an answer can point at.
        threshold: confidence from 0 to 1 below which nothing is done.
        here: what means the room where it is said, in normalized words.

    Raises:
        ThimbleError: a kind of names is called as a kind of quantities is, or an intent as `NO_MATCH`.
    """
    names = {
        *name_kinds,
        *(kind for intent in intents.values() for slot in intent.slots.values() for kind in slot.kinds),
    }
    clashes = sorted(set(name_kinds) & set(QUANTITY_KINDS))
    if clashes:
        raise ThimbleError(
            f"a list is called {clashes[0]!r}, as a kind of quantities is",
            f"call it otherwise: {', '.join(QUANTITY_KINDS)} are what numbers in a sentence are marked with",
        )
    if NO_MATCH in intents:
        raise ThimbleError(f"an intent is called {NO_MATCH}", "call it otherwise: it means that nothing is done")
    kinds = (*QUANTITY_KINDS, *sorted(names - set(QUANTITY_KINDS)))
    by_intent: dict[str, dict[str, SlotSchema]] = {NO_MATCH: {"reason": SlotSchema(values=REASONS)}}
    for name in sorted(intents):
        by_intent[name] = dict(intents[name].slots)
    units = {intent: _unit_slots(slots) for intent, slots in by_intent.items()}
    slots = sorted(
        {slot for by_slot in by_intent.values() for slot in by_slot} | {s for u in units.values() for s in u}
    )
    values = sorted({value for by_slot in by_intent.values() for slot in by_slot.values() for value in slot.values})
    kind_ids, slot_ids, value_ids = ({name: i for i, name in enumerate(part)} for part in (kinds, slots, values))
    allowed: dict[int, dict[int, AllowedValues]] = {}
    slot_sets: dict[int, tuple[SlotSet, ...]] = {}
    for index, (intent, by_slot) in enumerate(by_intent.items()):
        entries = {
            slot_ids[name]: AllowedValues(
                tuple(sorted(kind_ids[kind] for kind in slot.kinds | ({"number"} if "time" in slot.kinds else set()))),
                tuple(sorted({value_ids[value] for value in slot.values})),
                slot.is_free,
                takes_hours="time" in slot.kinds,
                unit=slot.part if slot.part in DURATION_UNITS and slot.kinds & {"duration", "time"} else "",
            )
            for name, slot in by_slot.items()
        }
        for name in units[intent]:
            entries[slot_ids[name]] = AllowedValues((kind_ids["duration"],), (), False, True)
        allowed[index] = dict(sorted(entries.items()))
        if intent in intents:
            together = _slot_sets(intents[intent], units[intent])
            slot_sets[index] = tuple(
                SlotSet(*(frozenset(slot_ids[slot] for slot in part) for part in one)) for one in together
            )
    has_free_text = any(slot.is_free for by_slot in by_intent.values() for slot in by_slot.values())
    return AnswerSchema(
        kinds=kinds,
        quantities=frozenset(QUANTITY_KINDS),
        pointers=pointers,
        positions=MAX_POSITIONS if has_free_text else 0,
        intents=tuple(by_intent),
        slots=tuple(slots),
        values=tuple(values),
        allowed=allowed,
        threshold=round(65536 * threshold),
        slot_sets=slot_sets,
        room=RoomContext(
            always=_needing_rooms(by_intent, intents, "always"),
            said=_needing_rooms(by_intent, intents, "said"),
            places=frozenset(slot_ids[slot] for slot in PLACES & slot_ids.keys()),
            phrases=tuple(here),
        ),
    )


def _needing_rooms(names: Iterable[str], intents: Mapping[str, IntentSchema], how: str) -> frozenset[int]:
    """Indices of the intents that need a room so."""
    return frozenset(index for index, name in enumerate(names) if name in intents and intents[name].room == how)


def _unit_slots(slots: Mapping[str, SlotSchema]) -> list[str]:
    """Names of the slots that stand for slots of units: their prefix and `duration`."""
    prefixes = {
        name.removesuffix(unit)
        for name, slot in slots.items()
        for unit in DURATION_UNITS
        if (name == unit or name.endswith(f"_{unit}")) and slot.kinds & set(QUANTITY_KINDS)
    }
    return sorted(f"{prefix}duration" for prefix in prefixes if f"{prefix}duration" not in slots)


def _slot_sets(intent: IntentSchema, durations: Sequence[str]) -> list[tuple[frozenset[str], frozenset[str]]]:
    """The sets of slots that answers may have: those that each of them has, and those that it may have.

    A duration stands instead of the slots of its units, and never beside them.
    """
    units = {name: frozenset(name.removesuffix("duration") + unit for unit in DURATION_UNITS) for name in durations}
    needed = set(intent.needed or (frozenset[str](),))
    possible = {frozenset(intent.slots) | set(durations)}
    for name, filled in units.items():
        needed |= {slots - filled | {name} for slots in needed if slots & filled}
        possible = {slots - left_out for slots in possible for left_out in ({name}, filled)}
    for several in intent.exclusive:
        others = {slot: {name for name, filled in units.items() if slot in filled} | {slot} for slot in several}
        possible = {
            slots.difference(*(others[other] for other in several if other != slot))
            for slots in possible
            for slot in several
        }
    sets = {(one, other) for one in needed for other in possible if one <= other}
    least = [
        (one, other)
        for one, other in sets
        if not any(less <= one and more >= other and (less, more) != (one, other) for less, more in sets)
    ]
    return sorted(least, key=lambda pair: (sorted(pair[0]), sorted(pair[1])))
