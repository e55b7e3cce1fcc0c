"""tokenizer.model of SentencePiece, and the same in a GGUF file: BPE with bytes for unknown characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, cast

from pipeline.errors import ThimbleError
from pipeline.importers.refusals import Refusals
from pipeline.importers.tokenizer_parts import (
    BYTE_TEXTS,
    SPACE,
    Frame,
    finished,
    merges_of_pieces,
    space_pieces,
    spaced_template,
)
from pipeline.text.tokenizers.tables import TableTokenizer

__all__ = ["Piece", "PieceType", "read_sentencepiece", "tables_of_pieces"]

_TRAIN = (
    "train it with --model_type=bpe --byte_fallback --normalization_rule_name=identity --remove_extra_whitespaces=false"
)


class PieceType(IntEnum):
    """As `sentencepiece_model.proto` and GGUF's `token_type` number them."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    """A token: its text, in which a sign stands for a space, its score and its type."""

    text: str
    score: float
    type: int


def read_sentencepiece(path: Path, vocab_size: int, frame: Frame, refusals: Refusals) -> TableTokenizer | None:
    """The tokenizer as tables; None where it is refused.

    Args:
        path: the file.
        vocab_size: of the model, which may have more ids.
        frame: what begins and ends a text, where the model says so.
        refusals: gets the reasons.

    Raises:
        ThimbleError: the file is damaged.
    """
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    model = cast(Any, sentencepiece_model_pb2).ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        raise ThimbleError(f"cannot read {path}: {error.strerror}", "give the whole folder") from None
    except DecodeError as error:
        raise ThimbleError(f"{path} is no SentencePiece model: {error}", "give the file that belongs to it") from None
    name, trainer, normalizer = path.name, model.trainer_spec, model.normalizer_spec
    kinds = {value: key for key, value in trainer.ModelType.items()}
    if trainer.model_type != trainer.BPE:
        refusals.add(f"{name} is a SentencePiece model of the kind {kinds[trainer.model_type].lower()}", _TRAIN)
    if normalizer.precompiled_charsmap:
        refusals.add(f"{name} normalizes by {normalizer.name or 'rules of its own'}", _TRAIN)
    if normalizer.remove_extra_whitespaces:
        refusals.add(f"{name} removes spaces (remove_extra_whitespaces)", _TRAIN)
    if trainer.treat_whitespace_as_suffix or not normalizer.escape_whitespaces:
        refusals.add(f"{name} does not write spaces before words", _TRAIN)
    frame = Frame(
        bos=frame.bos if frame.bos is not None else _known(trainer.bos_id),
        eos=frame.eos or tuple(index for index in [_known(trainer.eos_id)] if index is not None),
    )
    pieces = [Piece(piece.piece, piece.score, piece.type) for piece in model.pieces]
    return tables_of_pieces(name, pieces, vocab_size, normalizer.add_dummy_prefix, frame, refusals)


def tables_of_pieces(
    name: str, pieces: Sequence[Piece], vocab_size: int, has_prefix: bool, frame: Frame, refusals: Refusals
) -> TableTokenizer | None:
    """The tables of a BPE of characters by scores; None where it is refused.

    Args:
        name: of the file, for messages.
        pieces: by id.
        vocab_size: of the model, which may have more ids.
        has_prefix: whether a space comes before a text.
        frame: what begins and ends a text.
        refusals: gets the reasons.
    """
    if len(pieces) > vocab_size:
        refusals.add(
            f"{name} has {len(pieces):,} tokens, and the model {vocab_size:,}", "give the file that belongs to it"
        )
        return None
    users = [piece.text for piece in pieces if piece.type in (PieceType.USER_DEFINED, PieceType.UNUSED)]
    if users:
        refusals.add(
            f"{name} has {len(users)} tokens of the user's, or unused ones, such as {users[0]!r}",
            "train it without --user_defined_symbols",
        )
    byte_ids = {
        BYTE_TEXTS[piece.text]: index
        for index, piece in enumerate(pieces)
        if piece.type == PieceType.BYTE and piece.text in BYTE_TEXTS
    }
    if len(byte_ids) < 256:
        refusals.add(f"{name} has no tokens for {256 - len(byte_ids)} of the 256 bytes (byte_fallback)", _TRAIN)
        return None
    normal = {piece.text: (index, piece.score) for index, piece in enumerate(pieces) if piece.type == PieceType.NORMAL}
    bare = next((text for text in normal if not set(text) <= normal.keys()), None)
    if bare is not None:
        refusals.add(
            f"{name} has {bare!r}, and no tokens for its characters", "take a model that SentencePiece trained"
        )
        return None
    if has_prefix and SPACE not in normal:
        refusals.add(f"{name} has no token for a space, with which every text begins", _TRAIN)
        return None
    table = [b""] * vocab_size
    for text, (index, _) in normal.items():
        table[index] = space_pieces(text)
    for byte, index in byte_ids.items():
        table[index] = bytes([byte])
    vocabulary = {piece.text: index for index, piece in enumerate(pieces)}
    ends = frame.ids(vocabulary, vocab_size, refusals)
    characters = {text: index for text, (index, _) in normal.items() if len(text) == 1}
    if SPACE in characters:
        characters[" "] = characters[SPACE]
    template = spaced_template(ends, characters.get(SPACE), has_prefix, [byte_ids[byte] for byte in range(256)])
    return finished(table, characters, merges_of_pieces(normal), template, refusals)


def _known(index: int) -> int | None:
    return index if index >= 0 else None
