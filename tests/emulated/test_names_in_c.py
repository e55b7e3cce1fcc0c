"""Names that are added on the device, compiled for the host under sanitizers: they give the tables of a build."""

from __future__ import annotations

import random
import struct
import subprocess
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
    sources = [RUNTIME / f"{name}.c" for name in ("names", "matcher", "normalize", "quantities")]
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
        assert lines[2:-2] == rows
        assert [*map(int, lines[-2].split())] == expected.by_text
        assert [*map(int, lines[-1].split())] == expected.by_skeleton


@pytest.mark.parametrize("memory", [0, 8, 39, 40, 80, 200, 1000])
def test_what_does_not_fit_is_refused(program: Path, memory: int) -> None:
    entries = [Entry(f"name {number} {'x' * (number % 50)}", "light", f"Value {number // 2}") for number in range(60)]
    entries += [Entry(f"n{number}", "light", f"n{number}") for number in range(3)]
    ((statuses, sizes, *rows),) = run(program, [(memory, entries)])
    left, values, expected = memory - 8, set(), []
    for entry in entries:
        text = entry.text.strip()
        is_new = entry.value != text and entry.value not in values
        needed = 11 + len(text) + (4 + len(entry.value)) * is_new
        expected.append(KNOWN if needed <= left else FULL)
        if needed <= left:
            left -= needed
            values.add(entry.value)
    assert FULL in expected
    assert [*map(int, statuses.split())] == expected
    assert expected.count(KNOWN) == int(sizes.split()[0]) == len(rows) - 2


def test_names_that_are_none(program: Path) -> None:
    entries = [Entry("\udcff", "light", "x"), Entry("?!", "light", "x"), Entry("y" * 256, "light", "x")]
    ((statuses, *_),) = run(program, [(4096, entries)])
    assert [*map(int, statuses.split())] == [NO_WORDS, NO_WORDS, TOO_LONG]
