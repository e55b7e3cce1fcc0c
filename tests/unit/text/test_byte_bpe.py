"""The tokenizer: exact both ways, the same as its reference, never fooled by what a user types."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ThimbleError
from pipeline.tasks.task import Dataset
from pipeline.text.prompt import fold
from pipeline.text.tokenizers.byte_bpe import BOS, BYTE_BASE, EOS, PAD, SEP, Tokenizer
from tests.support.reference_bpe import reference_encode

SPECIALS = ("<pad>", "<bos>", "<sep>", "<eos>")

words = st.sampled_from(["turn", "off", "the", "kitchen", "marvok", "42", "HassTurnOff", "<eos>", "<0x41>"])
sentences = st.lists(words, max_size=8).map(" ".join)
texts = st.one_of(
    st.text(),
    st.text(alphabet="abcdeilnorst =" + "\0\t\n"),
    st.text(alphabet="aé e\u0301 ß灯🙂\u200d👩\u00a0 "),
    sentences,
    st.tuples(sentences, st.text(max_size=4), sentences).map("".join),
)


def _texts(dataset: Dataset) -> list[str]:
    pairs = [*dataset.dev, *(pair for pairs in dataset.splits.values() for pair in pairs)]
    return [text for pair in pairs for text in (pair.sentence, pair.action)]


@pytest.fixture(scope="module")
def tokenizer(english: Dataset) -> Tokenizer:
    return Tokenizer.train(_texts(english), 512)


@given(text=texts)
@settings(max_examples=500, deadline=None)
def test_decoding_undoes_encoding(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode_bytes(ids) == text.encode()


@given(text=texts)
@settings(max_examples=500, deadline=None)
def test_the_library_merges_like_the_reference(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.encode(text) == reference_encode(tokenizer, text)


def test_the_reference_agrees_on_the_task_s_own_texts(tokenizer: Tokenizer, english: Dataset) -> None:
    for text in _texts(english)[:1000]:
        assert tokenizer.encode(text) == reference_encode(tokenizer, text)


@pytest.mark.parametrize("text", ["", " ", "  ", " a ", "a  b", "\0", "\0\0 \0", "e\u0301", "🙂", "\ufeffa", "\r\n"])
def test_odd_texts_come_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=texts)
@settings(max_examples=200, deadline=None)
def test_text_never_becomes_a_special(tokenizer: Tokenizer, text: str) -> None:
    assert all(index >= BYTE_BASE for name in SPECIALS for index in tokenizer.encode(text + name + text))


def test_a_training_text_that_spells_specials_takes_nothing_from_them() -> None:
    tokenizer = Tokenizer.train(["<eos> <0x41> <eos> <0x41>"] * 50, 320)
    assert tokenizer.encode("\x01A") == [BYTE_BASE + 1, BYTE_BASE + 0x41]
    for text in ("<eos>", "<0x41>", "x<eos>x <0x41>"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert tokenizer.encode(text) == reference_encode(tokenizer, text)
        assert min(tokenizer.encode(text)) >= BYTE_BASE


def test_ids_are_specials_then_bytes_then_pieces(tokenizer: Tokenizer) -> None:
    assert (PAD, BOS, SEP, EOS) == (0, 1, 2, 3)
    assert tokenizer.vocab_size == len(tokenizer.pieces) == 512
    assert tokenizer.pieces[:4] == [b""] * 4
    assert tokenizer.pieces[BYTE_BASE : BYTE_BASE + 256] == [bytes([value]) for value in range(256)]
    assert tokenizer.decode_bytes([BOS, BYTE_BASE + ord("a"), EOS]) == b"a"


def test_a_merge_joins_the_bytes_of_its_halves(tokenizer: Tokenizer) -> None:
    assert tokenizer.merges
    for left, right, merged in tokenizer.merges:
        assert tokenizer.pieces[merged] == tokenizer.pieces[left] + tokenizer.pieces[right]


def test_broken_utf8_decodes_to_replacement_characters(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode([BYTE_BASE + 0xC3]) == "\ufffd"
    assert tokenizer.decode_bytes([BYTE_BASE + 0xC3]) == b"\xc3"


def test_a_prompt_and_a_pair(tokenizer: Tokenizer) -> None:
    prompt = tokenizer.encode_prompt("Turn ON the Kitchen lights")
    assert prompt == [BOS, *tokenizer.encode("turn on the kitchen lights"), SEP]
    pair = tokenizer.encode_pair("turn on", "HassTurnOn")
    assert pair == [*tokenizer.encode_prompt("turn on"), *tokenizer.encode("HassTurnOn"), EOS]


def test_fold_lowers_two_ranges_only() -> None:
    assert fold("ABYZ ÀÖØÞ × ßàÿ") == "abyz àöøþ × ßàÿ"
    assert fold("ŁДΣİ灯\0") == "ŁДΣİ灯\0"


@given(text=st.text())
@settings(max_examples=300, deadline=None)
def test_fold_keeps_the_length_in_bytes_and_needs_no_second_time(text: str) -> None:
    assert len(fold(text).encode()) == len(text.encode())
    assert fold(fold(text)) == fold(text)


def test_training_is_deterministic(english: Dataset, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        Tokenizer.train(_texts(english), 512).save(tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_saved_and_loaded_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = Tokenizer.load(tmp_path / "tokenizer.json")
    assert (loaded.pieces, loaded.merges) == (tokenizer.pieces, tokenizer.merges)
    for text in ("turn on", "<eos> 🙂", " \0 "):
        assert loaded.encode(text) == tokenizer.encode(text)


def test_an_alphabet_of_thousands_does_not_eat_the_vocabulary() -> None:
    texts = ["".join(chr(0x4E00 + (37 * i + j) % 4000) for j in range(12)) + " 开灯 关灯" for i in range(400)]
    tokenizer = Tokenizer.train(texts, 512, alphabet=100)
    single = [piece for piece in tokenizer.pieces[BYTE_BASE + 256 :] if len(piece.decode()) == 1]
    assert len(single) <= 100
    assert tokenizer.decode(tokenizer.encode(texts[0])) == texts[0]
    assert tokenizer.encode(texts[0]) == reference_encode(tokenizer, texts[0])


@pytest.mark.parametrize("size", [260, 261, 300])
def test_small_vocabularies(english: Dataset, size: int) -> None:
    tokenizer = Tokenizer.train(_texts(english)[:2000], size)
    assert tokenizer.vocab_size <= size
    assert tokenizer.encode("turn off") == reference_encode(tokenizer, "turn off")
    assert tokenizer.decode(tokenizer.encode("turn off 灯")) == "turn off 灯"


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match=r"cannot read the tokenizer .*none\.json"):
        Tokenizer.load(tmp_path / "none.json")


@pytest.mark.parametrize("content", ["", "{}", "[1]", "not json", '{"model": {}}'])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ThimbleError, match="is not a tokenizer"):
        Tokenizer.load(path)


def test_a_file_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ThimbleError, match="is not a tokenizer"):
        Tokenizer.load(path)


def test_a_tokenizer_of_another_form_is_an_error(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    data = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = data["model"]["vocab"]
    vocabulary["<pad>"], vocabulary["<bos>"] = vocabulary["<bos>"], vocabulary["<pad>"]
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ThimbleError, match="not a tokenizer of this form"):
        Tokenizer.load(path)
