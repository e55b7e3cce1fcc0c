"""The tables of a language's quantities as C, for `firmware_templates/runtime/thimble_quantities.c`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.firmware.c_arrays import EXTERNAL, Linkage, array
from pipeline.text.quantities import LIMITED_ITEMS, Class, QuantityPattern, QuantityTables

__all__ = ["quantity_lines", "quantity_table_bytes", "write_quantities"]

_HEADER = """\
/* The tables of quantities; generated. */
#ifndef QUANTITY_TABLES_H
#define QUANTITY_TABLES_H

#include "thimble_quantities.h"

extern const thimble_quantities thimble_model_quantities;

#endif
"""
_GLUED = _OPTIONAL = _LAST_CLASS = 0x80
_BLOCK = 8
"""THIMBLE_MORPHEME_BLOCK of thimble_quantities.h."""
_MAX_BYTES = 0xFFFE
"""Places behind it mean that a word is no morpheme."""
_NOT_BEFORE, _NOT_AFTER, _BACKWARDS = 0x10, 0x20, 0x40


def write_quantities(tables: QuantityTables, out: Path) -> None:
    """Writes `quantity_tables.c` and `quantity_tables.h` into the folder `out`.

    Raises:
        ThimbleError: a value does not fit into its byte.
    """
    lines = [
        "/* The tables of quantities; generated. thimble_quantities.h says what they are. */",
        '#include "quantity_tables.h"',
        "",
        *quantity_lines(tables, EXTERNAL),
    ]
    (out / "quantity_tables.c").write_text("\n".join(lines) + "\n", encoding="ascii")
    (out / "quantity_tables.h").write_text(_HEADER, encoding="ascii")


def quantity_lines(tables: QuantityTables, linkage: Linkage) -> list[str]:
    """The tables as C.

    Raises:
        ThimbleError: as `write_quantities`.
    """
    entries = _entries(tables)
    *begins, num_bytes = accumulate(map(len, entries), initial=0)
    starts = begins[::_BLOCK]
    try:
        patterns = [_pattern(pattern) for pattern in tables.patterns]
        fractions = [bytes(fraction) for fraction in tables.fractions]
        day_parts = [bytes(part) for part in tables.day_parts]
    except ValueError as error:
        raise ThimbleError(
            f"a value of the quantities does not fit into a byte: {error}", "make the language file smaller"
        ) from error
    if num_bytes > _MAX_BYTES or not patterns:
        raise ThimbleError(
            f"the quantities have {num_bytes} bytes of morphemes and {len(patterns)} patterns",
            f"use at most {_MAX_BYTES} bytes and one pattern or more",
        )
    in_words = (
        len(text.encode())
        for text, entry, senses in zip(tables.morphemes, entries, tables.senses, strict=True)
        if entry[0] & _GLUED or any(kind == Class.ABBREVIATION for kind, _ in senses)
    )
    return [
        array("uint16_t", "starts", starts),
        _rows("morphemes", entries, tables.morphemes),
        _rows("patterns", patterns),
        _pairs("fractions", fractions),
        _pairs("day_parts", day_parts),
        "static const char *const dates[] = {",
        *(f'    "{date}",' for date in tables.dates or [""]),
        "};",
        "",
        linkage.define("quantities"),
        f"    .morpheme_bytes = {num_bytes},",
        f"    .block_count = {len(starts)},",
        f"    .pattern_count = {len(patterns)},",
        f"    .longest = {max(in_words, default=0)},",
        f"    .decimal = {ord(tables.decimal)},",
        f"    .number_style = {tables.number_style},",
        *(f"    .{name} = {name}," for name in ("starts", "morphemes", "patterns", "fractions", "day_parts", "dates")),
        "};",
    ]


def quantity_table_bytes(tables: QuantityTables) -> int:
    """Bytes of the tables in flash on a 32-bit core."""
    entries = _entries(tables)
    return (
        2 * -(-len(entries) // _BLOCK)
        + sum(map(len, entries))
        + sum(len(_pattern(pattern)) for pattern in tables.patterns)
        + 2 * (len(tables.fractions) + len(tables.day_parts))
        + sum(4 + len(date) + 1 for date in tables.dates)
    )


def _entries(tables: QuantityTables) -> list[bytes]:
    """For each morpheme its length and whether it stands with others in one word, its text, its senses, the last of
    which is marked."""
    entries = []
    for text, senses in zip(tables.morphemes, tables.senses, strict=True):
        data = text.encode()
        glued = not tables.glued.isdisjoint(kind for kind, _ in senses)
        if len(data) > 0x7F:
            raise ThimbleError(f"the word {text!r} has {len(data)} bytes", "use words of at most 127 bytes")
        *before, last = map(_sense, senses)
        classes = b"".join((*before, bytes([last[0] | _LAST_CLASS]), last[1:]))
        entries.append(bytes([len(data) | glued * _GLUED]) + data + classes)
    return entries


def _sense(sense: tuple[int, int]) -> bytes:
    """A class and its value, which literal words do not have."""
    kind, value = sense
    if kind >= _LAST_CLASS:
        raise ThimbleError(f"the quantities' patterns have {kind} classes of words", "use fewer literal words")
    return bytes([kind]) if kind >= Class.LITERAL else bytes([kind, value])


def _pattern(pattern: QuantityPattern) -> bytes:
    items = bytearray()
    for item in pattern.items:
        if item.type >= _OPTIONAL:
            raise ValueError(f"class {item.type}")
        items.append(item.type | item.optional * _OPTIONAL)
        if item.type in LIMITED_ITEMS:
            items += bytes([item.minimum, item.maximum, item.multiple])
    flags = (
        pattern.kind
        | pattern.not_before * _NOT_BEFORE
        | pattern.not_after * _NOT_AFTER
        | pattern.backwards * _BACKWARDS
    )
    if not -128 <= pattern.value <= 127 or max(len(pattern.before), len(pattern.after)) > 15:
        raise ValueError(f"value {pattern.value}")
    counts = len(pattern.before) << 4 | len(pattern.after)
    rest = bytes([flags, pattern.value & 0xFF, counts, *pattern.before, *pattern.after]) + items
    return bytes([len(rest) + 1]) + rest


def _rows(name: str, rows: Sequence[bytes], comments: Sequence[str] = ()) -> str:
    lines = []
    for index, row in enumerate(rows):
        text = comments[index] if comments else ""
        lines.append(
            "    "
            + " ".join(f"{byte}," for byte in row)
            + (f" /* {text} */" if text.isascii() and text.isalnum() else "")
        )
    return f"static const uint8_t {name}[] = {{\n" + "\n".join(lines) + "\n};\n"


def _pairs(name: str, pairs: Sequence[bytes]) -> str:
    rows = ", ".join(f"{{{first}, {second}}}" for first, second in pairs or [b"\0\0"])
    return f"static const uint8_t {name}[][2] = {{{rows}}};\n"
