"""The device's tokenizer, compiled for the host, against the host's."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.firmware.tables import write_tokenizer
from pipeline.resources import ROOT
from pipeline.text.prompt import PromptTemplate, PromptTokenizer, fold
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.text.tokenizers.llama2c import Llama2cTokenizer
from pipeline.text.tokenizers.text_bpe import TextTokenizer
from tests.support.made_llama2c import pieces_of

RUNTIME = ROOT / "firmware_templates" / "runtime"
NOT_UTF8, TOO_LONG = -1, -2

TEXTS = [
    "turn on the kitchen lights",
    "turn off the living room lamp",
    "schalte das große licht im büro aus",
    "HassTurnOn area=kitchen domain=light",
    "HassLightSet area=büro brightness=50",
    "réglez la température à 21 degrés",
    "включи свет на кухне",
]

PLAIN = [
    "def Turn(on):\n    if on:\n        return ON\n    return None\n",
    "[INFO] Küche: Licht AN\r\n\tnext   line\n\n\nThe End. ",
]


class CTokenizer:
    """The compiled C."""

    def __init__(self, library: Path) -> None:
        self.c = ctypes.CDLL(str(library))
        self.c.thimble_encode.restype = self.c.thimble_encode_prompt.restype = ctypes.c_int32
        self.c.thimble_stops.restype = ctypes.c_bool
        self.c.thimble_piece.restype = ctypes.POINTER(ctypes.c_uint8)
        self.tables = ctypes.c_char.in_dll(self.c, "thimble_model_tokenizer")

    def encode(self, text: bytes, capacity: int | None = None) -> list[int] | int:
        """Ids, or the error. The text gets no byte behind it that may be read."""
        room = len(text) + 1 if capacity is None else capacity
        ids = (ctypes.c_uint16 * max(room, 1))()
        count = self.c.thimble_encode(
            ctypes.byref(self.tables), text, ctypes.c_size_t(len(text)), ids, ctypes.c_size_t(room)
        )
        return list(ids[:count]) if count >= 0 else int(count)

    def fold(self, text: bytes) -> bytes:
        buffer = ctypes.create_string_buffer(text, len(text) + 1)
        self.c.thimble_fold(ctypes.byref(self.tables), buffer, ctypes.c_size_t(len(text)))
        return buffer.raw[: len(text)]

    def prompt(self, text: bytes, capacity: int) -> list[int] | int:
        ids = (ctypes.c_uint16 * max(capacity, 1))()
        buffer = ctypes.create_string_buffer(text, len(text) + 1)
        count = self.c.thimble_encode_prompt(
            ctypes.byref(self.tables), buffer, ctypes.c_size_t(len(text)), ids, ctypes.c_size_t(capacity)
        )
        assert buffer.raw[: len(text)] == text, "the caller's text was changed"
        return list(ids[:count]) if count >= 0 else int(count)

    def stops(self, index: int) -> bool:
        return bool(self.c.thimble_stops(ctypes.byref(self.tables), ctypes.c_int32(index)))

    def text(self, ids: list[int], before: int) -> bytes:
        return b"".join(self.piece(index, last) for last, index in pairwise([before, *ids]))

    def piece(self, index: int, before: int = -1) -> bytes:
        length = ctypes.c_size_t()
        pointer = self.c.thimble_piece(
            ctypes.byref(self.tables), ctypes.c_int32(before), ctypes.c_int32(index), ctypes.byref(length)
        )
        return ctypes.string_at(pointer, length.value)


def llama2c(spaces_inside: bool) -> Llama2cTokenizer:
    """Every part of the texts' words, up to five characters, at few different scores; with `spaces_inside` also parts
    that span words."""
    parts = {text[i:j] for text in TEXTS for i in range(len(text)) for j in range(i + 1, i + 6)}
    learned = sorted(part for part in parts if spaces_inside or " " not in part[1:])
    pieces = pieces_of({" ": -1.0, **{part: -float(len(part) * 7919 % 13) for part in learned}})
    return Llama2cTokenizer([text for text, _ in pieces], [score for _, score in pieces])


KINDS: dict[str, Callable[[], PromptTokenizer]] = {
    "small": lambda: Tokenizer.train(TEXTS * 3, 290, 24),
    "large": lambda: Tokenizer.train(TEXTS * 3, 420, 100),
    "tiny": lambda: Tokenizer.train(TEXTS * 3, 261, 1),
    "text": lambda: TextTokenizer.train([*TEXTS, *PLAIN] * 3, 420),
    "llama2.c": lambda: llama2c(False),
    "llama2.c, spaces inside": lambda: llama2c(True),
}


@pytest.fixture(scope="module", params=KINDS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PromptTokenizer, CTokenizer]:
    tokenizer = KINDS[request.param]()
    return tokenizer, compile_tokenizer(tokenizer, tmp_path_factory.mktemp("tokenizer"))


def compile_tokenizer(tokenizer: PromptTokenizer, folder: Path) -> CTokenizer:
    write_tokenizer(tokenizer, folder)
    library = folder / "tokenizer.so"
    subprocess.run(
        [
            tools.require("gcc"),
            *("-std=c11", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wconversion", "-Werror"),
            *("-fsanitize=undefined", "-fno-sanitize-recover", "-I", RUNTIME, "-I", folder, "-o", library),
            *(RUNTIME / "thimble_tokenizer.c", RUNTIME / "thimble_pretokenizer.c", folder / "tokenizer_tables.c"),
        ],
        check=True,
    )
    return CTokenizer(library)


def both(
    check: Callable[[PromptTokenizer, CTokenizer, str], None],
) -> Callable[[tuple[PromptTokenizer, CTokenizer]], None]:
    """Runs a check on texts like the training's, on any Unicode, and on repetitions that merge in many orders."""
    like = st.text(alphabet="".join(sorted({*"".join(TEXTS), *"ABXYZ"})), max_size=60)
    repeated = st.text(alphabet="the nio", max_size=80)
    plain = st.lists(st.sampled_from([*"".join(PLAIN), "\n    ", "  ", "return", "IF"]), max_size=60).map("".join)
    anything = st.text(max_size=40)

    def test(pair: tuple[PromptTokenizer, CTokenizer]) -> None:
        @settings(max_examples=400, deadline=None)
        @given(st.one_of(like, repeated, plain, anything))
        @example("")
        @example(" ")
        @example("  turn  on   ")
        @example(PLAIN[0])
        @example(PLAIN[1])
        @example("<pad><bos><0x41>")
        @example("\x00\x7f\u0080\u07ff\u0800\ufffd\uffff\U00010000\U0010ffff")
        @example("Àé×ÞßÖ ÷")
        def run(text: str) -> None:
            check(*pair, text)

        run()

    return test


def _encodes(host: PromptTokenizer, device: CTokenizer, text: str) -> None:
    assert device.encode(text.encode()) == host.encode(text)


def _frames(host: PromptTokenizer, device: CTokenizer, text: str) -> None:
    data = text.encode()
    around = 1 + len(host.template.prefix) + len(host.template.suffix)
    assert device.prompt(data, len(data) + around) == host.encode_prompt(text)
    assert device.prompt(data, len(host.encode_prompt(text)) - 1) == TOO_LONG


def _decodes(host: PromptTokenizer, device: CTokenizer, text: str) -> None:
    ids = host.encode(text)
    for before in (host.template.bos, 7):
        assert device.text(ids, before) == host.decode_bytes(ids, before)
    assert device.text(ids, host.template.bos) == text.encode()


def _folds(host: PromptTokenizer, device: CTokenizer, text: str) -> None:
    assert device.fold(text.encode()) == (fold(text) if host.template.lowercase else text).encode()


test_encodes_as_the_host_does = both(_encodes)
test_frames_as_the_host_does = both(_frames)
test_decodes_to_the_same_bytes = both(_decodes)
test_folds_as_the_host_does = both(_folds)


@settings(max_examples=500, deadline=None)
@given(data=st.binary(max_size=12))
@example(b"\xc0\x80")
@example(b"\xe0\x80\x80")
@example(b"\xed\xa0\x80")
@example(b"\xf0\x80\x80\x80")
@example(b"\xf4\x90\x80\x80")
@example(b"\xf8\x88\x80\x80\x80")
@example(b"abc\xc3")
def test_accepts_exactly_utf8(tokenizers: tuple[Tokenizer, CTokenizer], data: bytes) -> None:
    host, device = tokenizers
    try:
        expected: list[int] | int = host.encode(data.decode("utf-8"))
    except UnicodeDecodeError:
        expected = NOT_UTF8
    assert device.encode(data) == expected


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, CTokenizer]:
    tokenizer = Tokenizer.train(TEXTS * 3, 320)
    return tokenizer, compile_tokenizer(tokenizer, tmp_path_factory.mktemp("one"))


def test_every_piece(pair: tuple[PromptTokenizer, CTokenizer]) -> None:
    host, device = pair
    assert [index for index in range(-1, host.vocab_size + 1) if device.stops(index)] == sorted(host.template.stops)
    assert [device.piece(index) for index in range(host.vocab_size)] == host.pieces


@pytest.mark.parametrize("index", [-1, -(2**31), 320, 65535, 2**31 - 1])
def test_ids_out_of_range_have_no_bytes(tokenizers: tuple[Tokenizer, CTokenizer], index: int) -> None:
    assert tokenizers[1].piece(index) == b""


def test_text_beyond_the_capacity_is_refused(tokenizers: tuple[Tokenizer, CTokenizer]) -> None:
    _, device = tokenizers
    assert device.encode("☃☃".encode(), capacity=5) == TOO_LONG
    assert device.encode("☃☃".encode(), capacity=6) == [4 + byte for byte in "☃☃".encode()]


@settings(max_examples=200, deadline=None)
@given(st.text("tunohe ", max_size=60), st.integers(0, 70))
def test_ids_do_not_depend_on_the_places_behind_them(
    tokenizers: tuple[Tokenizer, CTokenizer], text: str, more: int
) -> None:
    """Ranks of pairs are kept there as far as there are places."""
    host, device = tokenizers
    assert device.encode(text.encode(), capacity=len(text) + more) == host.encode(text)


def test_a_vocabulary_beyond_the_tables_is_refused(tmp_path: Path) -> None:
    frame = PromptTemplate(bos=1, suffix=(), stops=(1,), byte_base=3)
    large: Any = SimpleNamespace(
        vocab_size=40000, pieces=[b"x"] * 40000, ranked_merges={}, characters={}, template=frame
    )
    with pytest.raises(ThimbleError, match="40000 ids"):
        write_tokenizer(large, tmp_path)
