"""hassil, Home Assistant's own matcher, told all names of a home."""

from __future__ import annotations

from hassil.intents import TextSlotList, TextSlotValue
from hassil.recognize import recognize_best

from pipeline.tasks.home_assistant.templates import load_language, slot_text
from pipeline.tasks.home_file import Home
from pipeline.text.answers import NO_MATCH, StructuredAnswer

__all__ = ["HassilPeer"]


class HassilPeer:
    """Asks hassil with the published templates of a language.

    Args:
        language: its code.
        home: whose names it is told.
    """

    def __init__(self, language: str, home: Home) -> None:
        self._language = language
        self._intents = load_language(language).intents
        names = [
            TextSlotValue.from_tuple(
                (
                    name,
                    entity.name,
                    {"domain": entity.domain, **({"device_class": entity.device_class} if entity.device_class else {})},
                ),
                allow_template=False,
            )
            for entity in home.entities
            for name in (entity.name, *entity.aliases)
        ]
        self._lists = {
            "name": TextSlotList(name="name", values=names),
            "area": _names("area", [(each.name, each.aliases) for each in home.areas]),
            "floor": _names("floor", [(each.name, each.aliases) for each in home.floors]),
        }

    def understand(self, sentence: str) -> StructuredAnswer:
        """The best of its readings; `NO_MATCH` where it has none."""
        result = recognize_best(sentence, self._intents, slot_lists=dict(self._lists), language=self._language)
        if result is None:
            return StructuredAnswer(NO_MATCH)
        slots = {name: slot_text(entity.value).strip() for name, entity in result.entities.items()}
        return StructuredAnswer(result.intent.name, slots)


def _names(kind: str, things: list[tuple[str, tuple[str, ...]]]) -> TextSlotList:
    values = [
        TextSlotValue.from_tuple((name, own), allow_template=False)
        for own, aliases in things
        for name in (own, *aliases)
    ]
    return TextSlotList(name=kind, values=values)
