"""What people say for a slot that has a type instead of a list: numbers, times, durations, names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hassil.numbers import get_rbnf_engine

from pipeline.languages import languages, load_language_file

__all__ = ["spoken_values"]

_UNITS = {"days": ("D", 7), "hours": ("H", 23), "minutes": ("M", 90), "seconds": ("S", 90)}


def spoken_values(kind: str, language: str) -> Sequence[tuple[str, str]]:
    """What may be said for a type, each with the value that the slot then holds; nothing for names.

    Args:
        kind: a type of `SentenceHints.types`.
        language: code.
    """
    if kind in ("number", "percent", "degrees"):
        behind = {"number": "", "percent": " %", "degrees": "°"}[kind]
        top = {"number": 120, "percent": 100, "degrees": 40}[kind]
        digits = [(f"{number}{behind}", str(number)) for number in range(top + 1)]
        words = [(_words(number, language), str(number)) for number in range(top + 1)] if kind == "number" else []
        return [*digits, *(pair for pair in words if pair[0])]
    if kind == "time":
        return [(f"{h}:{m:02}", f"{h:02}:{m:02}") for h in range(24) for m in range(0, 60, 5)]
    data = _quantities(language)
    if kind == "date":
        dates = data.get("dates", {})
        return [(str(word), str(value)) for value, words in dates.items() for word in words]
    units = data.get("units", {})
    if kind == "duration":
        return [pair for unit in _UNITS for pair in _durations(unit, units, language, is_iso=True)]
    if kind in _UNITS:
        return _durations(kind, units, language, is_iso=False)
    return []


def _durations(unit: str, units: Mapping[str, Sequence[str]], language: str, is_iso: bool) -> list[tuple[str, str]]:
    letter, top = _UNITS[unit]
    result = []
    words = list(units.get(unit, ())) or [unit]
    for number in range(1, top + 1):
        word = words[0] if number == 1 else words[min(1, len(words) - 1)]
        value = (f"P{number}D" if unit == "days" else f"PT{number}{letter}") if is_iso else str(number)
        result.append((f"{number} {word}", value))
        if number > 1 and (spelled := _words(number, language)):
            result.append((f"{spelled} {word}", value))
    return result


def _words(number: int, language: str) -> str:
    try:
        return str(get_rbnf_engine(language).format_number(number).text)
    except (ValueError, KeyError, AttributeError):
        return ""


def _quantities(language: str) -> Mapping[str, dict[str, Sequence[str]]]:
    known = languages("quantities")
    if language in known or language.split("-", maxsplit=1)[0] in known:
        return load_language_file(language, "quantities")
    return {}
