"""Tokens of an old vocabulary as what those of a new one begin as."""

from __future__ import annotations

from pipeline.text.answers import AllowedValues, AnswerSchema
from pipeline.text.tokenizers.byte_bpe import BYTE_BASE, Tokenizer
from pipeline.text.transfer import TokenTable, token_sources

FIRST_PIECE = BYTE_BASE + 256
OLD = Tokenizer.train(["turn on the lamp", "turn off the lamp"] * 3, 330)
NEW = Tokenizer.train(["turn the lantern", "größer", "turn the lantern"] * 3, 320)


def schema(**changes: tuple[str, ...]) -> AnswerSchema:
    names = {
        "kinds": ("light", "number"),
        "intents": ("NoMatch", "TurnOn"),
        "slots": ("color", "name"),
        "values": ("red", "blue"),
        **changes,
    }
    return AnswerSchema(
        names["kinds"], frozenset({"number"}), 2, 3, names["intents"], names["slots"], names["values"],
        {1: {0: AllowedValues()}},
    )  # fmt: skip


def test_pieces_keep_their_ids_or_are_spelled_in_old_ones() -> None:
    sources = token_sources(TokenTable(OLD), TokenTable(NEW))
    assert len(sources) == TokenTable(NEW).size == NEW.vocab_size
    assert sources[:FIRST_PIECE] == [(index,) for index in range(FIRST_PIECE)]
    for index in range(FIRST_PIECE, NEW.vocab_size):
        piece = NEW.pieces[index]
        assert b"".join(OLD.pieces[source] for source in sources[index]) == piece
        assert (len(sources[index]) == 1) == (piece in OLD.pieces)
    assert any(len(rows) > 1 for rows in sources)


def test_answer_tokens_keep_those_of_their_name_and_kind() -> None:
    old = TokenTable(OLD, schema())
    new = TokenTable(OLD, schema(kinds=("fan", "light", "number"), values=("blue", "color"), intents=("NoMatch",)))
    rows = token_sources(old, new)[OLD.vocab_size :]
    first = OLD.vocab_size
    names = old.answer_names()
    assert names[:3] == [("kind", "light"), ("kind", "number"), ("pointer", "0")]
    assert rows[:3] == [(), (first,), (first + 1,)]
    assert rows[-2:] == [(first + names.index(("value", "blue")),), ()], "a slot of that name is no value"
    assert old.size == first + len(names)
    assert token_sources(TokenTable(OLD), old)[OLD.vocab_size :] == [()] * len(names)
