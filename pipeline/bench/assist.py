"""Commands in homes that others have described: whether the answer changes exactly the entities that should change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ThimbleError
from pipeline.tasks.home_assistant.resolve import resolve
from pipeline.tasks.home_file import Home, load_home
from pipeline.text.answers import NO_MATCH, StructuredAnswer

__all__ = ["AssistSentence", "by_home", "read_assist"]

_SAME_VALUE = {"volume_level": "volume_level", "position": "position", "brightness": "brightness"}
_ON = {"HassTurnOn": "on", "HassOpenCover": "on", "HassTurnOff": "off", "HassCloseCover": "off"}


@dataclass(frozen=True)
class AssistSentence:
    """A command and what it must change.

    Attributes:
        sentence: as it is said.
        home: the file of the home.
        speaker_area: area of the device that hears it; empty where there is none.
        changes: the intents by entity id, each with its numbers; none: nothing may change.
        kind: "one intent", "several entities" or "no change expected".
    """

    sentence: str
    home: Path
    speaker_area: str
    changes: Mapping[str, tuple[str, Mapping[str, str]]]
    kind: str

    def verdict(self, answer: StructuredAnswer, home: Home) -> str:
        """Whether the answer is right, does nothing, or is wrong."""
        entities = {entity.id for entity in resolve(answer, home, self.speaker_area)}
        if answer.intent == NO_MATCH or not entities:
            return "nothing" if self.changes else "right"
        if entities != set(self.changes):
            return "wrong"
        for intent, numbers in self.changes.values():
            said = _as_expected(answer)
            if said[0] != intent or any(said[1].get(key) != value for key, value in numbers.items()):
                return "wrong"
        return "right"


def _as_expected(answer: StructuredAnswer) -> tuple[str, Mapping[str, str]]:
    """Intents that do the same as others: muting is a volume of 0, the shopping list is a list."""
    if answer.intent == "HassMediaPlayerMute":
        return "HassSetVolume", {"volume_level": "0"}
    if answer.intent == "HassShoppingListAddItem":
        return "HassListAddItem", answer.slots
    if answer.intent == "HassVacuumCleanArea":
        return "HassVacuumStart", answer.slots
    return answer.intent, answer.slots


def read_assist(folder: Path) -> list[AssistSentence]:
    """The sentences of `assist.jsonl` and their homes.

    Raises:
        ThimbleError: no such files, or damaged ones.
    """
    path = folder / "assist.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [_sentence(row, folder) for row in rows]
    except OSError as error:
        raise ThimbleError(f"cannot read {path}: {error.strerror}", "name a folder with assist.jsonl") from None
    except (KeyError, ValueError, TypeError) as error:
        raise ThimbleError(f"{path} holds no commands: {error!r}", "see its README") from None


def _sentence(row: Mapping[str, Any], folder: Path) -> AssistSentence:
    home = folder / "homes" / f"{row['home']}.yaml"
    changes = {
        change["entity"]: (
            change["intent"],
            {key: str(value) for key, value in change["slots"].items() if key in _SAME_VALUE},
        )
        for change in row["mapped"]
    }
    return AssistSentence(row["sentence"], home, _area_of(home, row.get("context_device")), changes, row["kind"])


def _area_of(home: Path, device: str | None) -> str:
    """Name of the area in which a device stands."""
    if not device:
        return ""
    data = yaml.safe_load(home.read_text(encoding="utf-8"))
    areas = {area["id"]: area["name"] for area in data["areas"]}
    return next((areas.get(entry.get("area"), "") for entry in data["devices"] if entry["id"] == device), "")


def by_home(sentences: Iterable[AssistSentence]) -> list[tuple[Path, Home, list[AssistSentence]]]:
    """The file of each home, the home, and its sentences."""
    said: dict[Path, list[AssistSentence]] = {}
    for sentence in sentences:
        said.setdefault(sentence.home, []).append(sentence)
    return [(path, load_home(path), group) for path, group in said.items()]
