"""How texts are folded and words restored as C tables, for `firmware_templates/runtime/thimble_normalize.c`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, zip_longest
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.firmware.c_arrays import EXTERNAL, Linkage, array
from pipeline.text.normalize import PLAIN_SPELLINGS, FoldTable, skeleton

__all__ = ["NormalizerBytes", "normalizer_lines", "write_normalizer"]

_FIRST_MARK = 0x300
_KEPT_MARK = _EVERY_OTHER = 0x80
_MAX_RUN = 0x7F
_RUN_BLOCK = 8  # THIMBLE_RUN_BLOCK
_MAX_BASES = 0x100
_HEADER = """\
/* How texts are folded and cut into words; generated. */
#ifndef NORMALIZER_TABLES_H
#define NORMALIZER_TABLES_H

#include "thimble_normalize.h"

extern const thimble_normalizer thimble_model_normalizer;

#endif
"""


@dataclass(frozen=True)
class NormalizerBytes:
    """Bytes of constants.

    Attributes:
        folds: case, width, apostrophes, digits.
        pairs: letters with marks.
        classes: letters, separators, marks and symbols of all of Unicode.
        plain: letters that do not decompose.
        restore: words whose accents may be lost.
        elided: articles and the like that are words of their own.
    """

    folds: int
    pairs: int
    classes: int
    plain: int
    restore: int
    elided: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.folds + self.pairs + self.classes + self.plain + self.restore + self.elided


def write_normalizer(
    table: FoldTable,
    out: Path,
    restore: Mapping[str, str] | None = None,
    umlauts: bool = False,
    elided: Sequence[str] = (),
) -> NormalizerBytes:
    """Writes `normalizer_tables.c` and `normalizer_tables.h` into a folder.

    Args:
        table: how code points are folded.
        out: the folder.
        restore: words by their skeletons, as `build_restore` gives them.
        umlauts: of the skeletons.
        elided: what is a word of its own with the apostrophe behind it.

    Returns:
        How many bytes the tables take; the file states them too.

    Raises:
        ThimbleError: the words to restore are more than the tables hold.
    """
    size, lines = normalizer_lines(table, restore, umlauts, EXTERNAL, elided)
    head = [
        f"/* How texts are folded and cut into words; generated. {' and '.join(table.scripts) or 'no script'}:",
        f" * {size.folds} bytes of folds, {size.pairs} of letters with marks, {size.classes} of classes, "
        f"{size.plain + size.restore} of skeletons; {size.total} in all. */",
        '#include "normalizer_tables.h"',
        "",
    ]
    (out / "normalizer_tables.c").write_text("\n".join([*head, *lines]) + "\n", encoding="ascii")
    (out / "normalizer_tables.h").write_text(_HEADER, encoding="ascii")
    return size


def normalizer_lines(
    table: FoldTable,
    restore: Mapping[str, str] | None,
    umlauts: bool,
    linkage: Linkage,
    elided: Sequence[str] = (),
) -> tuple[NormalizerBytes, list[str]]:
    """How many bytes the tables take, and the tables as C; arguments and errors as `write_normalizer`."""
    runs = _runs(table.folds)
    pair_runs = _letter_runs(sorted(table.pairs.values()))
    pairs = sorted((letter, base, mark) for (base, mark), letter in table.pairs.items())
    bases = sorted({base for _, base, _ in pairs})
    if len(bases) > _MAX_BASES:
        raise ThimbleError(f"{len(bases)} letters take marks, and {_MAX_BASES} is the most", "use fewer scripts")
    plain = sorted((ord(letter), text.encode()) for letter, text in PLAIN_SPELLINGS.items())
    restored = [word.encode() for _, word in sorted((restore or {}).items(), key=lambda item: item[0].encode())]
    if any(skeleton(word, umlauts, table) != plain_word for plain_word, word in (restore or {}).items()):
        raise ThimbleError("the words to restore were made for other skeletons", "run the `data` stage with --force")
    if sum(map(len, restored)) > 0xFFFF:
        raise ThimbleError(
            f"{len(restored)} words with accents take {sum(map(len, restored))} bytes, and 65535 is the most",
            "use fewer names and list values",
        )
    kinds = [kind for _, kind in table.classes]
    classes = [first | second << 4 for first, second in zip_longest(kinds[::2], kinds[1::2], fillvalue=0)]
    firsts = list(accumulate((run & _MAX_RUN for _, run in pair_runs[:-1]), initial=0))[::_RUN_BLOCK]
    size = NormalizerBytes(
        folds=5 * len(runs) + 2 * len(table.digits),
        pairs=3 * len(pair_runs) + 2 * len(firsts) + 2 * len(pairs) + 2 * len(bases),
        classes=2 * len(table.classes) + len(classes),
        plain=4 * len(plain),
        restore=2 * (len(restored) + 1) + sum(map(len, restored)),
        elided=sum(len(text) + 1 for text in elided) + 1 if elided else 0,
    )
    marks = (mark - _FIRST_MARK | (_KEPT_MARK if table.is_kept(base, mark) else 0) for _, base, mark in pairs)
    texts = ", ".join("{" + ", ".join(str(byte) for byte in text.ljust(2, b"\0")) + "}" for _, text in plain)
    return size, [
        array("uint16_t", "fold_codes", (code for code, _, _ in runs), "0x{:x}"),
        array("uint8_t", "fold_runs", (run for _, run, _ in runs)),
        array("uint16_t", "fold_to", (folded for _, _, folded in runs), "0x{:x}"),
        array("uint16_t", "digits", table.digits, "0x{:x}"),
        array("uint16_t", "class_codes", (code for code, _ in table.classes), "0x{:x}"),
        array("uint8_t", "classes", classes, "0x{:02x}"),
        array("uint16_t", "pair_codes", (letter for letter, _ in pair_runs), "0x{:x}"),
        array("uint8_t", "pair_runs", (run for _, run in pair_runs)),
        array("uint16_t", "pair_firsts", firsts),
        array("uint8_t", "pair_bases", (bases.index(base) for _, base, _ in pairs)),
        array("uint16_t", "bases", bases, "0x{:x}"),
        array("uint8_t", "pair_marks", marks),
        array("uint16_t", "plain_codes", (code for code, _ in plain), "0x{:x}"),
        f"static const uint8_t plain_text[][2] = {{{texts}}};\n",
        array("uint16_t", "restore_starts", accumulate(map(len, restored), initial=0)),
        array("uint8_t", "restore_text", b"".join(restored)),
        linkage.define("normalizer"),
        f"    .fold_count = {len(runs)},",
        f"    .pair_count = {len(pair_runs)},",
        f"    .class_count = {len(table.classes)},",
        f"    .digit_count = {len(table.digits)},",
        f"    .plain_count = {len(plain)},",
        f"    .umlauts = {int(umlauts)},",
        f"    .restore_count = {len(restored)},",
        *(
            f"    .{name} = {name},"
            for name in (
                "fold_codes",
                "fold_runs",
                "fold_to",
                "digits",
                "class_codes",
                "classes",
                "pair_codes",
                "pair_runs",
                "pair_firsts",
                "pair_bases",
                "bases",
                "pair_marks",
                "plain_codes",
                "plain_text",
                "restore_starts",
                "restore_text",
            )
        ),
        *([f"    .elided = {' '.join(map(_quoted, elided))},"] if elided else ()),
        "};",
    ]


def _quoted(text: str) -> str:
    return f'"{text}\\0"'


def _runs(folds: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """First code point, length and flag, and what the first is folded to, of runs that are folded by one distance.

    A run of every other code point has no fold between, so that a search for the last run that begins before a code
    point finds the only one that it can be in.
    """
    runs: list[tuple[int, int, int]] = []
    for code, folded in folds.items():
        if runs and _is_in_run(runs[-1], code, folded):
            continue
        counts = {}
        for step in (1, 2):
            counts[step] = 1
            last = code
            while (
                counts[step] < _MAX_RUN
                and folds.get(last + step) == folded + last + step - code
                and (step == 1 or last + 1 not in folds)
            ):
                last += step
                counts[step] += 1
        step = max(counts, key=lambda each: (counts[each], -each))
        runs.append((code, counts[step] | (_EVERY_OTHER if step == 2 else 0), folded))
    return runs


def _letter_runs(letters: Sequence[int]) -> list[tuple[int, int]]:
    """First code point, length and flag of the runs of ascending code points, as `_runs` has them."""
    runs: list[tuple[int, int]] = []
    begin = 0
    while begin < len(letters):
        ends = {}
        for step in (1, 2):
            end = begin + 1
            while end < len(letters) and end - begin < _MAX_RUN and letters[end] == letters[end - 1] + step:
                end += 1
            ends[step] = end
        step = max(ends, key=lambda each: (ends[each], -each))
        runs.append((letters[begin], ends[step] - begin | (_EVERY_OTHER if step == 2 else 0)))
        begin = ends[step]
    return runs


def _is_in_run(run: tuple[int, int, int], code: int, folded: int) -> bool:
    first, count, to = run
    step = 2 if count & _EVERY_OTHER else 1
    distance = code - first
    return distance % step == 0 and distance // step < count & _MAX_RUN and to + distance == folded
