"""The tokenizer of a llama2.c checkpoint: SentencePiece's pieces with scores, as `tokenizer.bin` files hold them.

The file (github.com/karpathy/llama2.c): int32, the longest piece's bytes; then for each id a float32 score, an int32
length and that many bytes. Ids 0 to 2 are `<unk>`, `<s>` (BOS) and `</s>` (EOS), the next 256 `<0x00>` to `<0xFF>`.

Encoding as `run.c` does it: a text that is not empty gets a space before it; each character becomes its piece, or the
bytes of its UTF-8; then the neighbours whose texts together are a piece of the highest score become that piece, the
leftmost of equals, until none is left. Which ids those are is known beforehand, so this is a table of pairs.
"""

from __future__ import annotations

import json
import math
import struct
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.text.prompt import PromptTemplate, PromptTokenizer
from pipeline.text.tokenizers.merging import ids_of_characters, merged

__all__ = ["KIND", "Llama2cTokenizer"]

KIND = "llama2.c"
_BOS, _EOS, _BYTE_BASE = 1, 2, 3
_BYTES = [f"<0x{value:02X}>".encode() for value in range(256)]
_MIN_SCORE = -1e10  # what `run.c` compares with first: pieces of lower scores are never made
_REMEDY = "give the tokenizer .bin that belongs to the checkpoint"


class Llama2cTokenizer(PromptTokenizer):
    """Token ids as in the checkpoint.

    Generation ends with `</s>`, and with `<s>`, which stands between texts in the training of these models (`run.c`
    ends with it alone). `<unk>`, `<s>` and `</s>` are shown as nothing.
    """

    def __init__(self, texts: Sequence[bytes], scores: Sequence[float]) -> None:
        self._texts, self._scores = list(texts), list(scores)
        self._ids: dict[bytes, int] = {}
        for index, text in enumerate(texts):
            self._ids.setdefault(text, index)

    @classmethod
    def read(cls, path: Path, vocab_size: int) -> Llama2cTokenizer:
        """Reads llama2.c's own file.

        Args:
            vocab_size: of the checkpoint; the file must have as many tokens.

        Raises:
            ThimbleError: no such file, a damaged one, or one of another model.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ThimbleError(f"cannot read the tokenizer {path}: {error.strerror}", _REMEDY) from None
        if len(data) < 4:
            raise ThimbleError(f"the tokenizer {path} has {len(data)} bytes, not even its header", _REMEDY)
        (longest,) = struct.unpack_from("<i", data)
        texts: list[bytes] = []
        scores: list[float] = []
        offset = 4
        while offset < len(data):
            texts.append(_read_piece(path, data, offset, len(texts), longest))
            scores.append(struct.unpack_from("<f", data, offset)[0])
            offset += 8 + len(texts[-1])
            if not math.isfinite(scores[-1]):
                raise ThimbleError(f"the tokenizer {path}: the score of token {len(texts) - 1} is no number", _REMEDY)
        if len(texts) != vocab_size:
            raise ThimbleError(
                f"the tokenizer {path} has {len(texts):,} tokens, the checkpoint {vocab_size:,}: they do not match",
                _REMEDY,
            )
        _check(path, texts)
        return cls(texts, scores)

    @classmethod
    def load(cls, path: Path) -> Llama2cTokenizer:
        """Reads a file of `save`.

        Raises:
            ThimbleError: the file is damaged.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            texts = [str(text).encode() for text in data["pieces"]]
            scores = [float(score) for score in data["scores"]]
            if len(texts) != len(scores):
                raise ValueError(f"{len(texts)} pieces and {len(scores)} scores")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ThimbleError(f"{path} is not a tokenizer: {error}", "run the `data` stage with --force") from None
        _check(path, texts)
        return cls(texts, scores)

    def save(self, path: Path) -> None:
        """Writes pieces and scores as JSON."""
        data = {"type": KIND, "pieces": [text.decode() for text in self._texts], "scores": self._scores}
        path.write_text(json.dumps(data, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")

    @cached_property
    def template(self) -> PromptTemplate:
        """`<s>` before the text, nothing behind it."""
        return PromptTemplate(
            bos=_BOS,
            suffix=(),
            stops=(_BOS, _EOS),
            byte_base=_BYTE_BASE,
            prefix=(self._ids[b" "],),
            split_on_space=not any(self._texts[right].startswith(b" ") for _, right in self.ranked_merges),
            strip_leading_space=True,
        )

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of each id."""
        first = _BYTE_BASE + 256
        return [b""] * _BYTE_BASE + [bytes([value]) for value in range(256)] + self._texts[first:]

    @cached_property
    def characters(self) -> dict[str, int]:
        """The pieces of one character."""
        return {text.decode(): index for text, index in self._ids.items() if len(text.decode()) == 1}

    @cached_property
    def ranked_merges(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Every pair of ids whose texts together are a piece; equal scores have equal ranks."""
        ids: dict[bytes, list[int]] = defaultdict(list)
        for index, text in enumerate(self._texts):
            ids[text].append(index)
        able = {text: index for text, index in self._ids.items() if self._scores[index] > _MIN_SCORE}
        ranks = {score: rank for rank, score in enumerate(sorted({-self._scores[index] for index in able.values()}))}
        return {
            (left, right): (ranks[-self._scores[whole]], whole)
            for text, whole in able.items()
            for cut in range(1, len(text))
            if text[:cut] in ids and text[cut:] in ids
            for left in ids[text[:cut]]
            for right in ids[text[cut:]]
        }

    def encode(self, text: str) -> list[int]:
        """Ids of the text, a space before it unless it is empty."""
        prefix = self.template.prefix if text else ()
        singles = ids_of_characters(text, self.characters, range(_BYTE_BASE, _BYTE_BASE + 256))
        return merged([*prefix, *singles], self.ranked_merges)


def _read_piece(path: Path, data: bytes, offset: int, index: int, longest: int) -> bytes:
    if offset + 8 > len(data):
        raise ThimbleError(f"the tokenizer {path} is cut off in token {index}", _REMEDY)
    (length,) = struct.unpack_from("<i", data, offset + 4)
    if not 0 <= length <= longest:
        raise ThimbleError(
            f"the tokenizer {path}: token {index} has a length of {length}, and its header says at most {longest}",
            _REMEDY,
        )
    piece = data[offset + 8 : offset + 8 + length]
    if len(piece) < length:
        raise ThimbleError(f"the tokenizer {path} is cut off in token {index}", _REMEDY)
    try:
        piece.decode()
    except UnicodeDecodeError:
        raise ThimbleError(f"the tokenizer {path}: token {index} is no UTF-8: {piece!r}", _REMEDY) from None
    if b"\0" in piece:
        raise ThimbleError(f"the tokenizer {path}: token {index} holds a zero byte: {piece!r}", _REMEDY)
    return piece


def _check(path: Path, texts: Sequence[bytes]) -> None:
    if list(texts[_BYTE_BASE : _BYTE_BASE + 256]) != _BYTES:
        raise ThimbleError(f"the tokenizer {path} has no tokens <0x00> to <0xFF> at ids 3 to 258", _REMEDY)
    if b" " not in texts:
        raise ThimbleError(f"the tokenizer {path} has no token for a space, with which every text begins", _REMEDY)
