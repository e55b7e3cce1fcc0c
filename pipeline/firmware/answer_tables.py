"""Answer tokens as C tables, for `firmware_templates/runtime/thimble_answer.c`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.firmware.c_arrays import EXTERNAL, Linkage, array
from pipeline.text.answers import DURATION_UNITS, AllowedValues, AnswerSchema, TokenIds

__all__ = ["answer_enums", "answer_lines", "max_slots", "write_answers"]

_MAX_IDS, _MAX_INDEX, _MAX_KINDS = 0x7FFF, 0xFFFF, 0x100
_MAX_POINTERS = 16
"""THIMBLE_MAX_MARKS of thimble_words.h."""
_MAX_SLOTS = 32  # of an intent, as bits of 32
_HEADER = """\
/* The answer tokens; generated. */
#ifndef ANSWER_TABLES_H
#define ANSWER_TABLES_H

#include "thimble_answer.h"
#include "answer_ids.h"

/* The most slots that a result can have. */
#define MODEL_ANSWER_SLOTS {slots}
{asks}
extern const thimble_answers thimble_model_answers;

#endif
"""
_ASKS = "/* Whether it may have two choices. */\n#define MODEL_ASKS 1\n"


def write_answers(schema: AnswerSchema, first: int, out: Path) -> None:
    """Writes `answer_tables.c`, `answer_tables.h` and `answer_ids.h`, the indices by name, into a folder.

    Args:
        schema: the answer tokens.
        first: id of the first of them.
        out: the folder.

    Raises:
        ThimbleError: there are more ids, kinds, names or bytes than the tables can hold.
    """
    lines = [
        "/* The answer tokens; generated. thimble_answer.h says what the tables are. */",
        '#include "answer_tables.h"',
        *(['#include "thimble_ask.h"'] if schema.asks else []),
        "",
        *answer_lines(schema, first, EXTERNAL),
    ]
    head = "/* What answers hold, by name; generated. */\n#ifndef ANSWER_IDS_H\n#define ANSWER_IDS_H\n\n"
    (out / "answer_tables.c").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out / "answer_ids.h").write_text(f"{head}{answer_enums(schema, 'MODEL')}\n#endif\n", encoding="ascii")
    (out / "answer_tables.h").write_text(
        _HEADER.format(slots=max_slots(schema), asks=_ASKS if schema.asks else ""), encoding="ascii"
    )


def answer_lines(schema: AnswerSchema, first: int, linkage: Linkage) -> list[str]:
    """The tables as C.

    Args:
        schema: the answer tokens.
        first: id of the first of them.
        linkage: of the tables.

    Raises:
        ThimbleError: as `write_answers`.
    """
    texts = [text.encode() for text in (*schema.intents, *schema.slots, *schema.values, *schema.kinds)]
    lists = _Lists()
    rows = [
        (slot, lists.add(allowed.kinds), lists.add(allowed.values), int(allowed.is_free), _expands(allowed))
        for intent in range(len(schema.intents))
        for slot, allowed in schema.allowed.get(intent, {}).items()
    ]
    if any(row[4] > 1 for row in rows):
        known = (schema.kinds[2], schema.kinds[3], schema.kinds[5])
        assert known == ("duration", "number", "time"), "thimble_answer.c knows them by their indices"
    counts = [len(schema.allowed.get(intent, {})) for intent in range(len(schema.intents))]
    sets = _Lists()
    set_starts = [sets.add(_slot_sets(schema, intent), 2) for intent in range(len(schema.intents))]
    room = schema.room
    rooms = {name: lists.add(sorted(getattr(room, name))) for name in ("always", "said", "places")}
    _check_sizes(schema, first, sum(map(len, texts)), len(lists.items))
    body = ",\n".join(f"    {{{', '.join(map(str, row))}}}" for row in rows or [(0, 0, 0, 0, 0)])
    members = {"lists": "answer_lists", "text_starts": "answer_text_starts", "text": "answer_text"}
    return [
        array("uint16_t", "intent_starts", accumulate(counts, initial=0)),
        f"static const thimble_allowed allowed[] = {{\n{body},\n}};\n",
        array("uint16_t", "set_starts", set_starts),
        array("uint32_t", "slot_sets", sets.items),
        array("uint16_t", "answer_lists", lists.items),
        array("uint16_t", "answer_text_starts", accumulate(map(len, texts), initial=0)),
        _text(texts),
        linkage.define("answers"),
        f"    .first = {first},",
        f"    .kind_count = {len(schema.kinds)},",
        f"    .pointer_count = {schema.pointers},",
        f"    .position_count = {schema.positions},",
        f"    .intent_count = {len(schema.intents)},",
        f"    .slot_count = {len(schema.slots)},",
        f"    .value_count = {len(schema.values)},",
        f"    .threshold = {schema.threshold},",
        *(["    .asking = &thimble_asks,"] if schema.asks else []),
        *(_room_lines(rooms, room.phrases) if room.always | room.said else []),
        *(f"    .{name} = {name}," for name in ("intent_starts", "allowed", "set_starts", "slot_sets")),
        *(f"    .{name} = {table}," for name, table in members.items()),
        "};",
    ]


def _room_lines(starts: Mapping[str, int], phrases: Sequence[str]) -> list[str]:
    """Members of the tables: which answers need the room where they are said."""
    data = b"".join(phrase.encode() + b"\0" for phrase in phrases)
    text = "".join(
        chr(byte) if byte == 32 or (byte < 128 and chr(byte).isalnum()) else f"\\{byte:03o}" for byte in data
    )
    return [
        *(f"    .room_{name} = {start}," for name, start in starts.items()),
        f'    .room_phrases = "{text}",',
    ]


def answer_enums(schema: AnswerSchema, prefix: str) -> str:
    """Enumerations of intents, slots and closed values, for programs that act on answers.

    Args:
        schema: the answer tokens.
        prefix: of all names, in capitals.
    """
    enums = {
        "INTENT": ("The intents; thimble_result.intent", schema.intents),
        "SLOT": ("The slots; thimble_slot.slot", schema.slots),
        "VALUE": ("The closed values; thimble_slot.entry of a THIMBLE_SLOT_CHOICE", schema.values),
    }
    parts = []
    for kind, (comment, texts) in enums.items():
        names = _identifiers(texts)
        lines = "".join(f"    {prefix}_{kind}_{name} = {index},\n" for index, name in enumerate(names))
        count = f"    {prefix}_NUM_{kind}S = {len(texts)},\n"
        parts.append(f"/* {comment}. */\nenum {{\n{lines}{count}}};\n")
    return "\n".join(parts)


def _identifiers(texts: Sequence[str]) -> list[str]:
    """Names in capitals, such as HASS_TURN_ON; of those that would be the same the later ones get a number."""
    names: list[str] = []
    for text in texts:
        plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", plain).strip("_").upper() or "OTHER"
        name, number = words, 2
        while name in names:
            name, number = f"{words}_{number}", number + 1
        names.append(name)
    return names


class _Lists:
    """Lists one behind the other, each its length first; equal ones are there once."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self._starts: dict[tuple[int, ...], int] = {}

    def add(self, values: Sequence[int], width: int = 1) -> int:
        """Where the list begins; its length is that of groups of `width` values."""
        key = tuple(values)
        if key not in self._starts:
            self._starts[key] = len(self.items)
            self.items += [len(key) // width, *key]
        return self._starts[key]


def _slot_sets(schema: AnswerSchema, intent: int) -> list[int]:
    """Pairs of bits: which slots the answers with an intent have, and which they may have; bit i is its slot i."""
    slots = list(schema.allowed.get(intent, {}))
    sets = schema.slot_sets.get(intent, ())
    if len(slots) > _MAX_SLOTS and sets:
        raise ThimbleError(
            f"{schema.intents[intent]} has {len(slots)} slots", f"use at most {_MAX_SLOTS}, or make it several intents"
        )
    parts = (part for one in sets for part in (one.required, one.possible))
    return [sum(1 << slots.index(slot) for slot in part) for part in parts]


def _expands(allowed: AllowedValues) -> int:
    """`thimble_allowed.expands`: 1, 2 and 3 are THIMBLE_FILLS_UNITS, THIMBLE_TAKES_HOURS and THIMBLE_TAKES_UNIT."""
    if allowed.fills_units:
        return 1
    if allowed.unit:
        return 3 + DURATION_UNITS.index(allowed.unit)
    return 2 if allowed.takes_hours else 0


def _check_sizes(schema: AnswerSchema, first: int, text_bytes: int, list_items: int) -> None:
    if schema.pointers > _MAX_POINTERS:
        raise ThimbleError(
            f"`pointers` is {schema.pointers}", f"use at most {_MAX_POINTERS}, the marks that the device keeps"
        )
    end = TokenIds(schema, first).end
    if end > _MAX_IDS or text_bytes > _MAX_INDEX or list_items > _MAX_INDEX or len(schema.kinds) > _MAX_KINDS:
        raise ThimbleError(
            f"the answer tokens are too many for the device's tables: {end} ids, {len(schema.kinds)} kinds of names, "
            f"{text_bytes} bytes of names and values, {list_items} entries in lists",
            f"use at most {_MAX_IDS} ids, {_MAX_KINDS} kinds, {_MAX_INDEX} bytes and {_MAX_INDEX} entries: give long "
            "lists names (`open: true`) instead of closed values",
        )


def max_slots(schema: AnswerSchema) -> int:
    """The most slots of a result, with those that a duration fills: of both answers where the model asks."""

    def names(slots: dict[int, AllowedValues]) -> int:
        found = {schema.slots[slot] for slot, allowed in slots.items() if not allowed.fills_units}
        for slot, allowed in slots.items():
            if allowed.fills_units:
                found |= {schema.slots[slot].removesuffix("duration") + unit for unit in DURATION_UNITS}
        return len(found)

    return (1 + schema.asks) * max(1, *(names(dict(slots)) for slots in schema.allowed.values()), 0)


def _text(texts: Sequence[bytes]) -> str:
    """The texts' bytes, each with the text beside it where that is plain."""
    rows = []
    for data in texts:
        text = data.decode()
        plain = text.isascii() and text.isprintable() and "*/" not in text and "/*" not in text
        rows.append("    " + "".join(f"{byte}, " for byte in data) + (f"/* {text} */" if plain else ""))
    return "static const uint8_t answer_text[] = {\n" + "\n".join(rows or ["    0,"]) + "\n    0,\n};\n"
