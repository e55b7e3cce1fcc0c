"""Names that are added on the device, compiled for the host under sanitizers: they give the tables of a build."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.firmware.text_path_tables import write_text_path
from pipeline.firmware.vocabulary_tables import LayerTables
from pipeline.resources import ROOT
from pipeline.tasks.answer_schema import make_schema
from pipeline.tasks.text_path import KnownNames
from pipeline.text.annotation import Entry
from pipeline.text.codec import StructuredCodec
from pipeline.text.matcher import Annotator
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.text.vocabulary import Layer

RUNTIME = ROOT / "firmware_templates" / "runtime"
KINDS = ("area", "light")
PARTS = ["Küche", "kueche", "Lampe", "lamp", "A", "o", "eck", "é", "20", "Wohn-Zimmer", "☃", "двор", "x" * 60]
KNOWN, NO_WORDS, TOO_LONG, FULL = range(4)


@pytest.fixture(scope="module")
def codec() -> StructuredCodec:
    names = KnownNames("de", (Entry("flur", "area", "Flur"),), ("mach",))
    return StructuredCodec(Tokenizer.train(["mach"] * 3, 290), make_schema({}, KINDS, 3), names.annotator())


@pytest.fixture(scope="module")
def program(codec: StructuredCodec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    write_text_path(codec, folder)
    sources = [RUNTIME / f"thimble_{name}.c" for name in ("names", "matcher", "normalize", "quantities")]
    sources += [folder / f"{name}_tables.c" for name in ("vocabulary", "normalizer", "quantity")]
    flags = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command: list[str | Path] = [tools.require("gcc"), *flags, *sanitizers, "-I", RUNTIME, "-I", folder]
    command += ["-o", folder / "program", *sources, Path(__file__).parent / "add_names.c"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "program"


def run(program: Path, cases: list[tuple[int, list[Entry]]]) -> list[list[str]]:
    data = b""
    for memory, entries in cases:
        data += struct.pack("<II", memory, len(entries))
        for entry in entries:
            data += struct.pack("<I", KINDS.index(entry.kind))
            for text in (entry.value.encode(), entry.text.encode("utf-8", "surrogateescape")):
                data += struct.pack("<I", len(text)) + text
    done = subprocess.run([program], input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [part.split("\n")[:-1] for part in done.stdout.decode().split("end\n")[:-1]]


def test_the_tables_are_those_of_a_build(program: Path, codec: StructuredCodec) -> None:
    rng = random.Random(3)
    cases = []
    for _ in range(150):
        texts = [" ".join(rng.choices(PARTS, k=rng.randrange(1, 4))) for _ in range(rng.randrange(12))]
        entries = [Entry(text, rng.choice(KINDS), rng.choice([text, text.lower(), "Wert"])) for text in texts]
        cases.append((4096, entries))
    annotator = codec.annotator
    assert isinstance(annotator, Annotator)
    for (_, entries), lines in zip(cases, run(program, cases), strict=True):
        latest = {" ".join(annotator.normalizer.text(entry.text).split()): entry for entry in entries}
        first = [text for text in latest if text]
        expected = LayerTables(Layer([latest[text] for text in first], annotator.vocabulary.forms), KINDS)
        known = [annotator.normalizer.text(entry.text) for entry in entries]
        assert lines[0].split() == [str(KNOWN if text else NO_WORDS) for text in known]
        assert lines[1] == f"{len(first)} {expected.longest} {expected.max_words}"
        rows = [
            f"{KINDS.index(latest[text].kind)} {text.encode().hex()} {latest[text].value.encode().hex()}"
            for text in first
        ]
        assert lines[2:-3] == rows
        assert [*map(int, lines[-3].split())] == expected.by_text
        assert [*map(int, lines[-2].split())] == expected.by_skeleton


class Memory:
    """What names take, as names.h says it.

    Args:
        size: bytes.
        normalized: gives the words of a text, joined by spaces.
    """

    def __init__(self, size: int, normalized: Callable[[str], str]) -> None:
        self.size, self.normalized = size, normalized
        self.used = 6
        self.words: list[str] = []
        self.values: list[str] = []

    def add(self, entry: Entry) -> bool:
        """Whether a new name fits."""
        words, values, used = list(self.words), list(self.values), self.used
        text, value = self.normalized(entry.text), self.normalized(entry.value)
        if not is_cased(entry.value, value):
            self._value(entry.value, 1 + len(entry.value.encode()))
        elif value != text:
            self._value(entry.value, 2 + self._codes(value))
        codes = self._codes(text)
        self.used += 9 + codes
        if self.used > self.size:
            self.words, self.values, self.used = words, values, used
            return False
        return True

    def _codes(self, text: str) -> int:
        bytes_ = 0
        for word in text.split():
            if word not in self.words:
                self.words.append(word)
                self.used += 2 + len(word.encode())
            bytes_ += 1 + (self.words.index(word) >= 128)
        return bytes_

    def _value(self, value: str, bytes_: int) -> None:
        if value not in self.values:
            self.values.append(value)
            self.used += 2 + bytes_


def ascii_only(text: str, change: Callable[[str], str]) -> str:
    return "".join(change(letter) if letter.isascii() else letter for letter in text)


def is_cased(value: str, normalized: str) -> bool:
    """Whether a value is normalized words that have capitals first, everywhere or nowhere."""
    cases = [
        word in (lower, ascii_only(lower[:1], str.upper) + lower[1:], ascii_only(lower, str.upper))
        for word in value.split(" ")
        for lower in [ascii_only(word, str.lower)]
    ]
    is_same = ascii_only(value, str.lower) == normalized != ""
    return is_same and all(cases) and len(value.encode()) <= 32 and len(cases) <= 7


VALUES = (
    *("Kitchen Light", "kitchen light", "LED Strip", "kitchen LED", "iPhone", "Don't", "Öl", "Café Bar", "TV"),
    *("a b c d e f g", "a b c d e f g h", "A" * 32, "A" * 33, "x  y", " x", "№ 5", "20 °C", "Flur-Licht", ""),
)


@pytest.mark.parametrize("memory", [0, 5, 6, 20, 80, 200, 1000, 3000])
def test_what_does_not_fit_is_refused_and_all_else_comes_back(
    program: Path, codec: StructuredCodec, memory: int
) -> None:
    annotator = codec.annotator
    assert isinstance(annotator, Annotator)
    rng = random.Random(memory)
    texts = [f"name {number} {'x' * (number % 50)}" for number in range(150)]  # more than 128 words
    texts += [value for value in VALUES if annotator.normalizer.text(value)]
    entries = [Entry(text, rng.choice(KINDS), rng.choice([*VALUES, text.title(), text])) for text in texts]
    entries = list({annotator.normalizer.text(entry.text): entry for entry in entries}.values())
    ((statuses, sizes, *rows),) = run(program, [(memory, entries)])
    simulated = Memory(memory, lambda text: " ".join(annotator.normalizer.text(text).split()))
    fits = [simulated.add(entry) for entry in entries]
    assert [*map(int, statuses.split())] == [KNOWN if each else FULL for each in fits]
    assert int(sizes.split()[0]) == sum(fits)
    assert int(rows.pop()) == (simulated.used if memory >= 6 else 0)
    assert rows[:-2] == [
        f"{KINDS.index(entry.kind)} {simulated.normalized(entry.text).encode().hex()} {entry.value.encode().hex()}"
        for entry, each in zip(entries, fits, strict=True)
        if each
    ]


def test_names_that_are_none(program: Path) -> None:
    entries = [Entry("\udcff", "light", "x"), Entry("?!", "light", "x"), Entry("y" * 256, "light", "x")]
    ((statuses, *_),) = run(program, [(4096, entries)])
    assert [*map(int, statuses.split())] == [NO_WORDS, NO_WORDS, TOO_LONG]
