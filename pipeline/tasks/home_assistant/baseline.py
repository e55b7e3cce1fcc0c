"""What hassil itself recognizes, for comparison."""

from __future__ import annotations

from collections.abc import Sequence

from hassil.intents import SlotList, TextSlotList, TextSlotValue
from hassil.recognize import recognize_all

from pipeline.tasks.home_assistant.templates import DOWN, Language, slot_text
from pipeline.tasks.home_file import Area, Entity, Floor, Home
from pipeline.tasks.task import Pair
from pipeline.text.answers import parse_answer

__all__ = ["recognized"]

_HERE = "the room of the device"


def recognized(language: Language, home: Home, pair: Pair) -> bool:
    """Whether one of hassil's readings of the sentence is the pair's intent with the pair's slots.

    This is the best case for hassil. It matches names against the home's lists, so it is given the names in the action
    and nothing that could be confused with them; a thing may be of every domain that the intent's templates ask for;
    the device stands in a room, so a sentence may leave the area out; any reading may be the right one, where Home
    Assistant takes the best.
    """
    templates = [template for template in language.templates if template.intent == pair.action.partition(" ")[0]]
    slot_names = {slot for template in templates for slot in (*template.slots, *template.block.slots)}
    answer = parse_answer(pair.action, sorted(slot_names))
    slots = {name: value.lower() for name, value in answer.slots.items()}
    lists: dict[str, SlotList] = {
        "area": TextSlotList(name="area", values=_values(_names(home.areas, answer.slots.get("area")))),
        "floor": TextSlotList(name="floor", values=_values(_names(home.floors, answer.slots.get("floor")))),
    }
    contexts = sorted({(domain, template.device_class) for template in templates for domain in template.domains})
    name = answer.slots.get("name")
    names = [] if name is None else _names(home.entities, name)
    lists["name"] = TextSlotList(
        name="name", values=[value for context in contexts for value in _values(names, *context)]
    )
    readings = recognize_all(
        pair.sentence, language.intents, slot_lists=lists, intent_context={"area": _HERE}, language=language.code
    )
    for reading in readings:
        if reading.intent.name != answer.intent:
            continue
        values = {name: entity.value for name, entity in reading.entities.items() if entity.value != _HERE}
        if {name: _said(value) for name, value in values.items()} == slots:
            return True
    return False


def _said(value: object) -> str:
    """A slot's value as the task has it."""
    text = slot_text(value).strip().lower()
    return DOWN if text.startswith("-") else text


def _names(things: Sequence[Area | Floor | Entity], name: str | None) -> list[tuple[str, str]]:
    """What people say for a name, with the name; of the first thing where there is none."""
    if name is None:
        return [(thing.name, thing.name) for thing in things[:1]]
    said = {name: None, **{alias: None for thing in things if thing.name == name for alias in thing.aliases}}
    return [(alias, name) for alias in said]


def _values(names: Sequence[tuple[str, str]], domain: str = "", device_class: str = "") -> list[TextSlotValue]:
    context = {"domain": domain, "device_class": device_class} if domain else {}
    return [TextSlotValue.from_tuple((said, name, context), allow_template=False) for said, name in names]
