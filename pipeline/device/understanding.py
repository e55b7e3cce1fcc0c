"""What a board says that a sentence asks for: the answer to the protocol's UNDERSTAND."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import DeviceError

__all__ = ["SLOT_TYPES", "Choice", "Slot", "Understanding", "parse_understanding"]

SLOT_TYPES = ("choice", "name", "text", "number", "percent", "degrees", "duration", "time", "date")
"""`thimble_slot_type` of thimble_answer.h."""


@dataclass(frozen=True)
class Slot:
    """A slot of an answer.

    Attributes:
        name: of the slot.
        type: one of `SLOT_TYPES`.
        value: its text.
        number: of a number, percent or degrees, to thousandths.
        seconds: of a duration, or since midnight of a time of day.
        entry: index of a closed value, or of a name in its layer.
        layer: index of a name's layer in the board's vocabulary.
        span: where the sentence says it, from and to which byte of its UTF-8; None: nowhere in particular.
    """

    name: str
    type: str
    value: str
    number: float | None = None
    seconds: int | None = None
    entry: int | None = None
    layer: int | None = None
    span: tuple[int, int] | None = None


@dataclass(frozen=True)
class Choice:
    """An answer that may be the one that is meant.

    Attributes:
        intent: `NoMatch` where it is to do nothing.
        slots: in the order of their names, each once.
        confidence: from 0 to 1.
        context: see `Understanding`.
    """

    intent: str
    slots: tuple[Slot, ...]
    confidence: float
    context: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """`Intent slot=value slot=value`."""
        return _text_of(self.intent, self.slots)


@dataclass(frozen=True)
class Understanding:
    """What a sentence asks for.

    Attributes:
        intent: `NoMatch` where nothing may be done.
        slots: in the order of their names, each once.
        reason: why nothing may be done, where that is known.
        confidence: from 0 to 1.
        tokens_in: of the prompt; 0 where the model was not asked.
        tokens_out: of the answer.
        ticks: of the board's counter, of the whole answer.
        choices: the two best answers, the more likely one first, where nothing may be done until the speaker has said
            which is meant; none where the model does not ask. The tokens are those of the first.
        context: what the answer needs to know of where it is said: "area", the room; an assistant in a room adds its
            own.
    """

    intent: str
    slots: tuple[Slot, ...]
    reason: str
    confidence: float
    tokens_in: int
    tokens_out: int
    ticks: int
    choices: tuple[Choice, ...] = ()
    context: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """`Intent slot=value slot=value`."""
        return _text_of(self.intent, self.slots)

    @property
    def values(self) -> dict[str, str]:
        """The slots' texts by name."""
        return {slot.name: slot.value for slot in self.slots}

    def as_json(self) -> str:
        """A line of JSON, what does not apply to a slot left out, and choices and context where there are none."""
        choices = [_as_json(choice, {}) for choice in self.choices]
        return json.dumps(_as_json(self, {"choices": choices}), ensure_ascii=False)


def parse_understanding(text: str) -> Understanding:
    """Reads the JSON of a board.

    Args:
        text: what stands behind OK.

    Raises:
        DeviceError: it is not what the protocol says.
    """
    try:
        data = json.loads(text)
        return Understanding(
            intent=_text(data["intent"]),
            slots=_slots(data["slots"]),
            reason=_text(data["reason"]),
            confidence=int(data["confidence"]) / 65536,
            tokens_in=int(data["tokens_in"]),
            tokens_out=int(data["tokens_out"]),
            ticks=int(data["ticks"]),
            choices=tuple(
                Choice(_text(one["intent"]), _slots(one["slots"]), int(one["confidence"]) / 65536, _context(one))
                for one in data.get("choices", ())
            ),
            context=_context(data),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise DeviceError("protocol", f"UNDERSTAND was answered with {text[:80]!r}: {error!r}") from None


def _text_of(intent: str, slots: Sequence[Slot]) -> str:
    return " ".join([intent, *(f"{slot.name}={slot.value}" for slot in slots)])


def _as_json(answer: Choice | Understanding, others: Mapping[str, object]) -> dict[str, object]:
    """The members of an answer, some of which are others here, without those that say nothing."""
    slots = [{key: value for key, value in asdict(slot).items() if value is not None} for slot in answer.slots]
    data = {**asdict(answer), "slots": slots, **others}
    return {key: value for key, value in data.items() if key not in ("choices", "context") or value}


def _context(data: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(map(_text, data.get("context", ())))


def _slots(data: Iterable[Mapping[str, Any]]) -> tuple[Slot, ...]:
    return tuple(map(_slot, data))


def _slot(data: Mapping[str, Any]) -> Slot:
    if data["type"] not in SLOT_TYPES:
        raise ValueError(f"no slot has the type {data['type']!r}")
    return Slot(
        name=_text(data["name"]),
        type=data["type"],
        value=_text(data["value"]),
        number=None if "number" not in data else float(data["number"]),
        seconds=None if "seconds" not in data else int(data["seconds"]),
        entry=None if "entry" not in data else int(data["entry"]),
        layer=None if "layer" not in data else int(data["layer"]),
        span=(int(data["from"]), int(data["to"])) if "from" in data else None,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
