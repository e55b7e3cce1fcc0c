"""Answers in answer tokens: which tokens there are, which may follow, and what they say.

A prompt is the words of a sentence with a marker token before each known name and instead of each quantity. An answer
is an intent, then slots in sorted order, each with a value: a pointer at a mark of the prompt, a value of a closed
list, or two positions in the prompt, between which free text stands. `firmware_templates/runtime/thimble_answer.c` is
its twin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from pipeline.errors import ThimbleError
from pipeline.files import read_json
from pipeline.text.annotation import Annotated, Mark

__all__ = [
    "DURATION_UNITS",
    "MAX_WORDS",
    "MAX_WORDS_BYTES",
    "NO_MATCH",
    "AllowedValues",
    "AnswerSchema",
    "RoomContext",
    "SlotSet",
    "StructuredAnswer",
    "StructuredPrompt",
    "TokenIds",
    "parse_answer",
]

NO_MATCH = "NoMatch"
"""The intent of a sentence on which nothing may be done."""
MAX_WORDS, MAX_WORDS_BYTES = 64, 640
"""Of a sentence that the device keeps: THIMBLE_MAX_WORDS and THIMBLE_MAX_WORDS_BYTES of thimble_words.h."""
DURATION_UNITS = ("weeks", "days", "hours", "minutes", "seconds")
"""Units that a duration fills: slots of these names, or with one prefix before all of them (`start_minutes`)."""

_FORMAT = 1
_DURATION, _TIME, _NUMBER = "duration", "time", "number"
_HOUR = re.compile(r"1?\d|2[0-4]")
_TIME_PARTS = {"hours": slice(0, 2), "minutes": slice(3, 5)}


@dataclass(frozen=True)
class AllowedValues:
    """What a slot of an intent may hold.

    Attributes:
        kinds: indices of the markers at which it may point, ascending.
        values: indices of the closed values that it may hold, ascending.
        is_free: whether it may hold any words of the sentence.
        fills_units: whether it stands for unit slots that a duration fills; the slot's name is then their prefix and
            `duration`.
        takes_hours: whether it holds a time of day, where a whole number from 0 to 24 is a full hour ("at seven"); not
            where it has a `unit`.
        unit: one of `DURATION_UNITS` of which it holds the number where it points at a duration, or the hours or
            minutes of a time; empty for whole values.
    """

    kinds: tuple[int, ...] = ()
    values: tuple[int, ...] = ()
    is_free: bool = False
    fills_units: bool = False
    takes_hours: bool = False
    unit: str = ""

    def value_of(self, mark: Mark) -> str:
        """What the slot holds when it points at a mark."""
        if not self.unit:
            is_hour = self.takes_hours and mark.kind == _NUMBER and _HOUR.fullmatch(mark.value)
            return f"{int(mark.value):02d}:00" if is_hour else mark.value
        if mark.kind == _DURATION:
            return dict(mark.parts).get(self.unit, "0")
        if mark.kind == _TIME and self.unit in _TIME_PARTS:
            return str(int(mark.value[_TIME_PARTS[self.unit]]))
        return mark.value


@dataclass(frozen=True)
class SlotSet:
    """Sets of slots that an answer may have: all with `required`, and with no others than `possible`.

    Attributes:
        required: indices of slots.
        possible: indices of slots, the required ones among them.
    """

    required: frozenset[int]
    possible: frozenset[int]


@dataclass(frozen=True)
class RoomContext:
    """Which answers need the room where they are said.

    Attributes:
        always: indices of the intents that do, unless they have one of `places`.
        said: of those that do where, besides, the sentence says one of `phrases`.
        places: indices of the slots that say where, or which thing.
        phrases: what means the room where it is said, such as "this room", in normalized words.
    """

    always: frozenset[int] = frozenset()
    said: frozenset[int] = frozenset()
    places: frozenset[int] = frozenset()
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnswerSchema:
    """The answer tokens of a model, and which answers there are.

    Attributes:
        kinds: markers in the order of their ids.
        quantities: the kinds among them whose words a prompt leaves out.
        pointers: marks that an answer can point at; a sentence with more is not answered.
        positions: prompt positions that have a token; 0 where no slot holds free text.
        intents: names, `NO_MATCH` the first.
        slots: names, ascending.
        values: texts of closed values.
        allowed: by intent and slot, both as indices, what the slot may hold; slots ascending.
        threshold: confidence below which an answer is `NO_MATCH`, in 1/65536.
        slot_sets: by intent, as its index, the sets of slots that its answers may have; any where there are none.
        asks: whether the two best answers are given where the confidence is below the threshold.
        room: which answers need the room where they are said.
    """

    kinds: tuple[str, ...]
    quantities: frozenset[str]
    pointers: int
    positions: int
    intents: tuple[str, ...]
    slots: tuple[str, ...]
    values: tuple[str, ...]
    allowed: Mapping[int, Mapping[int, AllowedValues]]
    threshold: int = 0
    slot_sets: Mapping[int, Sequence[SlotSet]] = field(default_factory=dict)
    asks: bool = False
    room: RoomContext = RoomContext()

    @property
    def num_tokens(self) -> int:
        """Answer tokens in all."""
        return len(self.kinds) + self.pointers + self.positions + len(self.intents) + len(self.slots) + len(self.values)

    def save(self, path: Path) -> None:
        """Writes the file that `load` reads."""
        data = {
            "format": _FORMAT,
            "kinds": list(self.kinds),
            "quantities": sorted(self.quantities),
            "pointers": self.pointers,
            "positions": self.positions,
            "intents": list(self.intents),
            "slots": list(self.slots),
            "values": list(self.values),
            "allowed": {
                self.intents[intent]: {
                    self.slots[slot]: {
                        "kinds": [self.kinds[kind] for kind in allowed.kinds],
                        "values": [self.values[value] for value in allowed.values],
                        **({"free": True} if allowed.is_free else {}),
                        **({"units": True} if allowed.fills_units else {}),
                        **({"hours": True} if allowed.takes_hours else {}),
                        **({"unit": allowed.unit} if allowed.unit else {}),
                    }
                    for slot, allowed in slots.items()
                }
                for intent, slots in self.allowed.items()
            },
            "slot_sets": {
                self.intents[intent]: [
                    {
                        "required": [self.slots[slot] for slot in sorted(one.required)],
                        "without": [self.slots[slot] for slot in self.allowed[intent] if slot not in one.possible],
                    }
                    for one in sets
                ]
                for intent, sets in self.slot_sets.items()
                if sets
            },
            "threshold": self.threshold,
            **({"asks": True} if self.asks else {}),
            **({"room": self._room()} if self.room != RoomContext() else {}),
        }
        path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def _room(self) -> dict[str, list[str]]:
        room = self.room
        return {
            "always": [self.intents[intent] for intent in sorted(room.always)],
            "said": [self.intents[intent] for intent in sorted(room.said)],
            "places": [self.slots[slot] for slot in sorted(room.places)],
            "phrases": list(room.phrases),
        }

    @classmethod
    def load(cls, path: Path) -> AnswerSchema:
        """Reads a file of `save`.

        Raises:
            ThimbleError: no such file, or a damaged one.
        """
        remedy = "run the `data` stage with --force"
        try:
            data = read_json(path, remedy)
            if data["format"] != _FORMAT:
                raise ThimbleError(f"{path} has format {data['format']}, not {_FORMAT}", remedy)
            return cls._of(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ThimbleError(f"{path} describes no answers: {error!r}", remedy) from None

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> AnswerSchema:
        kinds, intents, slots, values = (tuple(map(str, data[key])) for key in ("kinds", "intents", "slots", "values"))
        kind_ids, slot_ids, value_ids = (
            {name: index for index, name in enumerate(names)} for names in (kinds, slots, values)
        )
        intent_ids = {name: index for index, name in enumerate(intents)}
        allowed = {
            intent_ids[intent]: {
                slot_ids[slot]: AllowedValues(
                    tuple(sorted(kind_ids[kind] for kind in entry["kinds"])),
                    tuple(sorted(value_ids[value] for value in entry["values"])),
                    bool(entry.get("free", False)),
                    bool(entry.get("units", False)),
                    bool(entry.get("hours", False)),
                    str(entry.get("unit", "")),
                )
                for slot, entry in sorted(by_slot.items())
            }
            for intent, by_slot in data["allowed"].items()
        }
        return cls(
            kinds,
            frozenset(map(str, data["quantities"])),
            int(data["pointers"]),
            int(data["positions"]),
            intents,
            slots,
            values,
            allowed,
            int(data["threshold"]),
            {
                intent_ids[intent]: tuple(
                    SlotSet(
                        frozenset(slot_ids[slot] for slot in one["required"]),
                        frozenset(allowed[intent_ids[intent]].keys() - {slot_ids[slot] for slot in one["without"]}),
                    )
                    for one in sets
                )
                for intent, sets in data.get("slot_sets", {}).items()
            },
            bool(data.get("asks", False)),
            _room_of(data.get("room", {}), intent_ids, slot_ids),
        )


@dataclass(frozen=True)
class TokenIds:
    """The ids of answer tokens, which follow the ids of the text's pieces.

    Attributes:
        schema: the answer tokens.
        first: the first id.
    """

    schema: AnswerSchema
    first: int

    @cached_property
    def pointer(self) -> int:
        """Of the pointer at the first mark; markers stand before it."""
        return self.first + len(self.schema.kinds)

    @cached_property
    def position(self) -> int:
        """Of position 0."""
        return self.pointer + self.schema.pointers

    @cached_property
    def intent(self) -> int:
        """Of `NO_MATCH`."""
        return self.position + self.schema.positions

    @cached_property
    def slot(self) -> int:
        """Of the first slot."""
        return self.intent + len(self.schema.intents)

    @cached_property
    def value(self) -> int:
        """Of the first closed value."""
        return self.slot + len(self.schema.slots)

    @cached_property
    def end(self) -> int:
        """Behind the last."""
        return self.value + len(self.schema.values)

    @cached_property
    def names(self) -> list[str]:
        """The tokens as text, in the order of their ids, for reports."""
        schema = self.schema
        return [
            *(f"<{kind}>" for kind in schema.kinds),
            *(f"<{number + 1}>" for number in range(schema.pointers)),
            *(f"<@{position}>" for position in range(schema.positions)),
            *schema.intents,
            *(f"{slot}=" for slot in schema.slots),
            *schema.values,
        ]


@dataclass(frozen=True)
class StructuredAnswer:
    """What a sentence asks for.

    Attributes:
        intent: `NO_MATCH` where nothing may be done.
        slots: canonical values by slot.
        confidence: from 0 to 1.
        reason: why nothing may be done, where that is known: one of `StructuredPrompt.refusal`, "low-confidence",
            "unfinished", or what the model says.
        choices: the two best answers, the more likely one first, of which the speaker may be asked which is meant; none
            where the model does not ask.
        context: what it needs to know of where it is said: "area", the room.
    """

    intent: str
    slots: Mapping[str, str] = field(default_factory=dict)
    confidence: float = 1.0
    reason: str = ""
    choices: tuple[StructuredAnswer, ...] = ()
    context: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """`Intent slot=value slot=value`, slots in sorted order."""
        return self.intent + "".join(f" {slot}={value}" for slot, value in sorted(self.slots.items()))


def parse_answer(text: str, slots: Sequence[str]) -> StructuredAnswer:
    """An answer from its text; values may hold spaces.

    Args:
        text: as `StructuredAnswer.text` writes it.
        slots: names that a slot may have; ` name=` with another name is part of a value.
    """
    intent, _, rest = text.partition(" ")
    values: dict[str, str] = {}
    last = ""
    for word in rest.split(" ") if rest else []:
        name, equals, value = word.partition("=")
        if equals and name in slots:
            last = name
            values[name] = value
        elif last:
            values[last] += f" {word}"
    return StructuredAnswer(intent, values)


class StructuredPrompt:
    """A sentence as the model sees it, and what may follow.

    Args:
        annotated: the sentence.
        ids: answer tokens.
        encode_word: the ids of a word with a space before it.
        bos: id that begins a prompt.
        sep: id that ends it.
        eos: id that ends an answer.

    Attributes:
        tokens: ids of the prompt.
        word_at: index of the word to which each position of the prompt belongs; −1 for `bos`, `sep` and names' markers.
        start_of: the first position of each word; a quantity's words have that of its marker.
    """

    def __init__(
        self,
        annotated: Annotated,
        ids: TokenIds,
        encode_word: Callable[[str], Sequence[int]],
        bos: int,
        sep: int,
        eos: int,
    ) -> None:
        self.annotated, self._ids, self._eos = annotated, ids, eos
        kind_ids = _kind_ids(ids)
        tokens, word_at = [bos], [-1]
        start_of: list[int] = [0] * len(annotated.words)
        by_first = {mark.first: mark for mark in annotated.marks}
        index = 0
        while index < len(annotated.words):
            mark = by_first.get(index)
            if mark is not None:
                if mark.is_quantity:
                    start_of[mark.first : mark.end] = [len(tokens)] * (mark.end - mark.first)
                    word_at.append(mark.first)
                    tokens.append(kind_ids[mark.kind])
                    index = mark.end
                    continue
                tokens.append(kind_ids[mark.kind])
                word_at.append(-1)
            start_of[index] = len(tokens)
            pieces = encode_word(annotated.words[index].text)
            tokens += pieces
            word_at += [index] * len(pieces)
            index += 1
        tokens.append(sep)
        word_at.append(-1)
        self.tokens, self.word_at, self.start_of = tokens, word_at, start_of
        self._with_values: dict[int, list[int]] = {}  # by intent

    @property
    def has_too_many_names(self) -> bool:
        """Whether there are marks that no pointer reaches."""
        return len(self.annotated.marks) > self._ids.schema.pointers

    def refusal(self, context: int) -> str:
        """Why the model is not asked: "too-many-words", "too-many-names" or "too-long"; empty where it is.

        Args:
            context: tokens that the model sees.
        """
        words = self.annotated.words
        num_bytes = sum(len(word.text.encode()) + 1 for word in words) - 1
        if len(words) > MAX_WORDS or num_bytes > MAX_WORDS_BYTES:
            return "too-many-words"
        if self.has_too_many_names:
            return "too-many-names"
        return "too-long" if len(self.tokens) > context else ""

    def encode(self, intent: str, slots: Mapping[str, str], normalize: Callable[[str], Sequence[str]]) -> list[int]:
        """The ids of an answer, `eos` last.

        Args:
            intent: its name.
            slots: canonical values by slot.
            normalize: the words of a text, as a sentence's words are made.

        Raises:
            ValueError: a slot's value is no mark of the sentence, no closed value and no words of the sentence.
        """
        ids, schema = self._ids, self._ids.schema
        intent_index = schema.intents.index(intent)
        allowed_slots = schema.allowed.get(intent_index, {})
        left = dict(slots)
        written: list[tuple[int, list[int]]] = []
        for slot_index, allowed in allowed_slots.items():
            if allowed.fills_units:
                prefix = schema.slots[slot_index].removesuffix(_DURATION)
                filled = {name: left[name] for unit in DURATION_UNITS if (name := prefix + unit) in left}
                number = self._mark_of(allowed, partial(_fills, filled, prefix)) if filled else -1
                if number >= 0:
                    written.append((slot_index, [ids.pointer + number]))
                    for name in filled:
                        del left[name]
        for slot, value in left.items():
            slot_index = schema.slots.index(slot)
            if slot_index not in allowed_slots:
                raise ValueError(f"{intent} has no slot {slot}")
            written.append((slot_index, self._value(allowed_slots[slot_index], slot, value, normalize)))
        answer = [ids.intent + intent_index]
        for slot_index, tokens in sorted(written):
            answer += [ids.slot + slot_index, *tokens]
        return [*answer, self._eos]

    def _value(
        self, allowed: AllowedValues, slot: str, value: str, normalize: Callable[[str], Sequence[str]]
    ) -> list[int]:
        ids = self._ids
        number = self._mark_of(allowed, lambda mark: allowed.value_of(mark) == value)
        if number >= 0:
            return [ids.pointer + number]
        for index in allowed.values:
            if ids.schema.values[index] == value:
                return [ids.value + index]
        if allowed.is_free:
            words = list(normalize(value))
            said = [word.text for word in self.annotated.words]
            for first in range(len(said) - len(words) + 1):
                if words and said[first : first + len(words)] == words:
                    between = (self.start_of[first], self.start_of[first + len(words) - 1])
                    if between[1] < ids.schema.positions:
                        return [ids.position + position for position in between]
        raise ValueError(f"{slot}={value} is neither a mark nor a value nor words of the sentence")

    def _mark_of(self, allowed: AllowedValues, fits: Callable[[Mark], bool]) -> int:
        kinds = {self._ids.schema.kinds[kind] for kind in allowed.kinds}
        for number, mark in enumerate(self.annotated.marks[: self._ids.schema.pointers]):
            if mark.kind in kinds and fits(mark):
                return number
        return -1

    def allowed(self, answer: Sequence[int]) -> list[int]:
        """The ids that may follow the answer so far, ascending; at least one.

        Args:
            answer: ids behind the prompt, each allowed after those before it, `eos` not among them.
        """
        ids, schema = self._ids, self._ids.schema
        if not answer:
            return [ids.intent + intent for intent in range(len(schema.intents)) if self._can_be_whole(intent)]
        intent = answer[0] - ids.intent
        slots = schema.allowed.get(intent, {})
        last_slot = max((index for index, token in enumerate(answer) if ids.slot <= token < ids.value), default=-1)
        if last_slot >= 0:
            slot, value = answer[last_slot] - ids.slot, answer[last_slot + 1 :]
            if not value:
                return self._values(slots[slot])
            if len(value) == 1 and ids.position <= value[0] < ids.intent:
                return [token for token in self._positions() if token >= value[0]]
        said = frozenset(token - ids.slot for token in answer if ids.slot <= token < ids.value)
        after = max(said, default=-1)
        following = [
            slot for slot in self._holding(intent) if slot > after and self._can_be_whole(intent, said | {slot})
        ]
        sets = schema.slot_sets.get(intent)
        may_end = not sets or any(one.required <= said <= one.possible for one in sets)
        return [*([self._eos] if may_end else ()), *(ids.slot + slot for slot in following)]

    def _can_be_whole(self, intent: int, said: frozenset[int] = frozenset()) -> bool:
        """Whether an answer with these slots so far, in ascending order, may have those that it needs besides."""
        sets = self._ids.schema.slot_sets.get(intent)
        if not sets:
            return True
        after = max(said, default=-1)
        left = said.union(slot for slot in self._holding(intent) if slot > after)
        return any(said <= one.possible and one.required <= left for one in sets)

    def _holding(self, intent: int) -> list[int]:
        """Slots of an intent for which this sentence has a value."""
        if intent not in self._with_values:
            slots = self._ids.schema.allowed.get(intent, {})
            self._with_values[intent] = [slot for slot, allowed in slots.items() if self._values(allowed)]
        return self._with_values[intent]

    def _values(self, allowed: AllowedValues) -> list[int]:
        ids, schema = self._ids, self._ids.schema
        kinds = {schema.kinds[kind] for kind in allowed.kinds}
        marks = self.annotated.marks[: schema.pointers]
        pointers = [ids.pointer + number for number, mark in enumerate(marks) if mark.kind in kinds]
        positions = self._positions() if allowed.is_free else []
        return [*pointers, *positions, *(ids.value + value for value in allowed.values)]

    def _positions(self) -> list[int]:
        """Tokens of the positions at which a word begins, or a quantity stands."""
        limit = self._ids.schema.positions
        return [self._ids.position + start for start in sorted(set(self.start_of)) if start < limit]

    def asks(self, confidence: int) -> bool:
        """Whether the second best answer is to be found too, where the best one has a confidence, in 1/65536."""
        return self._ids.schema.asks and confidence < self._ids.schema.threshold

    def answer(self, tokens: Sequence[int], confidence: int = 65536) -> StructuredAnswer:
        """What an answer says: nothing may be done where it was cut off before its end.

        Args:
            tokens: its ids, each allowed after those before it; `eos` is the last of a whole answer.
            confidence: of the answer, in 1/65536.
        """
        ids, schema = self._ids, self._ids.schema
        if not tokens or tokens[-1] != self._eos:
            return StructuredAnswer(NO_MATCH, {}, confidence / 65536, "unfinished")
        if confidence < schema.threshold:
            return StructuredAnswer(NO_MATCH, {}, confidence / 65536, "low-confidence")
        intent = tokens[0] - ids.intent
        slots: dict[str, str] = {}
        slot, start = -1, -1
        for token in tokens[1:]:
            if ids.slot <= token < ids.value:
                slot, start = token - ids.slot, -1
            elif ids.value <= token < ids.end:
                slots[schema.slots[slot]] = schema.values[token - ids.value]
            elif ids.pointer <= token < ids.position:
                mark = self.annotated.marks[token - ids.pointer]
                name, allowed = schema.slots[slot], schema.allowed[intent][slot]
                if allowed.fills_units:
                    slots.update(_filled(mark, name.removesuffix(_DURATION)))
                else:
                    slots[name] = allowed.value_of(mark)
            elif ids.position <= token < ids.intent:
                if start < 0:
                    start = token - ids.position
                else:
                    slots[schema.slots[slot]] = self._said(start, token - ids.position)
        name = schema.intents[intent]
        reason = slots.get("reason", "") if name == NO_MATCH else ""
        said = frozenset(token - ids.slot for token in tokens if ids.slot <= token < ids.value)
        return StructuredAnswer(name, slots, confidence / 65536, reason, context=self._context(intent, said))

    def _context(self, intent: int, said: frozenset[int]) -> tuple[str, ...]:
        """What an answer with these slots needs to know of where it is said."""
        room = self._ids.schema.room
        if said & room.places or intent not in room.always | room.said:
            return ()
        text = f" {' '.join(word.text for word in self.annotated.words)} "
        return ("area",) if intent in room.always or any(f" {phrase} " in text for phrase in room.phrases) else ()

    def _said(self, first: int, last: int) -> str:
        """The original text from the word at one position to the word at another."""
        last_word = self.word_at[last]
        for mark in self.annotated.marks:
            if mark.is_quantity and mark.first == last_word:
                last_word = mark.end - 1
        words = self.annotated.words
        original = self.annotated.text.encode()
        return original[words[self.word_at[first]].start : words[last_word].end].decode("utf-8", "replace")


def _room_of(data: Mapping[str, Sequence[str]], intents: Mapping[str, int], slots: Mapping[str, int]) -> RoomContext:
    return RoomContext(
        frozenset(intents[intent] for intent in data.get("always", ())),
        frozenset(intents[intent] for intent in data.get("said", ())),
        frozenset(slots[slot] for slot in data.get("places", ())),
        tuple(map(str, data.get("phrases", ()))),
    )


def _kind_ids(ids: TokenIds) -> dict[str, int]:
    return {kind: ids.first + index for index, kind in enumerate(ids.schema.kinds)}


def _fills(slots: Mapping[str, str], prefix: str, mark: Mark) -> bool:
    return _filled(mark, prefix) == slots


def _filled(mark: Mark, prefix: str) -> dict[str, str]:
    return {prefix + unit: value for unit, value in mark.parts}
