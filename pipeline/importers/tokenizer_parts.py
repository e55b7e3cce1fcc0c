"""What tokenizers of all sources become tables from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.importers.refusals import Refusals
from pipeline.text.prompt import PromptTemplate, PromptTokenizer, table_excess
from pipeline.text.tokenizers.tables import TableTokenizer

__all__ = ["BYTE_TEXTS", "SPACE", "Frame", "finished", "merges_of_pieces", "space_pieces", "spaced_template"]

SPACE = "\u2581"
"""SentencePiece's sign for a space."""
BYTE_TEXTS = {f"<0x{byte:02X}>": byte for byte in range(256)}
"""SentencePiece's texts of bytes."""


@dataclass(frozen=True)
class Frame:
    """The tokens that begin and end a text, by their ids or else by their texts; None and () where none is told."""

    bos: int | None = None
    eos: tuple[int, ...] = ()
    bos_text: str | None = None
    eos_text: str | None = None

    def ids(self, vocabulary: Mapping[str, int], vocab_size: int, refusals: Refusals) -> tuple[int, tuple[int, ...]]:
        """What every prompt begins with, and what ends an answer; a model that has one of both has it for both.

        Args:
            vocabulary: ids of tokens by their texts.
            vocab_size: of the model.
            refusals: gets a reason where no token begins a text.
        """
        bos = self.bos if self.bos is not None else vocabulary.get(self.bos_text or "")
        eos = self.eos or tuple(index for index in [vocabulary.get(self.eos_text or "")] if index is not None)
        first = bos if bos is not None else next(iter(eos), None)
        if first is None:
            refusals.add(
                "no token begins a text, and none ends one",
                "say `bos_token_id` or `eos_token_id` in config.json: what stands between texts in its training",
            )
            return 0, (0,)
        stops = tuple(sorted({first, *eos}))
        if not all(0 <= index < vocab_size for index in stops):
            refusals.add(
                f"of the tokens that begin and end a text, {list(stops)}, some are beyond its vocabulary",
                "correct `bos_token_id` and `eos_token_id` in config.json",
            )
        return first, stops


def space_pieces(text: str) -> bytes:
    """A piece's bytes, where a sign stands for a space."""
    return text.replace(SPACE, " ").encode()


def spaced_template(
    frame: tuple[int, tuple[int, ...]], space: int | None, has_prefix: bool, byte_ids: Sequence[int]
) -> PromptTemplate:
    """Of a tokenizer in which a sign stands for a space.

    Args:
        frame: what begins every prompt, and what ends an answer.
        space: the sign's id, if it has one.
        has_prefix: whether it comes before a text.
        byte_ids: of each byte, [256].
    """
    return PromptTemplate(
        bos=frame[0],
        suffix=(),
        stops=frame[1],
        byte_base=0,
        prefix=(space,) if has_prefix and space is not None else (),
        strip_leading_space=has_prefix,
        byte_ids=tuple(byte_ids),
    )


def merges_of_pieces(pieces: Mapping[str, tuple[int, float]]) -> dict[tuple[int, int], tuple[int, int]]:
    """Every pair of ids whose texts together are a piece; equal scores have equal ranks.

    Args:
        pieces: id and score by text.
    """
    ranks = {score: rank for rank, score in enumerate(sorted({-score for _, score in pieces.values()}))}
    return {
        (pieces[text[:cut]][0], pieces[text[cut:]][0]): (ranks[-score], index)
        for text, (index, score) in pieces.items()
        for cut in range(1, len(text))
        if text[:cut] in pieces and text[cut:] in pieces
    }


def finished(
    pieces: Sequence[bytes],
    characters: Mapping[str, int],
    merges: Mapping[tuple[int, int], tuple[int, int]],
    template: PromptTemplate,
    refusals: Refusals,
) -> TableTokenizer:
    """The tokenizer; more than the device's tables hold is a reason to refuse."""
    tokenizer: PromptTokenizer = TableTokenizer(pieces, characters, merges, template)
    if excess := table_excess(tokenizer):
        refusals.add(excess[0], excess[1])
    assert isinstance(tokenizer, TableTokenizer)
    return tokenizer
