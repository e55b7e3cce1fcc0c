"""The tokenizer of plain text: what goes in comes out, with its case, line ends and indentation."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ThimbleError
from pipeline.text.tokenizers.byte_bpe import BOS, BYTE_BASE, Tokenizer
from pipeline.text.tokenizers.load import load_tokenizer
from pipeline.text.tokenizers.text_bpe import TextTokenizer, train_on_texts
from tests.support.reference_bpe import merged, reference_characters

TEXTS = [
    "def Greet(name):\n    if name:\n        return f'Hello, {name}'\n    return None\n",
    "[INFO] 12:00:01 Pump ON\r\n[WARN] 12:00:02 Level LOW\r\n",
    "Once upon a time there was a Fox.\n\nThe Fox said, “Grüße!”\n\tEnd",
    "user: Hi\nbot: Hello! How are you?\nuser: Fine",
]
like = st.lists(st.sampled_from([*" \n\t\r", "    ", "\n    ", "the", "Fox", "return", "ü", "“", "[INFO]"])).map(
    "".join
)
texts = st.one_of(st.text(max_size=60), like, st.text(alphabet="aB \n\t\r\u00a0\u2028", max_size=40))


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return train_on_texts(TEXTS * 5, 380)


def words(text: str) -> list[str]:
    """A word begins where white space does."""
    found, before = [""], ""
    for character in text:
        if character in " \t\n\r" and before not in tuple(" \t\n\r"):
            found.append("")
        found[-1] += character
        before = character
    return found


@given(text=texts)
@settings(max_examples=500, deadline=None)
def test_what_goes_in_comes_out(tokenizer: TextTokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text and tokenizer.decode_bytes(ids) == text.encode()
    assert tokenizer.encode_prompt(text) == [BOS, *ids]
    assert all(index >= BYTE_BASE for index in ids)


@given(text=texts)
@settings(max_examples=500, deadline=None)
def test_it_merges_like_the_reference(tokenizer: TextTokenizer, text: str) -> None:
    expected = [index for word in words(text) for index in merged(tokenizer, reference_characters(tokenizer, word))]
    assert tokenizer.encode(text) == expected


def test_many_at_once_are_as_one_by_one(tokenizer: TextTokenizer) -> None:
    assert [list(ids) for ids in tokenizer.encode_many(iter(TEXTS * 600))] == [*map(tokenizer.encode, TEXTS)] * 600


def test_an_indentation_is_a_piece(tokenizer: TextTokenizer) -> None:
    assert any(piece.startswith(b"\n   ") for piece in tokenizer.pieces)
    plain = Tokenizer.train(TEXTS * 5, 380)
    assert len(tokenizer.encode(TEXTS[0])) < len(plain.encode(TEXTS[0]))


def test_a_file(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    loaded = load_tokenizer(path)
    assert isinstance(loaded, TextTokenizer) and loaded.template == tokenizer.template
    assert loaded.pieces == tokenizer.pieces and loaded.encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])
    for content in ('{"type": "text"}', '{"type": "text", "tokenizer": {}}', '{"type": "text", "tokenizer": 3}'):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ThimbleError, match="is not a tokenizer"):
            load_tokenizer(path)


def test_long_rules_take_no_long_pieces() -> None:
    tokenizer = train_on_texts(["-" * 500 + f" {number}" for number in range(40)], 296)
    assert max(map(len, tokenizer.pieces)) <= 32


def test_too_little_text_says_how_much_it_gives() -> None:
    with pytest.raises(ThimbleError, match=r"`tokenizer.vocab_size` asks for 2,000") as caught:
        train_on_texts(TEXTS, 2000)
    size = int(caught.value.remedy.split("vocab_size: ")[1].split("}")[0])
    assert train_on_texts(TEXTS, size).vocab_size == size
