"""llama2.c's tokenizer: the table of pairs encodes as run.c does by texts and scores."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import ThimbleError
from pipeline.resources import ROOT
from pipeline.text.tokenizers.llama2c import Llama2cTokenizer
from pipeline.text.tokenizers.load import load_tokenizer
from tests.support.made_llama2c import pieces_of, reference_encode, tokenizer_file

STORIES = ROOT.parent / "shared" / "stories260K"
Pieces = list[tuple[bytes, float]]


def _tokenizer(pieces: Pieces) -> Llama2cTokenizer:
    return Llama2cTokenizer([text for text, _ in pieces], [score for _, score in pieces])


@st.composite
def vocabularies(draw: st.DrawFn) -> Pieces:
    """Short pieces over few letters, spaces inside too, with few different scores: many ways to merge."""
    texts = draw(st.lists(st.text("ab é", min_size=1, max_size=4), unique=True, max_size=25))
    scores = st.sampled_from([0.0, -1.0, -2.0, -3.5, -1e10, -2e10])
    return pieces_of({" ": -9.0, **{text: draw(scores) for text in texts if text != " "}})


@settings(max_examples=300, deadline=None)
@given(vocabularies(), st.text("ab éx\n", max_size=14))
def test_encodes_as_llama2c_does(pieces: Pieces, text: str) -> None:
    tokenizer = _tokenizer(pieces)
    ids = tokenizer.encode(text)
    assert ids == reference_encode(pieces, text)
    assert tokenizer.encode_prompt(text) == [1, *ids]
    assert tokenizer.decode([1, *ids]) == text
    assert tokenizer.decode(ids, after=1) == text


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
@example("")
@example(" ")
@example("  two  spaces")
@example("\n<s>\n</s><0x41><unk>")
@example("Ärger, 日本, \U0001f600, \x00")
def test_the_real_tokenizer(text: str) -> None:
    path = STORIES / "tok512.bin"
    if not path.exists():
        pytest.skip("no stories260K in ../shared")
    tokenizer = Llama2cTokenizer.read(path, 512)
    pieces = list(zip(tokenizer._texts, tokenizer._scores, strict=True))
    assert tokenizer.template.split_on_space
    assert tokenizer.encode(text) == reference_encode(pieces, text)
    assert tokenizer.decode(tokenizer.encode_prompt(text)) == text


def test_what_is_known_of_run_c() -> None:
    """Steps that one can follow: the best score first, the leftmost of equals, and bytes for what has no piece."""
    tokenizer = _tokenizer(pieces_of({" ": -9, "a": -8, "b": -7, "ab": -2, "ba": -2, "aba": -1, " a": -5}))
    known = {text: 259 + index for index, text in enumerate([" ", "a", "b", "ab", "ba", "aba", " a"])}
    assert tokenizer.encode("aba") == [known[" "], known["aba"]]
    assert tokenizer.encode("bab") == [known[" "], known["ba"], known["b"]]
    assert tokenizer.encode("aé") == [known[" a"], 3 + 0xC3, 3 + 0xA9]
    assert tokenizer.encode("") == []


def test_the_frame() -> None:
    template = _tokenizer(pieces_of({" ": 0.0, "a": 0.0, " a": 0.0})).template
    assert (template.bos, template.suffix, template.prefix, template.stops) == (1, (), (259,), (1, 2))
    assert template.split_on_space and template.strip_leading_space and not template.lowercase
    assert not _tokenizer(pieces_of({" ": 0.0, "a": 0.0, "a ": 0.0})).template.split_on_space


def test_specials_have_no_text() -> None:
    tokenizer = _tokenizer(pieces_of({" ": 0.0}))
    assert tokenizer.decode([0, 1, 2]) == ""
    assert tokenizer.decode_bytes([3 + 0xC3, 3 + 0x0A]) == b"\xc3\n"


def test_saved_and_loaded(tmp_path: Path) -> None:
    pieces = pieces_of({" ": -0.1, "é": -1.25, " é": 3.5, '"': 0.0, "\t": 1e-9})
    read = Llama2cTokenizer.read(tokenizer_file(tmp_path / "made.bin", pieces), len(pieces))
    read.save(tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert isinstance(loaded, Llama2cTokenizer)
    assert (loaded.pieces, loaded.ranked_merges, loaded.template) == (read.pieces, read.ranked_merges, read.template)


GOOD = pieces_of({" ": 0.0, "a": -1.0})


@pytest.mark.parametrize(
    ("pieces", "longest", "message"),
    [
        (GOOD[:-1], None, "has 260 tokens, the checkpoint 261"),
        ([*GOOD, (b"b", 0.0)], None, "has 262 tokens, the checkpoint 261"),
        ([*GOOD[:-1], (b"\xff", 0.0)], None, "token 260 is no UTF-8"),
        ([*GOOD[:-1], (b"a\0b", 0.0)], None, "token 260 holds a zero byte"),
        ([*GOOD[:-1], (b"a", float("nan"))], None, "the score of token 260 is no number"),
        ([*GOOD[:-1], (b"a", float("-inf"))], None, "the score of token 260 is no number"),
        (GOOD, 5, "token 1 has a length of 5|token 0 has a length|at most 5"),
        (GOOD, -1, "token 0 has a length of 5"),
        ([GOOD[0], *GOOD[2:], GOOD[1]], None, "no tokens <0x00> to <0xFF>"),
        ([*GOOD[:-2], (b"b", 0.0), GOOD[-1]], None, "no token for a space"),
    ],
)
def test_files_that_cannot_be_are_named(pieces: Pieces, longest: int | None, message: str, tmp_path: Path) -> None:
    path = tokenizer_file(tmp_path / "made.bin", pieces, longest)
    with pytest.raises(ThimbleError, match=message):
        Llama2cTokenizer.read(path, 261)


@pytest.mark.parametrize("length", [0, 3, 5, 11, 14, -1])
def test_a_file_that_is_cut_off(length: int, tmp_path: Path) -> None:
    path = tokenizer_file(tmp_path / "made.bin", GOOD)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ThimbleError, match=r"is cut off in token|not even its header"):
        Llama2cTokenizer.read(path, 261)


@pytest.mark.parametrize("length", [-1, -(2**31), 2**31 - 1])
def test_lengths_that_cannot_be(length: int, tmp_path: Path) -> None:
    path = tokenizer_file(tmp_path / "made.bin", GOOD)
    data = bytearray(path.read_bytes())
    struct.pack_into("<i", data, 8, length)
    path.write_bytes(data)
    with pytest.raises(ThimbleError, match=f"token 0 has a length of {length}"):
        Llama2cTokenizer.read(path, 261)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match="cannot read the tokenizer"):
        Llama2cTokenizer.read(tmp_path / "none.bin", 261)
    (tmp_path / "tokenizer.json").write_text('{"type": "llama2.c", "pieces": ["a"], "scores": []}')
    with pytest.raises(ThimbleError, match="is not a tokenizer"):
        load_tokenizer(tmp_path / "tokenizer.json")
