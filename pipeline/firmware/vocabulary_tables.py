"""What a sentence is searched for as C tables, for `firmware_templates/runtime/thimble_matcher.c`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.firmware.c_arrays import EXTERNAL, Linkage, array
from pipeline.text.annotation import Entry
from pipeline.text.known_words import word_hash
from pipeline.text.quantities import KINDS as QUANTITY_KINDS
from pipeline.text.vocabulary import MIN_FUZZY_LETTERS, Inflection, Layer, Name, Vocabulary

__all__ = ["HASH_BYTES", "LayerTables", "TableBytes", "hash_table", "vocabulary_lines", "write_vocabulary"]

_MAX_ENTRIES, _MAX_NAME_BYTES, _MAX_DROPPED_BYTES, _OWN_TEXT, _LAYERS = 0xFFFF, 255, 8, 0xFFFF, 2
"""Limits of thimble_matcher.h."""
HASH_BYTES = 3
"""Of a word that is known: THIMBLE_HASH_BYTES of thimble_matcher.h."""
_HEADER = """\
/* What a sentence is searched for; generated. */
#ifndef VOCABULARY_TABLES_H
#define VOCABULARY_TABLES_H

#include "thimble_matcher.h"

extern const thimble_annotator thimble_model_annotator;

#endif
"""


@dataclass(frozen=True)
class TableBytes:
    """Bytes of constants.

    Attributes:
        layers: of the vocabulary's layers, the uppermost first.
        words: hashes of known and common words.
        inflection: endings and linking letters.
    """

    layers: tuple[int, ...]
    words: int
    inflection: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.layers) + self.words + self.inflection


def hash_table(words: Iterable[str]) -> bytes:
    """The hashes of words, ascending, each once, in `HASH_BYTES` bytes of which the highest is the first."""
    hashes = sorted({word_hash(word) for word in words})
    return b"".join(value.to_bytes(HASH_BYTES, "big") for value in hashes)


def write_vocabulary(
    vocabulary: Vocabulary, known_words: Collection[str], kinds: Sequence[str], out: Path
) -> TableBytes:
    """Writes `vocabulary_tables.c` and `vocabulary_tables.h` into a folder.

    `thimble_model_annotator` in them refers to the normalizer and the quantities of the tables beside them.

    Args:
        vocabulary: of one or two layers; a single one is that of the task's lists.
        known_words: that the task's templates say.
        kinds: markers in the order of their indices.
        out: the folder.

    Returns:
        How many bytes the tables take.

    Raises:
        ThimbleError: an entry has a kind without a marker, or there are more, or longer, names than the tables hold.
    """
    size, lines = vocabulary_lines(vocabulary, known_words, kinds, EXTERNAL)
    head = [
        f"/* What a sentence is searched for; generated. {' and '.join(map(str, size.layers))} bytes of names,",
        f" * {size.words} of hashes, {size.inflection} of endings; {size.total} in all. thimble_matcher.h has more. */",
        '#include "vocabulary_tables.h"',
        "",
        '#include "normalizer_tables.h"',
        '#include "quantity_tables.h"',
        "",
    ]
    (out / "vocabulary_tables.c").write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    (out / "vocabulary_tables.h").write_text(_HEADER, encoding="ascii")
    return size


def vocabulary_lines(
    vocabulary: Vocabulary, known_words: Collection[str], kinds: Sequence[str], linkage: Linkage
) -> tuple[TableBytes, list[str]]:
    """How many bytes the tables take, and the tables as C; arguments and errors as `write_vocabulary`."""
    inflection = vocabulary.inflection
    layers = [LayerTables(layer, kinds) for layer in vocabulary.layers]
    if len(layers) > _LAYERS:
        raise ThimbleError(f"the vocabulary has {len(layers)} layers", "put the lists of the task into one")
    # Where names are declined, words that templates say may be names too, unless they are common ones.
    only_common = inflection.common_words if inflection.stems else inflection.common_words - set(known_words)
    known, common = hash_table(known_words), hash_table(only_common)
    if max(len(known), len(common)) > 0xFFFF * HASH_BYTES:
        raise ThimbleError(
            f"the task knows {len(known) // HASH_BYTES} words", "use at most 65535 different words in templates"
        )
    names = ["NULL"] * (_LAYERS - len(layers)) + [f"&{name}" for name in _LAYER_NAMES[_LAYERS - len(layers) :]]
    strings = (
        *inflection.last,
        *inflection.clitics,
        *inflection.inner,
        *inflection.linking,
        *inflection.dropped,
        *(text for pair in inflection.stems for text in pair),
    )
    size = TableBytes(
        tuple(layer.num_bytes for layer in layers),
        len(known) + len(common),
        sum(len(string.encode()) + 1 for string in strings) + 4,
    )
    return size, [
        *(
            line
            for layer, name in zip(layers, _LAYER_NAMES[_LAYERS - len(layers) :], strict=True)
            for line in layer.lines(name)
        ),
        *_inflection_lines(inflection),
        array("uint8_t", "known", known),
        array("uint8_t", "common", common),
        linkage.define("annotator"),
        f"    .normalizer = &{linkage.name('normalizer')},",
        f"    .quantities = &{linkage.name('quantities')},",
        "    .inflection = &inflection,",
        f"    .layers = {{{', '.join(names)}}},",
        f"    .quantity_kinds = {{{', '.join(map(str, _quantity_kinds(kinds)))}}},",
        f"    .known_count = {len(known) // HASH_BYTES},",
        f"    .common_count = {len(common) // HASH_BYTES},",
        "    .known = known,",
        "    .common = common,",
        "};",
    ]


_LAYER_NAMES = ("home", "lists")


class LayerTables:
    """A layer's entries, each text once: the members of a `thimble_vocabulary`.

    Args:
        layer: with the entries.
        kinds: markers in the order of their indices.

    Raises:
        ThimbleError: as of `write_vocabulary`.
    """

    def __init__(self, layer: Layer, kinds: Sequence[str]) -> None:
        kind_ids = {kind: index for index, kind in enumerate(kinds)}
        entries: dict[str, tuple[Name, Entry]] = {}
        for name, entry in layer.named:
            entries.setdefault(name.text, (name, entry))
        self.names: list[Name] = [name for name, _ in entries.values()]
        self.texts = [text.encode() for text in entries]
        missing = sorted({entry.kind for _, entry in entries.values()} - kind_ids.keys())
        if missing:
            raise ThimbleError(f"the names of kind {missing[0]!r} have no marker", "run the `data` stage with --force")
        long = next((text for text in self.texts if len(text) > _MAX_NAME_BYTES), None)
        if long is not None:
            raise ThimbleError(
                f"the name {long.decode()[:40]!r}… has {len(long)} bytes", f"use at most {_MAX_NAME_BYTES}"
            )
        if len(entries) >= _MAX_ENTRIES:
            raise ThimbleError(f"there are {len(entries)} names", f"use fewer than {_MAX_ENTRIES}")
        self.kinds = [kind_ids[entry.kind] for _, entry in entries.values()]
        values: dict[bytes, int] = {}
        self.value_of = []
        for text, (_, entry) in entries.items():
            own = entry.value == text
            self.value_of.append(_OWN_TEXT if own else values.setdefault(entry.value.encode(), len(values)))
        self.values = list(values)
        skeletons = [name.skeleton.encode() for name in self.names]
        self.by_text = sorted(range(len(self.texts)), key=lambda index: self.texts[index])
        self.by_skeleton = sorted(
            (index for index, name in enumerate(self.names) if len(name.skeleton) >= MIN_FUZZY_LETTERS),
            key=lambda index: (skeletons[index], index),
        )
        self.longest = max((len(self.names[index].skeleton) for index in self.by_skeleton), default=0)
        self.max_words = max((len(name.words) for name in self.names), default=0)

    @property
    def num_bytes(self) -> int:
        """Of all tables."""
        texts = sum(map(len, (*self.texts, *self.values)))
        starts = 4 * (len(self.texts) + len(self.values) + 2)
        return texts + starts + 5 * len(self.texts) + 2 * len(self.by_skeleton)

    def lines(self, name: str) -> list[str]:
        """The tables of a `thimble_vocabulary` of a name."""
        fields = {
            "text_starts": array("uint32_t", f"{name}_text_starts", accumulate(map(len, self.texts), initial=0)),
            "text": _text(f"{name}_text", self.texts),
            "by_text": array("uint16_t", f"{name}_by_text", self.by_text),
            "by_skeleton": array("uint16_t", f"{name}_by_skeleton", self.by_skeleton),
            "kinds": array("uint8_t", f"{name}_kinds", self.kinds),
            "value_of": array("uint16_t", f"{name}_value_of", self.value_of),
            "value_starts": array("uint32_t", f"{name}_value_starts", accumulate(map(len, self.values), initial=0)),
            "values": _text(f"{name}_values", self.values),
        }
        return [
            *fields.values(),
            f"static const thimble_vocabulary {name} = {{",
            f"    .count = {len(self.texts)},",
            f"    .skeleton_count = {len(self.by_skeleton)},",
            f"    .longest = {self.longest},",
            f"    .max_words = {self.max_words},",
            *(f"    .{field} = {name}_{field}," for field in fields),
            "};\n",
        ]


def _quantity_kinds(kinds: Sequence[str]) -> list[int]:
    """By the numbers of thimble_quantities.h: indices of markers."""
    missing = [kind for kind in QUANTITY_KINDS[1:-1] if kind not in kinds]
    if missing:
        raise ThimbleError(f"quantities of kind {missing[0]!r} have no marker", "run the `data` stage with --force")
    return [0, *(kinds.index(kind) for kind in QUANTITY_KINDS[1:-1])]


def _inflection_lines(inflection: Inflection) -> list[str]:
    if any(len(letters.encode()) > _MAX_DROPPED_BYTES for letters in inflection.dropped):
        raise ThimbleError(
            "inflection.yaml drops more letters than the tables hold", f"use at most {_MAX_DROPPED_BYTES} bytes each"
        )
    return [
        "static const thimble_inflection inflection = {",
        f"    .umlauts = {int(inflection.umlauts)},",
        f"    .min_letters = {inflection.min_letters},",
        *(
            f"    .{name} = {_strings(getattr(inflection, name))},"
            for name in ("last", "clitics", "inner", "linking", "dropped")
        ),
        *([f"    .stems = {_pairs(inflection.stems)},"] if inflection.stems else []),
        "};\n",
    ]


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    """A `thimble_strings` that counts two strings once."""
    strings = _strings([text for pair in pairs for text in pair])
    return f"{{{len(pairs)}, {strings.partition(', ')[2]}"


def _strings(strings: Sequence[str]) -> str:
    """A `thimble_strings`; each string is a literal of its own, so that no digit continues its last escape."""
    literals = [
        "".join(chr(byte) if byte < 127 and chr(byte).isalnum() else f"\\{byte:03o}" for byte in text.encode())
        for text in strings
    ]
    return "{" + str(len(strings)) + ", " + (" ".join(f'"{literal}\\0"' for literal in literals) or '""') + "}"


def _text(name: str, texts: Iterable[bytes]) -> str:
    """Bytes of texts, each in a line, with its text beside it where that is plain."""
    rows = []
    for text in filter(None, texts):
        shown = text.decode()
        comment = f" /* {shown} */" if shown.isprintable() and "*" not in shown else ""
        rows.append("    " + " ".join(f"{byte}," for byte in text) + comment)
    return f"static const uint8_t {name}[] = {{\n" + ("\n".join(rows) or "    0,") + "\n};\n"
