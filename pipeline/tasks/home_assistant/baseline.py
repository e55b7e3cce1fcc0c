"""What hassil itself recognizes, for comparison."""

from __future__ import annotations

from collections.abc import Sequence

from hassil.intents import SlotList, TextSlotList, TextSlotValue
from hassil.recognize import recognize_all

from pipeline.tasks.home_assistant.home import Home
from pipeline.tasks.home_assistant.templates import Language, slot_text
from pipeline.tasks.task import Pair

__all__ = ["recognized"]

_HERE = "the room of the device"


def recognized(language: Language, home: Home, pair: Pair) -> bool:
    """Whether one of hassil's readings of the sentence is the pair's intent with the pair's slots.

    This is the best case for hassil. It matches names against the home's lists, so it is given the names in the action
    and nothing that could be confused with them; a thing may be of every domain that the intent's templates ask for;
    the device stands in a room, so a sentence may leave the area out; any reading may be the right one, where Home
    Assistant takes the best.
    """
    intent, slots = _parse(pair.action)
    lists: dict[str, SlotList] = {
        "area": TextSlotList(name="area", values=_values([slots.get("area") or home.areas[0]])),
        "floor": TextSlotList(name="floor", values=_values([slots.get("floor") or home.floors[0]])),
    }
    if "name" in slots:
        templates = [template for template in language.templates if template.intent == intent]
        domains = sorted({domain for template in templates for domain in template.domains})
        values = [value for domain in domains for value in _values([slots["name"]], domain)]
        lists["name"] = TextSlotList(name="name", values=values)
    else:
        lists["name"] = TextSlotList(name="name", values=[])
    readings = recognize_all(
        pair.sentence, language.intents, slot_lists=lists, intent_context={"area": _HERE}, language=language.code
    )
    for reading in readings:
        slot_values = {name: entity.value for name, entity in reading.entities.items() if entity.value != _HERE}
        recognized_slots = {name: slot_text(value).strip().lower() for name, value in slot_values.items()}
        if reading.intent.name == intent and recognized_slots == slots:
            return True
    return False


def _values(names: Sequence[str], domain: str | None = None) -> list[TextSlotValue]:
    context = {} if domain is None else {"domain": domain}
    return [TextSlotValue.from_tuple((name, name, context), allow_template=False) for name in names]


def _parse(action: str) -> tuple[str, dict[str, str]]:
    intent, *words = action.split(" ")
    slots: dict[str, str] = {}
    last = ""
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            last, slots[key] = key, value
        elif last:
            slots[last] += f" {word}"
    return intent, slots
