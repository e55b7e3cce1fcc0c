"""The tokenizer of plain text: byte-fallback BPE that keeps case, line ends and indentation.

A word begins at a run of white space (spaces, tabs, line ends), merges never cross its beginning: an indentation, or a
line end with the indentation behind it, may be one piece. The device has the same encoder in C.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import ClassVar

from pipeline.errors import ThimbleError
from pipeline.text.prompt import PromptTemplate
from pipeline.text.tokenizers.byte_bpe import BOS, BYTE_BASE, EOS, Tokenizer

__all__ = ["KIND", "TextTokenizer", "train_on_texts"]

KIND = "text"
_LONGEST = 32  # characters of a piece; rules of dashes and addresses would make longer ones
_AT_ONCE = 1024  # texts
_MIN_ALPHABET = 100


class TextTokenizer(Tokenizer):
    """Token ids as those of `Tokenizer`. A prompt is the text as it is behind `<bos>`, which goes on until `<eos>`."""

    word_start: ClassVar[str] = r"[ \t\n\r]+"

    @property
    def template(self) -> PromptTemplate:
        """`<bos>` before the text, nothing behind it."""
        return PromptTemplate(
            bos=BOS, suffix=(), stops=(EOS,), byte_base=BYTE_BASE, split_on_space=True, space_runs=True
        )

    def encode_many(self, texts: Iterable[str]) -> Iterator[Sequence[int]]:
        """Ids of each text, computed in parallel."""
        source = iter(texts)
        while part := list(islice(source, _AT_ONCE)):
            for encoding in self._library.encode_batch_fast(part, add_special_tokens=False):
                yield encoding.ids

    def save(self, path: Path) -> None:
        """Writes the library's JSON below `tokenizer`, beside the `type`."""
        data = {"type": KIND, "tokenizer": json.loads(self._library.to_str())}
        path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def _library_json(cls, text: str) -> str:
        return json.dumps(json.loads(text)["tokenizer"])


def train_on_texts(texts: Iterable[str], vocab_size: int) -> TextTokenizer:
    """Learns a vocabulary from texts.

    Args:
        texts: what to compress.
        vocab_size: ids in all, specials and bytes included.

    Raises:
        ThimbleError: the texts are too few for so many pieces.
    """
    alphabet = max(_MIN_ALPHABET, vocab_size // 4)
    tokenizer = TextTokenizer.train(texts, vocab_size, alphabet, longest=_LONGEST)
    if tokenizer.vocab_size < vocab_size:
        raise ThimbleError(
            f"the training text gives {tokenizer.vocab_size:,} tokens, `tokenizer.vocab_size` asks for {vocab_size:,}",
            f"use `tokenizer: {{vocab_size: {tokenizer.vocab_size}}}`, or more text",
        )
    return tokenizer
