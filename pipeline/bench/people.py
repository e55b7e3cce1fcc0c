"""Sentences of people, of Home Assistant's intents project: which answers to them count as right.

They are read from a folder with `LANG.jsonl` and `LANG.home.json`, or from a checkout of the project, whose own tests
they are (`tests/LANG/*.yaml`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ThimbleError
from pipeline.text.answers import StructuredAnswer

__all__ = ["HomeNames", "PeopleSentence", "is_right", "read_checkout", "read_folder"]

_TIMER = "Timer"
_TIMER_TEXTS = ("name", "conversation_command")
"""What the authors leave to other checks."""
_FREE_TEXTS = ("item", "search_query", "name", "message")


@dataclass(frozen=True)
class PeopleSentence:
    """A sentence and the answers that its authors expect.

    Attributes:
        sentence: as it is said.
        accepted: answers that are right.
        in_package: whether the published templates read it so; None where that is not known.
    """

    sentence: str
    accepted: tuple[StructuredAnswer, ...]
    in_package: bool | None = None


@dataclass(frozen=True)
class HomeNames:
    """Names of one thing, which count as the same: by slot (`area`, `floor`, `name`) the first name of each."""

    first: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, home: Mapping[str, Any]) -> HomeNames:
        """Of a home with `areas`, `floors` and `entities`, each with all its `names`. A name that several things have
        stands for itself."""
        first: dict[str, dict[str, str]] = {}
        for slot, kind in (("area", "areas"), ("floor", "floors"), ("name", "entities")):
            owners: dict[str, set[str]] = {}
            for thing in home.get(kind, ()):
                for name in thing["names"]:
                    owners.setdefault(name.lower(), set()).add(thing["names"][0].lower())
            first[slot] = {name: next(iter(owner)) for name, owner in owners.items() if len(owner) == 1}
        return cls(first)


def is_right(answer: StructuredAnswer, accepted: Iterable[StructuredAnswer], names: HomeNames) -> bool:
    """Whether the answer is one of those accepted."""
    intent, slots = _normal(answer, names)
    for one in accepted:
        wanted_intent, wanted = _normal(one, names)
        if intent != wanted_intent:
            continue
        optional = _TIMER_TEXTS if _TIMER in intent else ()
        if {key: value for key, value in slots.items() if key in wanted or key not in optional} == wanted:
            return True
    return False


def _normal(answer: StructuredAnswer, names: HomeNames) -> tuple[str, dict[str, str]]:
    """Spellings that mean the same: case, "first floor" and "first", 20.0 and 20, an article before free text."""
    slots: dict[str, str] = {}
    for key, value in answer.slots.items():
        text = " ".join(value.lower().split())
        if key == "floor":
            text = re.sub(r"^(the )?(.*?)( floor)?$", r"\2", text)
        if key in _FREE_TEXTS:
            text = re.sub(r"^(the|my) ", "", text)
        text = names.first.get(key, {}).get(text, text)
        slots[key] = text.partition(".")[0] if re.fullmatch(r"-?\d+\.0+", text) else text
    if slots.get("name") == "all":
        del slots["name"]
    if "name" in slots:  # a name says which entity it is, and so its kind
        slots.pop("domain", None)
        slots.pop("device_class", None)
    return answer.intent, slots


def read_folder(folder: Path, language: str) -> tuple[list[PeopleSentence], Path]:
    """The sentences of `LANG.jsonl`, and the file of the home.

    Raises:
        ThimbleError: no such files, or damaged ones.
    """
    path, home = folder / f"{language}.jsonl", folder / f"{language}.home.json"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        sentences = [
            PeopleSentence(row["sentence"], tuple(map(_answer, row["accepted"])), row.get("in_package")) for row in rows
        ]
    except OSError as error:
        raise ThimbleError(f"cannot read {path}: {error.strerror}", "name a folder with LANG.jsonl files") from None
    except (KeyError, ValueError, TypeError) as error:
        raise ThimbleError(f"{path} holds no test sentences: {error!r}", "see its README") from None
    if not home.exists():
        raise ThimbleError(f"{home} is missing", "it is the home in which the sentences are said")
    return sentences, home


def _answer(data: Mapping[str, Any]) -> StructuredAnswer:
    return StructuredAnswer(data["intent"], {key: _text(value) for key, value in data.get("slots", {}).items()})


def _text(value: object) -> str:
    if isinstance(value, list):
        return "|".join(map(_text, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def read_checkout(folder: Path, language: str) -> tuple[list[PeopleSentence], dict[str, Any]]:
    """The sentences of a checkout of home-assistant/intents, and the home of its fixtures.

    Args:
        folder: of the checkout.
        language: code of a folder in `tests`.

    Raises:
        ThimbleError: no such folder.
    """
    tests = folder / "tests" / language
    if not (tests / "_fixtures.yaml").exists():
        raise ThimbleError(
            f"{tests} has no tests", "name a checkout: git clone https://github.com/home-assistant/intents"
        )
    fixtures = yaml.safe_load((tests / "_fixtures.yaml").read_text(encoding="utf-8"))
    by_sentence: dict[str, list[StructuredAnswer]] = {}
    for path in sorted(tests.glob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        for block in data.get("tests") or () if not path.name.startswith("_") else ():
            intent = block["intent"]
            context = intent.get("context") or {}
            slots = {
                key: _text(value) for key, value in (intent.get("slots") or {}).items() if context.get(key) != value
            }
            for sentence in block["sentences"]:
                by_sentence.setdefault(str(sentence), []).append(StructuredAnswer(intent["name"], slots))
    return [PeopleSentence(text, tuple(accepted)) for text, accepted in by_sentence.items()], _home(fixtures)


def _home(fixtures: Mapping[str, Any]) -> dict[str, Any]:
    """The fixtures as `LANG.home.json` has them: names as a list, templates of names expanded."""

    def things(kind: str) -> list[dict[str, Any]]:
        return [
            {
                "id": str(thing["id"]),
                "names": _names(thing["name"]),
                **({"floor": thing["floor"]} if "floor" in thing else {}),
                **({"area": thing.get("area")} if kind == "entities" else {}),
                **({"device_class": (thing.get("attributes") or {}).get("device_class")} if kind == "entities" else {}),
            }
            for thing in fixtures.get(kind) or ()
        ]

    return {kind: things(kind) for kind in ("floors", "areas", "entities")}


def _names(name: str | Sequence[str]) -> list[str]:
    """All forms of a name, which may be a template of hassil."""
    from hassil.expression import Sentence
    from hassil.parse_expression import parse_sentence
    from hassil.sample import sample_expression

    forms: list[str] = []
    for text in [name] if isinstance(name, str) else name:
        sentence: Sentence = parse_sentence(text)
        forms += [" ".join(form.split()) for form in sample_expression(sentence.expression)]
    return list(dict.fromkeys(forms))
