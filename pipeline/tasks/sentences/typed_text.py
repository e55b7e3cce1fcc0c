"""What people say for a slot that has a type instead of a list: numbers, times, durations, dates."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from pipeline.errors import ConfigError, Problem
from pipeline.languages import languages, load_language_file
from pipeline.tasks.normalizers import normalizer_of
from pipeline.tasks.number_words import quantities
from pipeline.tasks.sentences.templates import number_words
from pipeline.text.annotation import Quantity

__all__ = ["spoken_values"]

UNITS = ("days", "hours", "minutes", "seconds")
"""Types of slots that hold the number of a unit of a duration."""
_TOP = {"number": 120, "percent": 100, "degrees": 40}
_BEHIND = {"number": "", "percent": " %", "degrees": "°"}
_FILLED = 60  # texts of each pattern
_SPELLED = 0.4  # share of numbers that are written as words
_ROUND = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 18, 20, 25, 30, 35, 40, 45, 50, 55, 60, 75, 90)


def spoken_values(kind: str, language: str) -> Sequence[tuple[str, str]]:
    """What may be said for a type, each with the value that the slot then holds; nothing for names.

    Args:
        kind: a type of `SentenceHints.types`.
        language: code.

    Raises:
        ConfigError: the language has no phrases of the type.
    """
    if kind == "name":
        return ()
    if kind in _TOP:
        digits = [(f"{number}{_BEHIND[kind]}", str(number)) for number in range(_TOP[kind] + 1)]
        spelled = [(text, value) for _, value in digits for text in number_words(language, int(value))]
        return [*digits, *spelled] if kind == "number" else digits
    wanted = "duration" if kind in UNITS else kind
    patterns = _patterns(language, wanted)
    if not patterns:
        what = f"`types` has {kind}, of which the language {language!r} has no phrases"
        remedy = "use a list with `values:`, or add `spoken` to the language's phrases.yaml"
        raise ConfigError("", [Problem("types", what, remedy)])
    rng = random.Random(f"{language} {kind}")
    found: dict[str, str] = {}
    normalizer, numbers = normalizer_of(language), quantities(language)
    for pattern in patterns:
        for _ in range(_FILLED if "{" in pattern else 1):
            text = re.sub(r"\{(\w+)\}", lambda match: _filled(match[1], language, rng), pattern)
            words = [word.text for word in normalizer.words(text)]
            quantity = numbers.at(words, 0)
            value = None if quantity is None else _value(quantity, len(words), kind)
            if value is not None:
                found.setdefault(text, value)
    return list(found.items())


def _value(quantity: Quantity, count: int, kind: str) -> str | None:
    """The value of a text that is one quantity; None where it is another, or not in one unit."""
    if quantity.count != count:
        return None
    if kind not in UNITS:
        return quantity.value if quantity.kind == kind else None
    parts = dict(quantity.parts)
    return parts[kind] if quantity.kind == "duration" and set(parts) == {kind} else None


def _patterns(language: str, kind: str) -> Sequence[str]:
    known = languages("phrases")
    if language not in known and language.split("-", maxsplit=1)[0] not in known:
        return ()
    spoken: Mapping[str, Sequence[str]] = load_language_file(language, "phrases").get("spoken", {})
    return spoken.get(kind, ())


def _filled(name: str, language: str, rng: random.Random) -> str:
    if name == "mm":
        return f"{5 * rng.randrange(12):02}" if rng.random() < 0.7 else f"{rng.randrange(60):02}"
    number = rng.randrange(24) if name == "h" else rng.randrange(1, 32) if name == "d" else rng.choice(_ROUND)
    if name == "n" and rng.random() < 0.2:
        number = rng.randrange(2, 60)
    words = number_words(language, number)
    return words[0] if name != "d" and words and rng.random() < _SPELLED else str(number)
