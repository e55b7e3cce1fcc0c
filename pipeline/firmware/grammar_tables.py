"""A grammar as C tables, for `firmware_templates/runtime/thimble_grammar.c`."""

from __future__ import annotations

from pathlib import Path

from pipeline.firmware.c_arrays import EXTERNAL, Linkage, array
from pipeline.text.grammar import Grammar

__all__ = ["grammar_lines", "write_grammar"]

_HEADER = """\
/* The grammar of answers; generated. */
#ifndef GRAMMAR_TABLES_H
#define GRAMMAR_TABLES_H

#include "thimble_grammar.h"

extern const thimble_grammar thimble_model_grammar;

#endif
"""


def write_grammar(grammar: Grammar, out: Path) -> None:
    """Writes `grammar_tables.c` and `grammar_tables.h` into the folder `out`."""
    lines = [
        f"/* The grammar of answers, of {grammar.source}; generated. thimble_grammar.h says what the tables are. */",
        '#include "grammar_tables.h"',
        "",
        *grammar_lines(grammar, EXTERNAL),
    ]
    (out / "grammar_tables.c").write_text("\n".join(lines) + "\n", encoding="ascii", errors="replace")
    (out / "grammar_tables.h").write_text(_HEADER, encoding="ascii")


def grammar_lines(grammar: Grammar, linkage: Linkage) -> list[str]:
    """The tables as C."""
    is_narrow = len(grammar.next) < 256
    states = (state for row in grammar.next for state in row)
    bits = [0] * ((len(grammar.next) + 7) // 8)
    for state in grammar.accepts:
        bits[state // 8] |= 1 << state % 8
    return [
        array("uint8_t", "grammar_classes", grammar.classes),
        array("uint8_t" if is_narrow else "uint16_t", "grammar_next", states),
        array("uint8_t", "grammar_accepts", bits),
        linkage.define("grammar"),
        "    .following = &thimble_grammar_calls,",
        "    .classes = grammar_classes,",
        f"    .{'narrow' if is_narrow else 'wide'} = grammar_next,",
        "    .accepts = grammar_accepts,",
        f"    .class_count = {len(grammar.next[0])},",
        "};",
    ]
