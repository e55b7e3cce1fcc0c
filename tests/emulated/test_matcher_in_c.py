"""The device's matcher, compiled for the host with sanitizers, against the host's."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import IO, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.firmware.normalize_tables import write_normalizer
from pipeline.firmware.quantity_tables import write_quantities
from pipeline.firmware.vocabulary_tables import LayerTables, hash_table, write_vocabulary
from pipeline.languages import load_language_file
from pipeline.resources import ROOT
from pipeline.tasks.normalizers import normalizer_of
from pipeline.tasks.number_words import quantities, quantity_tables
from pipeline.text.annotation import Annotated, Entry
from pipeline.text.matcher import Annotator
from pipeline.text.normalize import FoldTable, Normalizer, build_restore
from pipeline.text.quantities import KINDS as QUANTITY_KINDS
from pipeline.text.quantities import UNITS
from pipeline.text.vocabulary import Inflection, Vocabulary

RUNTIME = ROOT / "firmware_templates" / "runtime"
MAX_WORDS, MAX_BYTES, MAX_MARKS = 64, 640, 16
TOO_LONG, TOO_MANY_MARKS = -2, -3
KINDS = (*QUANTITY_KINDS[:-1], "name", "list")


class CMark(NamedTuple):
    kind: int
    first: int
    end: int
    is_quantity: int
    parts: tuple[int, ...]
    value: str


class CMatcher:
    """The compiled C in a process of its own."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in: IO[bytes] = self._process.stdin
        self._out: IO[bytes] = self._process.stdout

    def close(self) -> None:
        self._in.close()
        assert self._process.wait(60) == 0

    def inflection(self, inflection: Inflection) -> None:
        self._send(b"I", inflection.umlauts, inflection.min_letters)
        for strings in (inflection.last, inflection.clitics, inflection.inner, inflection.linking, inflection.dropped):
            data = b"".join(string.encode() + b"\0" for string in strings) + b"\0"
            self._send(b"", len(strings))
            self._table("B", data)
        self._send(b"", len(inflection.stems))
        self._table("B", b"".join(text.encode() + b"\0" for pair in inflection.stems for text in pair) + b"\0")
        self._hashes(b"C", inflection.common_words)

    def known(self, words: Iterable[str]) -> None:
        self._hashes(b"K", words)

    def layer(self, index: int, tables: LayerTables) -> None:
        self._send(b"L", index, tables.longest, tables.max_words)
        self._table("I", [*accumulate(map(len, tables.texts), initial=0)])
        self._table("B", b"".join(tables.texts))
        self._table("H", tables.by_text)
        self._table("H", tables.by_skeleton)
        self._table("B", tables.kinds)
        self._table("H", tables.value_of)
        self._table("I", [*accumulate(map(len, tables.values), initial=0)])
        self._table("B", b"".join(tables.values))

    def annotate(self, text: str) -> tuple[list[tuple[str, int, int]], list[CMark]] | int:
        """Words and marks, or an error."""
        self._send(b"S")
        self._table("B", text.encode())
        self._in.flush()
        count = self._number()
        if count < 0:
            return count
        words = []
        for _ in range(self._number()):
            word, start, stop = self._line().rsplit(" ", 2)
            words.append((word, int(start), int(stop)))
        marks = []
        for _ in range(count):
            *numbers, value = self._line().split(" ", 9)
            kind, first, end, is_quantity, *parts = map(int, numbers)
            marks.append(CMark(kind, first, end, is_quantity, tuple(parts), value))
        return words, marks

    def _line(self) -> str:
        line = self._out.readline()
        assert line.endswith(b"\n"), f"the program ended with {self._process.wait(60)}"
        return line[:-1].decode()

    def _number(self) -> int:
        return int(self._line())

    def _send(self, command: bytes, *numbers: int) -> None:
        self._in.write(command + struct.pack(f"<{len(numbers)}I", *numbers))

    def _table(self, form: str, values: Sequence[int]) -> None:
        self._in.write(struct.pack(f"<I{len(values)}{form}", len(values), *values))

    def _hashes(self, command: bytes, words: Iterable[str]) -> None:
        self._in.write(command)
        self._table("B", hash_table(words))


@dataclass
class Language:
    """A language's parts, and the C that has the same."""

    normalizer: Normalizer
    inflection: Inflection
    quantities: object
    restore: Mapping[str, str]
    device: CMatcher
    words: Sequence[str]

    def annotator(self, layers: Sequence[Sequence[Entry]], known: Collection[str]) -> Annotator:
        """The host's; the device gets the same names."""
        home, lists = layers
        vocabulary = Vocabulary(lists, self.normalizer, self.inflection).with_entries(home)
        self.device.known(known)
        for index, layer in enumerate(vocabulary.layers):
            self.device.layer(index, LayerTables(layer, KINDS))
        return Annotator(self.normalizer, vocabulary, self.quantities, known, self.restore)  # type: ignore[arg-type]


WORDS = {
    "de": "küche büro flur wohnzimmer große groß lampe roll laden links licht tür schön süden garten an der tuer fünf "
    "prozent minuten um acht blau eck bo stunde",
    "en": "kitchen office living room desk lamp light lights off on the café five percent minutes at eight half an "
    "hour свет лампа",
    "es": "cocina despacho salón lámpara de la luz interruptor persianas enciende apágala rojas cinco por ciento "
    "minutos a las ocho y media hora mañana cuarto para sesenta grados",
    "pl": "kuchnia salon łazienka lampka nocna lampki nocnej pokój drzwi do piwnicy gabinet włącz światło w na pięć "
    "procent minut o ósmej wieczorem wpół do dziewiątej",
    "fr": "cuisine entrée salon lampe l'entrée d'eau interrupteur qu'il l' d' la du allume lumière été cinq pour cent "
    "minutes heure et demie à huit demi aujourd'hui",
    "it": "cucina ingresso soggiorno lampada lampade l'ingresso dell'acqua interruttore un'ora dell' l' del la accendi "
    "luce è c'è cinque per cento minuti mezz'ora e mezza alle otto perché",
    "nl": "keuken woonkamer overloop lamp lampje lampen lampenkap tweeëntwintig één procent uur half kwart over acht "
    "minuten foto's van het licht aan zetten aanzetten",
}


def compile_matcher(language: str, folder: Path, restore: Mapping[str, str], *with_vocabulary: Path | str) -> CMatcher:
    umlauts = language == "de"
    write_normalizer(FoldTable(), folder, restore, umlauts, normalizer_of(language).elided)
    write_quantities(quantity_tables(language), folder)
    program = folder / "annotate"
    sources = [RUNTIME / f"thimble_{name}.c" for name in ("matcher", "normalize", "quantities")]
    subprocess.run(
        [
            tools.require("gcc"),
            *("-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"),
            *("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I", RUNTIME, "-I", folder, "-o", program),
            *(Path(__file__).with_name("annotate_sentences.c"), *sources, *with_vocabulary),
            *(folder / "normalizer_tables.c", folder / "quantity_tables.c"),
        ],
        check=True,
    )
    return CMatcher(program)


@pytest.fixture(scope="module", params=sorted(WORDS))
def language(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Language]:
    code = request.param
    words = WORDS[code].split()
    restore = build_restore(words, (), umlauts=code == "de")
    inflection = Inflection.of(load_language_file(code, "inflection"))
    device = compile_matcher(code, tmp_path_factory.mktemp(code), restore)
    device.inflection(inflection)
    yield Language(normalizer_of(code), inflection, quantities(code), restore, device, words)
    device.close()


def assert_equal(annotated: Annotated, found: tuple[list[tuple[str, int, int]], list[CMark]] | int) -> None:
    words = [(word.text, word.start, word.end) for word in annotated.words]
    if found == TOO_MANY_MARKS:
        assert len(annotated.marks) > MAX_MARKS
    elif found == TOO_LONG:
        assert len(words) > MAX_WORDS or len(" ".join(text for text, _, _ in words).encode()) > MAX_BYTES
    else:
        marks = [
            CMark(
                KINDS.index(mark.kind),
                mark.first,
                mark.end,
                int(mark.is_quantity),
                tuple(int(dict(mark.parts).get(unit, "0")) for unit in UNITS),
                mark.value,
            )
            for mark in annotated.marks
        ]
        assert found == (words, marks)


LETTERS = "aeounrsüöälß1é' bc"
ENDINGS = ("s", "n", "en", "er", "ern", "e", "es", "'s", "ę", "ie", "y", "ach", "owi", "ce")


def misspelt(text: str, rng: random.Random) -> str:
    """Up to two letters inserted, deleted, replaced or swapped."""
    letters = list(text)
    for _ in range(rng.randint(1, 2)):
        index, kind = rng.randrange(len(letters)), rng.randrange(4)
        if kind == 0:
            letters.insert(index, rng.choice(LETTERS))
        elif kind == 1 and len(letters) > 1:
            del letters[index]
        elif kind == 2:
            letters[index] = rng.choice(LETTERS)
        elif index:
            letters[index - 1 : index + 1] = letters[index], letters[index - 1]
    return "".join(letters)


def said(names: Sequence[str], known: Sequence[str], rng: random.Random) -> str:
    """A name as people say it, or another word."""
    text = rng.choice(names)
    if rng.random() < 0.4:
        text = misspelt(text, rng)
    if rng.random() < 0.3:
        text += rng.choice(ENDINGS)
    if rng.random() < 0.3:
        text += rng.choice(known)
    if rng.random() < 0.2:
        text = text.replace(" ", "")
    if rng.random() < 0.2:
        text = text.replace("ü", "ue").replace("ö", "oe").replace("ß", "ss")
    return text.upper() if rng.random() < 0.1 else text


# A home and a sentence are so many choices that they are drawn by a generator of their own; what hypothesis chooses is
# its seed and the letters that it draws from.
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), alphabet=st.sampled_from(["aeounrsüöälß1é'", "abcü", "aeoub", "lampe", "світло"]))
def test_finds_what_the_host_finds(language: Language, seed: int, alphabet: str) -> None:
    rng = random.Random(seed)
    words = [
        rng.choice(language.words) if rng.random() < 0.6 else "".join(rng.choices(alphabet, k=rng.randint(1, 12)))
        for _ in range(14)
    ]
    names = [
        ("" if rng.random() < 0.2 else " ").join(rng.choices(words, k=rng.choice([1, 1, 1, 2, 2, 3])))
        for _ in range(rng.choice([1, 2, 8, 30]))
    ]
    layers = [
        [Entry(rng.choice(names), kind, rng.choice(["A", "B", *names])) for _ in range(rng.choice([0, 1, 5, 20]))]
        for kind in ("name", "list")
    ]
    known = sorted({rng.choice(words) for _ in range(rng.choice([1, 3, 8]))})
    annotator = language.annotator(layers, known)
    for _ in range(12):
        sentence = " ".join(said([*names, *words], known, rng) for _ in range(rng.choice([1, 2, 3, 5, 8, 15, 40])))
        assert_equal(annotator.annotate(sentence), language.device.annotate(sentence))


@settings(max_examples=200, deadline=None)
@given(sentence=st.text(max_size=60))
@example("")
@example("ku\u0308chenlicht")
@example("lampe " * 17)
@example("5 " * 16 + "flur")
@example("5 " * 17)
@example("flurlicht " * 40)
@example("flurlicht " * 8 + "x " * 52)
@example("x " * 65)
@example("buro " * 64)
@example("tuer" + "x" * 700)
@example("wohnzimmer" * 30)
def test_reads_any_text_as_the_host_does(language: Language, sentence: str) -> None:
    layers = [
        [Entry(name, "name", name) for name in ("Küche", "Flur", "Wohnzimmer", "Lampe")],
        [Entry("5 x", "list", "5")],
    ]
    annotator = language.annotator(layers, ["licht", "tür"])
    assert_equal(annotator.annotate(sentence), language.device.annotate(sentence))


def test_the_tables_that_are_written_find_the_same(tmp_path: Path) -> None:
    names = ["Küche", "Flur", "Wohnzimmer", 'Die "Lampe" */ 2', "Büro\\Süd", "Große Lampe", "Rollo links", "Flur"]
    lists = [
        Entry(f"Wert {index}", "list", value) for index, value in enumerate(("wert 0", "eins", "eins", "ein ü", ""))
    ]
    words = ["licht", "tür", "an"]
    normalizer, restore = Normalizer(), build_restore(words, (), umlauts=True)
    vocabulary = Vocabulary(lists, normalizer, load_language_file("de", "inflection"))
    for layers in (vocabulary, vocabulary.with_entries(Entry(name, "name", name.upper()) for name in names)):
        size = write_vocabulary(layers, words, KINDS, tmp_path)
        assert size.total == sum(size.layers) + size.words + size.inflection > 1000
        device = compile_matcher("de", tmp_path, restore, tmp_path / "vocabulary_tables.c", "-DHAS_VOCABULARY")
        annotator = Annotator(normalizer, layers, quantities("de"), words, restore)
        for sentence in (
            "Küchenlicht an",
            "in der kueche und im Flur",
            "die lampe 2, 5 minuten",
            "mit der großen lampe",
            "büro süd",
            "bürosüds",
            "wert 0 wert 1 wert 2 wert 3 wert 4",
            "rolo lniks",
            "hallo wohnzimer, flur",
        ):
            assert_equal(annotator.annotate(sentence), device.annotate(sentence))
        device.close()


def test_what_the_tables_cannot_hold_is_refused(tmp_path: Path) -> None:
    normalizer = Normalizer()

    def write(entries: Sequence[Entry], inflection: Mapping[str, object] | None = None) -> None:
        write_vocabulary(Vocabulary(entries, normalizer, inflection or {}), ["on"], KINDS, tmp_path)

    with pytest.raises(ThimbleError, match="kind 'room' have no marker"):
        write([Entry("x", "room", "x")])
    with pytest.raises(ThimbleError, match="has 300 bytes"):
        write([Entry("x" * 300, "list", "x")])
    with pytest.raises(ThimbleError, match="more letters"):
        write([], {"compounds": {"dropped": ["x" * 9]}})
    above = Vocabulary([], normalizer, {}).with_entries([]).with_entries([])
    with pytest.raises(ThimbleError, match="3 layers"):
        write_vocabulary(above, [], KINDS, tmp_path)
    with pytest.raises(ThimbleError, match="'number' have no marker"):
        write_vocabulary(Vocabulary([], normalizer, {}), [], ["list"], tmp_path)
