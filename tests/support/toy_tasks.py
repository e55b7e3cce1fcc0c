"""A fish tank that understands German and English: the task that tests of weave and negatives run on."""

from __future__ import annotations

from tests.support.toy_source import ToySource

__all__ = ["fish_tank"]

_TEMPLATES = {
    "de": {
        "TurnOn": ["schalte den {device} ein", "mach {device} an", "mach die {pump} in {number} Minuten an"],
        "TurnOff": ["schalte den {device} aus"],
        "SetTemperature": ["stell {device} auf {number} Grad", "stelle das Becken auf {number} Grad"],
        "Feed": ["füttere die {fish}", "füttere die {fish} mit {number} Flocken"],
        "Light": ["schalte das Licht im {place} ein", "dimme das Licht auf {number} Prozent", "mach das Licht heller"],
        "Clean": ["reinige die Scheibe", "starte die Reinigung"],
        "Finish": ["beende das Programm"],
        "Halt": ["halte das Programm an"],
        "Query": ["wie warm ist es im {place}", "ist die {pump} an", "sag mir die Temperatur"],
        "Give": ["gib mir einen {snack}", "einen {snack} bitte"],
    },
    "en": {
        "TurnOn": ["turn on the {device}", "switch the {device} on", "turn the {pump} on in {number} minutes"],
        "TurnOff": ["turn off the {device}"],
        "SetTemperature": ["set the {device} to {number} degrees", "set the tank to {number} degrees"],
        "Feed": ["feed the {fish}", "feed the {fish} with {number} flakes"],
        "Light": ["turn on the light in the {place}", "dim the light to {number} percent", "make the light brighter"],
        "Clean": ["clean the glass", "start the cleaning cycle"],
        "Finish": ["end the program"],
        "Halt": ["stop the program"],
        "Query": ["how warm is it in the {place}", "is the {pump} on", "tell me the temperature"],
        "Give": ["give me a {snack}", "a {snack} please"],
    },
}
_LISTS = {
    "de": {
        "device": ["Filter", "Heizstab", "Lüfter"],
        "fish": ["Guppys", "Welse", "Garnelen"],
        "place": ["Becken", "Aquarium"],
        "pump": ["Pumpe", "Strömungspumpe"],
        "snack": ["Wurm", "Krümel"],
    },
    "en": {
        "device": ["filter", "heater", "fan"],
        "fish": ["guppies", "catfish", "shrimps"],
        "place": ["tank", "aquarium"],
        "pump": ["pump", "wave pump"],
        "snack": ["worm", "crumb"],
    },
}
NOTES = {"de": ["fünf neue Garnelen", "Wasser bei Frau Özdemir"], "en": ["five new shrimps", "water from Mrs O'Neill"]}


def fish_tank(language: str, has_notes: bool = False) -> ToySource:
    """The task in a language.

    Args:
        language: "de" or "en".
        has_notes: whether it takes notes too, which are free text.
    """
    templates = dict(_TEMPLATES[language])
    if has_notes:
        templates["Note"] = ["notiere {note}" if language == "de" else "note {note}"]
    return ToySource(language, templates, _LISTS[language], {"note": NOTES[language]} if has_notes else None)
