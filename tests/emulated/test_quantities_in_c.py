"""The device's quantities, compiled for the host, against the host's."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.firmware.quantity_tables import quantity_table_bytes, write_quantities
from pipeline.resources import ROOT
from pipeline.tasks.number_words import quantities, quantity_tables
from pipeline.text.normalize import skeleton
from pipeline.text.quantities import KINDS, UNITS, Quantities

RUNTIME = ROOT / "firmware_templates" / "runtime"
DIGITS = (
    "0",
    "1",
    "5",
    "-5",
    "1.5",
    "2,5",
    "1,500",
    "1.500",
    "7:20",
    "7.20",
    "24.12",
    "0730",
    "-0",
    "1.",
    "100000000000",
)
OTHERS = ("licht", "light", "on", "h30", "1h", "-x", "½", "2½", "x" * 99, "ein" * 20, "zwolfhundert", "twentyfive")


class Device:
    """The compiled C, with sanitizers."""

    def __init__(self, language: str, folder: Path) -> None:
        write_quantities(quantity_tables(language), folder)
        program = folder / "quantities"
        subprocess.run(
            [
                tools.require("gcc"),
                *("-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"),
                *("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I", RUNTIME, "-I", folder),
                *("-o", program, Path(__file__).with_name("quantities_on_host.c")),
                *(RUNTIME / "thimble_quantities.c", folder / "quantity_tables.c"),
            ],
            check=True,
        )
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def all(self, words: Sequence[str]) -> list[str]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write((" ".join(words) + "\n").encode())
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline().decode().rstrip("\n")) != ".":
            assert line, "the program has ended"
            lines.append(line)
        return lines

    def close(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0


def host(reader: Quantities, words: Sequence[str]) -> list[str]:
    """What the device should print."""
    lines = []
    for index in range(len(words)):
        quantity = reader.at(words, index)
        if quantity is not None:
            parts = dict(quantity.parts)
            numbers = (index, KINDS.index(quantity.kind), quantity.count, quantity.value)
            lines.append(" ".join(map(str, (*numbers, *(parts.get(unit, 0) for unit in UNITS)))))
    return lines


@pytest.fixture(scope="module", params=["en", "de", "fr", "it", "nl", "es", "pl"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Quantities, Device]]:
    device = Device(request.param, tmp_path_factory.mktemp("quantities"))
    yield quantities(request.param), device
    device.close()


def test_the_device_finds_what_the_host_finds(pair: tuple[Quantities, Device]) -> None:
    reader, device = pair
    umlauts = reader.tables.umlauts
    known = st.sampled_from([text for text in reader.tables.morphemes if "'" not in text])
    glued = st.lists(st.one_of(known, st.sampled_from(DIGITS)), min_size=2, max_size=4).map("".join)
    word = st.one_of(known, known, st.sampled_from(DIGITS), glued, st.sampled_from(OTHERS))

    @settings(max_examples=1500, deadline=None)
    @given(st.lists(word.map(lambda text: skeleton(text, umlauts)).filter(bool), min_size=1, max_size=14))
    @example(["one"] * 64)
    @example(["-"])
    def run(words: list[str]) -> None:
        if len(" ".join(words)) <= 600:
            assert device.all(words) == host(reader, words)

    run()


def test_sentences_made_of_what_quantities_are_made_of(pair: tuple[Quantities, Device]) -> None:
    """Long random sentences, most of which hold several quantities."""
    reader, device = pair
    rng = random.Random(7)
    by_class: dict[int, list[str]] = {}
    for text, senses in zip(reader.tables.morphemes, reader.tables.senses, strict=True):
        for kind, _ in senses:
            by_class.setdefault(kind, []).append(text)
    classes = sorted(by_class)
    found = 0
    for _ in range(4000):
        words = [
            rng.choice(DIGITS) if rng.random() < 0.15 else rng.choice(by_class[rng.choice(classes)])
            for _ in range(rng.randint(1, 24))
        ]
        lines = host(reader, words)
        found += len(lines)
        assert device.all(words) == lines
    assert found > 10_000


def test_tables_are_small(request: pytest.FixtureRequest, pair: tuple[Quantities, Device]) -> None:
    # Polish has up to 16 forms of each number, Spanish its hours in the ways of two continents.
    limit = {"pl": 6500, "es": 3700}.get(request.node.callspec.params["pair"], 3500)
    assert quantity_table_bytes(pair[0].tables) <= limit


def test_a_value_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    tables = quantity_tables("en")
    pattern = tables.patterns[0]._replace(value=1000)
    broken = type(tables)(**{**vars(tables), "patterns": (pattern,)})
    with pytest.raises(ThimbleError, match="byte"):
        write_quantities(broken, tmp_path)
