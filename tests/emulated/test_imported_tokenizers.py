"""Tokenizers of other projects: the device's C, compiled for the host, against the library that they were made with."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.errors import ThimbleError, UnsupportedModel
from pipeline.importers.refusals import Refusals
from pipeline.importers.sentencepiece_model import read_sentencepiece
from pipeline.importers.tokenizer_json import read_tokenizer_json
from pipeline.importers.tokenizer_parts import Frame
from pipeline.text.tokenizers.load import load_tokenizer
from pipeline.text.tokenizers.tables import TableTokenizer
from tests.emulated.test_tokenizer_in_c import CTokenizer, compile_tokenizer
from tests.support.made_models import (
    TEXTS,
    byte_level_tokenizer,
    sentencepiece_model,
    sentencepiece_tokenizer_json,
)

COUNT = int(os.environ.get("THIMBLE_TOKENIZER_STRINGS", "400"))
"""Strings a kind; docs/import.md says with how many it was run by hand."""
ALPHABET = [
    *"  \t\n\r'stmdrevlSTMDREVLabcdefgé1２½.,!-–ſ\u212a中",
    "\u00a0",
    "\u3000",
    "\u0301",
    "😀",
    "\x00",
    "▁",
    "\u0130",
]
NATURAL = " ".join(TEXTS).split(" ")


class Kind(NamedTuple):
    """The library's own encoder, the tables made of its file, and the C of these."""

    encode: Callable[[str], list[int]]
    tables: TableTokenizer
    device: CTokenizer


def _byte_level(kind: str) -> Callable[[Path], tuple[Callable[[str], list[int]], TableTokenizer | None]]:
    def make(folder: Path) -> tuple[Callable[[str], list[int]], TableTokenizer | None]:
        library = byte_level_tokenizer(kind)
        path = folder / "tokenizer.json"
        library.save(str(path))
        refusals = Refusals(folder)
        tables = read_tokenizer_json(path, 410, Frame(bos=0), refusals)
        refusals.check()
        return lambda text: list(library.encode(text, add_special_tokens=False).ids), tables

    return make


def _fallback(folder: Path) -> tuple[Callable[[str], list[int]], TableTokenizer | None]:
    library = sentencepiece_tokenizer_json(folder / "tokenizer.json")
    refusals = Refusals(folder)
    tables = read_tokenizer_json(folder / "tokenizer.json", library.get_vocab_size(), Frame(1, (2,)), refusals)
    refusals.check()
    return lambda text: list(library.encode(text, add_special_tokens=False).ids), tables


def _sentencepiece(folder: Path) -> tuple[Callable[[str], list[int]], TableTokenizer | None]:
    sentencepiece = pytest.importorskip("sentencepiece")
    path = sentencepiece_model(folder)
    library = sentencepiece.SentencePieceProcessor(model_file=str(path))
    refusals = Refusals(folder)
    tables = read_sentencepiece(path, library.vocab_size(), Frame(), refusals)
    refusals.check()
    return lambda text: list(library.encode(text)), tables


KINDS = {
    "byte-level, GPT-2": _byte_level("gpt2"),
    "byte-level, digits apart": _byte_level("digits"),
    "byte-level, Llama 3": _byte_level("llama3"),
    "byte-level, Qwen 2": _byte_level("qwen2"),
    "tokenizer.json of SentencePiece": _fallback,
    "tokenizer.model of SentencePiece": _sentencepiece,
}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    folder = tmp_path_factory.mktemp("tokenizer")
    encode, tables = KINDS[request.param](folder)
    assert tables is not None
    tables.save(folder / "saved.json")
    loaded = load_tokenizer(folder / "saved.json")
    assert isinstance(loaded, TableTokenizer) and loaded.template == tables.template
    return Kind(encode, loaded, compile_tokenizer(loaded, folder))


def _strings(count: int, seed: int) -> list[str]:
    """Random strings that provoke borders of words, and words of natural texts put together anew."""
    rng = random.Random(seed)
    texts = ["", " ", "  ", *TEXTS[:4]]
    while len(texts) < count:
        form = rng.randrange(4)
        if form == 0:
            texts.append("".join(rng.choice(ALPHABET) for _ in range(rng.randrange(20))))
        elif form == 1:
            texts.append("".join(chr(rng.randrange(0xD800)) for _ in range(4)))
        elif form == 2:
            texts.append("".join(chr(c) for c in rng.sample(range(0x11000, 0x1F000), 3)))
        else:
            texts.append(rng.choice(["", " "]).join(rng.choices(NATURAL, k=rng.randrange(1, 8))))
    return texts


def test_encodes_as_the_library_does(kind: Kind) -> None:
    for text in _strings(COUNT, seed=7):
        expected = kind.encode(text)
        assert kind.device.encode(text.encode()) == expected, repr(text)
        if COUNT < 1000:
            assert kind.tables.encode(text) == expected, repr(text)


def test_decodes_to_the_same_bytes(kind: Kind) -> None:
    template = kind.tables.template
    for text in _strings(60, seed=8):
        ids = kind.tables.encode(text)
        shown = text.replace("▁", " ") if template.prefix else text
        assert kind.device.text(ids, template.bos) == kind.tables.decode_bytes(ids, template.bos) == shown.encode()
    prompt = kind.device.prompt(b"the fox", 40)
    assert prompt == [template.bos, *kind.encode("the fox")] == kind.tables.encode_prompt("the fox")


def test_text_that_is_no_utf8_is_refused(kind: Kind) -> None:
    for data in (b"\xc3", b"ab \xff", b"'\x80s", b" \xe2\x96", b"1\xf0\x9f"):
        assert kind.device.encode(data) == -1


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unigram": ({"model_type": "unigram"}, "of the kind unigram"),
    "normalization": ({"normalization_rule_name": "nmt_nfkc"}, "normalizes by nmt_nfkc"),
    "spaces": ({"remove_extra_whitespaces": True}, "removes spaces"),
    "no bytes": ({"byte_fallback": False}, "no tokens for 256 of the 256 bytes"),
    "symbols of the user's": (
        {"user_defined_symbols": ["<sep>"]},
        "1 tokens of the user's, or unused ones, such as '<sep>'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_sentencepiece_models_that_are_refused(case: str, tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    options, message = REFUSED[case]
    refusals = Refusals(tmp_path)
    read_sentencepiece(sentencepiece_model(tmp_path, **options), 400, Frame(), refusals)
    with pytest.raises(UnsupportedModel, match=message) as caught:
        refusals.check()
    assert "train it with" in str(caught.value)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    (tmp_path / "tokenizer.model").write_bytes(b"\xff" * 40)
    with pytest.raises(ThimbleError, match="no SentencePiece model"):
        read_sentencepiece(tmp_path / "tokenizer.model", 400, Frame(), Refusals(tmp_path))
    (tmp_path / "saved.json").write_text('{"type": "tables", "pieces": ["a"], "characters": {"a": 3}, "merges": []}')
    with pytest.raises(ThimbleError, match="not a tokenizer"):
        load_tokenizer(tmp_path / "saved.json")
