"""What hassil itself recognizes, for comparison."""

from __future__ import annotations

from hassil.intents import TextSlotList
from hassil.recognize import recognize_all

from models.tasks import Pair
from models.tasks.home_assistant.home import Home
from models.tasks.home_assistant.templates import Language

__all__ = ["recognized"]


def recognized(language: Language, home: Home, pair: Pair) -> bool:
    """Whether one of hassil's readings of the sentence is the pair's intent with the pair's slots.

    hassil matches names against the home's lists, so it is told the names that the expected action holds: the best
    case for it. Context conditions (which domain a name has) are taken as fulfilled.
    """
    intent, slots = _parse(pair.action)
    areas = [slots["area"]] if "area" in slots else list(home.areas[:5])
    lists = {
        "area": TextSlotList.from_strings(areas, name="area"),
        "floor": TextSlotList.from_strings(list(home.floors), name="floor"),
        "name": TextSlotList.from_strings([slots.get("name", "coffee maker")], name="name"),
    }
    readings = recognize_all(pair.sentence, language.intents, slot_lists=lists, language=language.code)
    for reading in readings:
        found = {name: str(entity.value).strip().lower() for name, entity in reading.entities.items()}
        if reading.intent.name == intent and found == slots:
            return True
    return False


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
