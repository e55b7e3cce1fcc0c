"""The tokenizer's tables as C, for `firmware_templates/runtime/thimble_tokenizer.c`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.firmware.c_arrays import EXTERNAL, Linkage, array
from pipeline.text.pretokenizer import WordRules
from pipeline.text.prompt import PromptTokenizer, table_excess

__all__ = ["tokenizer_lines", "write_tokenizer"]

_HEADER = """\
/* The tokenizer's tables; generated. */
#ifndef TOKENIZER_TABLES_H
#define TOKENIZER_TABLES_H

#include "thimble_tokenizer.h"

extern const thimble_tokenizer thimble_model_tokenizer;

#endif
"""


def write_tokenizer(tokenizer: PromptTokenizer, out: Path) -> None:
    """Writes `tokenizer_tables.c` and `tokenizer_tables.h` into the folder `out`.

    Raises:
        ThimbleError: the tokenizer has more ids, bytes or merges than the tables can hold.
    """
    lines = [
        "/* The tokenizer's tables; generated. thimble_tokenizer.h says what they are. */",
        '#include "tokenizer_tables.h"',
        "",
        *tokenizer_lines(tokenizer, EXTERNAL),
    ]
    (out / "tokenizer_tables.c").write_text("\n".join(lines) + "\n", encoding="ascii")
    (out / "tokenizer_tables.h").write_text(_HEADER, encoding="ascii")


def tokenizer_lines(tokenizer: PromptTokenizer, linkage: Linkage) -> list[str]:
    """The tables as C.

    Raises:
        ThimbleError: as `write_tokenizer`.
    """
    pieces, template = tokenizer.pieces, tokenizer.template
    merges = sorted((left << 16 | right, *merge) for (left, right), merge in tokenizer.ranked_merges.items())
    if excess := table_excess(tokenizer):
        raise ThimbleError(*excess)
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(piece))
    characters = sorted((ord(character), index) for character, index in tokenizer.characters.items())
    return [
        array("uint16_t", "piece_starts", starts),
        _text("pieces", pieces, template.byte_base + 256),
        array("uint32_t", "merge_pairs", (pair for pair, _, _ in merges), "0x{:08x}u"),
        array("uint16_t", "merge_ranks", (rank for _, rank, _ in merges)),
        array("uint16_t", "merge_ids", (merged for _, _, merged in merges)),
        array("uint32_t", "characters", (code for code, _ in characters), "0x{:x}u"),
        array("uint16_t", "character_ids", (index for _, index in characters)),
        array("uint16_t", "prefix", template.prefix),
        array("uint16_t", "suffix", template.suffix),
        array("uint16_t", "stops", template.stops),
        *([array("uint16_t", "byte_ids", template.byte_ids)] if template.byte_ids else []),
        *(_word_rules(template.word_rules) if template.word_rules else []),
        linkage.define("tokenizer"),
        f"    .vocab_size = {tokenizer.vocab_size},",
        f"    .merge_count = {len(merges)},",
        f"    .character_count = {len(characters)},",
        f"    .byte_base = {template.byte_base},",
        f"    .bos = {template.bos},",
        f"    .prefix_count = {len(template.prefix)},",
        f"    .suffix_count = {len(template.suffix)},",
        f"    .stop_count = {len(template.stops)},",
        f"    .folds = {int(template.lowercase)},",
        f"    .words = {int(template.split_on_space)},",
        f"    .bare_start = {int(template.strip_leading_space)},",
        *(["    .space_runs = 1,"] if template.space_runs else []),
        *(["    .byte_ids = byte_ids,"] if template.byte_ids else []),
        *(["    .word_length = thimble_word_length,", "    .word_rules = &word_rules,"] if template.word_rules else []),
        *(
            f"    .{name} = {name},"
            for name in (
                "piece_starts",
                "pieces",
                "merge_pairs",
                "merge_ranks",
                "merge_ids",
                "characters",
                "character_ids",
                "prefix",
                "suffix",
                "stops",
            )
        ),
        "};",
    ]


def _word_rules(rules: WordRules) -> list[str]:
    runs = (start << 3 | kind for start, kind in rules.runs)
    return [
        '#include "thimble_pretokenizer.h"\n',
        array("uint32_t", "word_runs", runs, "0x{:x}u"),
        "static const thimble_word_rules word_rules = {",
        "    .runs = word_runs,",
        f"    .run_count = {len(rules.runs)},",
        f"    .form = THIMBLE_WORDS_{rules.form.name},",
        f"    .max_digits = {rules.max_digits},",
        "};",
        "",
    ]


def _text(name: str, pieces: Sequence[bytes], first: int) -> str:
    """The pieces' bytes; those from id `first` on that are words have the word beside them."""
    rows = []
    for index, piece in enumerate(pieces):
        if piece:
            text = piece.decode("utf-8", "replace")
            plain = index >= first and piece.isascii() and text.replace(" ", "").isalnum()
            rows.append("    " + " ".join(f"{byte}," for byte in piece) + (f" /* {index} '{text}' */" if plain else ""))
    return f"static const uint8_t {name}[] = {{\n" + "\n".join(rows) + "\n};\n"
