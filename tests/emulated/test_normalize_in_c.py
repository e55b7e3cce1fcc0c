"""The device's normalization, compiled for the host, against the host's."""

from __future__ import annotations

import io
import itertools
import random
import struct
import subprocess
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.firmware.normalize_tables import write_normalizer
from pipeline.resources import ROOT
from pipeline.text.annotation import Word
from pipeline.text.normalize import MAX_RESTORED_BYTES, SCRIPTS, FoldTable, Normalizer, build_restore, skeleton

RUNTIME = ROOT / "firmware_templates" / "runtime"
NOT_UTF8, TOO_LONG = -1, -2
MAX_WORDS, MAX_BYTES = 64, 640  # of thimble_words.h

WORDS = ["Küche", "Büro", "größe", "schön", "schon", "tür", "straße", "ελιά", "ёлка", "café", "übergroß", "Æther", "x"]
RESTORE = build_restore(WORDS, {"schon"}, umlauts=True)


class CNormalizer:
    """The compiled C: all requests go into one process."""

    def __init__(self, program: Path) -> None:
        self.program = program

    def _run(self, kind: bytes, texts: Sequence[bytes]) -> io.BytesIO:
        requests = b"".join(kind + struct.pack("<I", len(text)) + text for text in texts)
        return io.BytesIO(subprocess.run([self.program], input=requests, capture_output=True, check=True).stdout)

    def words(self, texts: Sequence[bytes]) -> list[list[Word] | int]:
        answers = self._run(b"N", texts)
        results = [_words(answers) for _ in texts]
        assert not answers.read()
        return results

    def skeletons(self, words: Sequence[str]) -> list[str]:
        answers = self._run(b"S", [word.encode() for word in words])
        return [answers.read(_number(answers)).decode() for _ in words]

    def restored(self, skeletons: Sequence[str]) -> list[str | None]:
        answers = self._run(b"R", [text.encode() for text in skeletons])
        counts = (_number(answers) for _ in skeletons)
        return [None if count < 0 else answers.read(count).decode() for count in counts]


def _number(answers: io.BytesIO) -> int:
    return int(struct.unpack("<i", answers.read(4))[0])


def _words(answers: io.BytesIO) -> list[Word] | int:
    returned = _number(answers)
    if returned < 0:
        return returned
    count = _number(answers)
    rows = [struct.unpack("<4i", answers.read(16)) for _ in range(count)]
    text = answers.read(_number(answers))
    words = [Word(text[start:end].decode(), begin, behind) for start, end, begin, behind in rows]
    assert returned == count and " ".join(word.text for word in words).encode() == text
    return words


def compiled(table: FoldTable, folder: Path, umlauts: bool = True, elided: Sequence[str] = ()) -> CNormalizer:
    restore = {skeleton(word, umlauts, table): word for word in RESTORE.values()}
    write_normalizer(table, folder, restore, umlauts, elided)
    subprocess.run(
        [
            tools.require("gcc"),
            *("-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"),
            *("-fsanitize=address,undefined", "-fno-sanitize-recover", "-I", RUNTIME, "-I", folder),
            *("-o", folder / "normalize", Path(__file__).with_name("normalize_texts.c")),
            *(RUNTIME / "thimble_normalize.c", folder / "normalizer_tables.c"),
        ],
        check=True,
    )
    return CNormalizer(folder / "normalize")


Pair = tuple[Normalizer, CNormalizer]


@pytest.fixture(scope="module", params=[tuple(SCRIPTS), ("latin",), ("cyrillic", "latin")], ids="-".join)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    table = FoldTable(request.param)
    return Normalizer(table), compiled(table, tmp_path_factory.mktemp("normalize"))


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> CNormalizer:
    return compiled(FoldTable(), tmp_path_factory.mktemp("normalize"))


def expected(host: Normalizer, text: str) -> list[Word] | int:
    words = host.words(text)
    num_bytes = len(" ".join(word.text for word in words).encode())
    return TOO_LONG if len(words) > MAX_WORDS or num_bytes > MAX_BYTES else words


def check(pair: Pair, texts: Iterable[str]) -> None:
    host, device = pair
    every = list(texts)
    for text, words in zip(every, device.words([text.encode() for text in every]), strict=True):
        assert words == expected(host, text), ascii(text)


def some_at_once(codes: Sequence[int], form: str) -> Iterator[str]:
    """Each code point in a form, 20 to a text."""
    for first in range(0, len(codes), 20):
        yield " ".join(form.format(chr(code)) for code in codes[first : first + 20])


def test_every_code_point_is_as_on_the_host(device: CNormalizer) -> None:
    check((Normalizer(), device), some_at_once([*range(0xD800), *range(0xE000, 0x110000)], "a{}b"))


@pytest.mark.parametrize("form", ["{}", "1{}2", " {}5e\u0301", "e\u0302{}"])
def test_code_points_are_as_on_the_host_in_every_context(pair: Pair, form: str) -> None:
    check(pair, some_at_once([*range(0x3100), *range(0xF800, 0x10100), *range(0x1D700, 0x1D810)], form))


@pytest.mark.parametrize(
    "alphabet",
    [
        "ab1. ,:'-’%",
        "a.b'1-",
        "aAuoeyηαΑωВй" + "".join(map(chr, (0x300, 0x301, 0x302, 0x303, 0x306, 0x308, 0x313, 0x323, 0x342, 0x345))),
        "".join(map(chr, (*range(0x20, 0x180), 0x200D, 0xFE0F, 0x1F600, 0x2212, 0x660, 0xFF11, 0x1D7D0, 0x20E3))),
    ],
)
def test_random_texts_are_as_on_the_host(pair: Pair, alphabet: str) -> None:
    rng = random.Random(7)
    check(pair, ("".join(rng.choices(alphabet, k=rng.randrange(24))) for _ in range(20_000)))


def test_elided_words_are_cut_as_on_the_host(tmp_path: Path) -> None:
    elided = ["l", "d", "qu", "jusqu"]
    pair = Normalizer(elided=elided), compiled(FoldTable(), tmp_path, elided=elided)
    rng = random.Random(7)
    parts = ["l'", "L’", "d'", "qu'", "q", "jusqu'", "air", "é", "e\u0301", "'", " ", "1", ".", "-", "%", "l", "\u00ad"]
    check(pair, ("".join(rng.choices(parts, k=rng.randrange(1, 9))) for _ in range(20_000)))


def test_random_unicode_is_as_on_the_host(pair: Pair) -> None:
    rng = random.Random(8)
    letters = [chr(code) for code in (*range(0x3000), *range(0xFE00, 0x10000), *range(0x1F000, 0x1F800))]
    check(pair, ("".join(rng.choices(letters, k=rng.randrange(30))) for _ in range(20_000)))


def test_long_texts_are_refused_where_the_words_do_not_fit(pair: Pair) -> None:
    texts = [letter * count for letter in ("a", "ä", "か", "𐌰", "a ", "% ", "1.", "a.", "ä'") for count in range(700)]
    texts += ["x " * 63 + "a" * count for count in range(500, 530)]
    texts += [" " * 65535, " " * 65536, " " * 65530 + "licht", "e" + "\u0301" * 32767]
    host, device = pair
    results = device.words([text.encode() for text in texts])
    for text, words in zip(texts, results, strict=True):
        assert words == (TOO_LONG if len(text.encode()) > 0xFFFF else expected(host, text))


def test_accepts_exactly_utf8(pair: Pair) -> None:
    rng = random.Random(9)
    bytes_that_matter = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xC3, 0xDF, 0xE0, 0xED]
    bytes_that_matter += [0xEF, 0xF0, 0xF4, 0xF5, 0xFF]
    texts = [bytes(text) for length in range(4) for text in itertools.product(bytes_that_matter, repeat=length)]
    texts += [bytes(rng.choices(bytes_that_matter, k=rng.randrange(4, 9))) for _ in range(20_000)]
    host, device = pair
    for text, words in zip(texts, device.words(texts), strict=True):
        try:
            assert words == host.words(text.decode()), text
        except UnicodeDecodeError:
            assert words == NOT_UTF8, text


@pytest.mark.parametrize("umlauts", [False, True])
def test_skeletons_are_those_of_the_host(umlauts: bool, tmp_path: Path) -> None:
    table = FoldTable()
    rng = random.Random(10)
    words = [chr(code) for code in range(0x3000)]
    words += ["".join(rng.choices("aeouäöüeßæœ'ełđйёế", k=rng.randrange(12))) for _ in range(5_000)]
    assert compiled(table, tmp_path, umlauts).skeletons(words) == [skeleton(word, umlauts, table) for word in words]


def test_lost_accents_are_restored_as_on_the_host(device: CNormalizer) -> None:
    texts = [*RESTORE, *RESTORE.values(), "", "a", "zzz", "kuch", "kuchen", "schon", "kuche" * 30]
    assert len(RESTORE) == 10
    assert device.restored(texts) == [RESTORE.get(text) for text in texts]


def test_the_file_states_its_size_and_scripts(tmp_path: Path) -> None:
    size = write_normalizer(FoldTable(), tmp_path)
    text = (tmp_path / "normalizer_tables.c").read_text()
    assert f"cyrillic and greek and latin:\n * {size.folds} bytes of folds" in text and f"; {size.total} in all" in text
    assert size.total <= 5 * 1024 and write_normalizer(FoldTable(["latin"]), tmp_path).total <= 3 * 1024 + 512


def test_words_of_other_skeletons_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match="other skeletons"):
        write_normalizer(FoldTable(), tmp_path, {"fuenf": "fünf"}, umlauts=True)


def test_more_words_than_the_table_holds_are_refused(tmp_path: Path) -> None:
    tails = ("".join(tail) for tail in itertools.product("abcd", repeat=6))
    many = ["ñ" + "y" * (MAX_RESTORED_BYTES - 10) + tail for tail in itertools.islice(tails, 1100)]
    with pytest.raises(ThimbleError, match="65535 is the most"):
        write_normalizer(FoldTable(), tmp_path, build_restore(many, ()))


def test_decomposed_text_gives_the_same_words(device: CNormalizer) -> None:
    texts = ["fünf Grad", "Tiếng Việt", "ΐ ᾧ", "ещё Йод"]
    forms = [[unicodedata.normalize(form, text).encode() for text in texts] for form in ("NFC", "NFD")]
    words = [[[w.text for w in found] for found in device.words(form) if isinstance(found, list)] for form in forms]
    assert words[0] == words[1] and sum(map(len, words[0])) == 8
