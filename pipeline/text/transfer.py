"""Which tokens of an old vocabulary the tokens of a new one begin as, so that a model can go on with other tokens.

A piece of text that both have keeps its embedding; a new one begins as the mean of the pieces that the old tokenizer
makes of it (Gee et al., "Fast Vocabulary Transfer for Language Model Compression", 2022). An answer token keeps that of
the same name and kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from pipeline.text.answers import AnswerSchema

__all__ = ["TokenTable", "token_sources"]


class _Pieces(Protocol):
    @property
    def pieces(self) -> Sequence[bytes]: ...

    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True)
class TokenTable:
    """The tokens of a model.

    Attributes:
        tokenizer: of text; its ids come first.
        schema: of answer tokens, whose ids follow; None for a model that answers in text.
    """

    tokenizer: _Pieces
    schema: AnswerSchema | None = None

    @property
    def size(self) -> int:
        """Ids in all."""
        return len(self.tokenizer.pieces) + (self.schema.num_tokens if self.schema else 0)

    def answer_names(self) -> list[tuple[str, str]]:
        """Kind and name of each answer token, in the order of ids."""
        schema = self.schema
        if schema is None:
            return []
        pointers, positions = map(str, range(schema.pointers)), map(str, range(schema.positions))
        groups = {
            "kind": schema.kinds,
            "pointer": tuple(pointers),
            "position": tuple(positions),
            "intent": schema.intents,
            "slot": schema.slots,
            "value": schema.values,
        }
        return list(chain.from_iterable([(kind, name) for name in names] for kind, names in groups.items()))


def token_sources(old: TokenTable, new: TokenTable) -> list[tuple[int, ...]]:
    """For each new id the old ids whose mean it begins as; none for a token that nothing old resembles.

    Special tokens and bytes have the same ids in every tokenizer of ours.
    """
    by_piece = {piece: index for index, piece in reversed(list(enumerate(old.tokenizer.pieces))) if piece}
    sources: list[tuple[int, ...]] = []
    for index, piece in enumerate(new.tokenizer.pieces):
        if not piece:
            sources.append((index,))
        elif piece in by_piece:
            sources.append((by_piece[piece],))
        else:
            sources.append(_spelled(old.tokenizer, piece))
    first = len(old.tokenizer.pieces)
    answers = {name: first + index for index, name in enumerate(old.answer_names())}
    for name in new.answer_names():
        sources.append((answers[name],) if name in answers else ())
    return sources


def _spelled(tokenizer: _Pieces, piece: bytes) -> tuple[int, ...]:
    try:
        return tuple(tokenizer.encode(piece.decode()))
    except UnicodeDecodeError:
        return ()
