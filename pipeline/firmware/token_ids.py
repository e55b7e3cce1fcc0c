"""Token ids as text, for a model that comes without a tokenizer: `17 4 250`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.text.prompt import PromptTemplate, PromptTokenizer

__all__ = ["MAX_VOCAB", "TokenIds"]

MAX_VOCAB = 1 << 16
"""Ids that the application's tables of 16 bits can hold."""


class TokenIds(PromptTokenizer):
    """Every id is its own word in decimal; nothing comes around a text, and no id ends an answer.

    The application has the same as `THIMBLE_TOKEN_IDS`, without tables.

    Args:
        vocab_size: ids in all.

    Raises:
        ThimbleError: they are more than the application can hold.
    """

    def __init__(self, vocab_size: int) -> None:
        if vocab_size > MAX_VOCAB:
            raise ThimbleError(f"the step has {vocab_size:,} token ids", f"use a vocabulary of at most {MAX_VOCAB:,}")
        self._vocab_size = vocab_size

    @property
    def template(self) -> PromptTemplate:
        """Nothing but the text. There is no `bos` and no byte: their numbers stand behind the last id."""
        return PromptTemplate(bos=self._vocab_size, suffix=(), stops=(), byte_base=self._vocab_size)

    @property
    def pieces(self) -> list[bytes]:
        """The decimal number of each id."""
        return [str(index).encode() for index in range(self._vocab_size)]

    @property
    def characters(self) -> Mapping[str, int]:
        """None: a character is no id."""
        return {}

    @property
    def ranked_merges(self) -> Mapping[tuple[int, int], tuple[int, int]]:
        """None."""
        return {}

    def encode(self, text: str) -> list[int]:
        """The ids that the text names.

        Raises:
            ThimbleError: a word of it is no id.
        """
        words = text.split(" ")
        wrong = [word for word in words if word and not self._is_id(word)]
        if wrong:
            raise ThimbleError(
                f"{wrong[0]!r} is no token id", f"write ids from 0 to {self._vocab_size - 1}, with spaces between them"
            )
        return [int(word) for word in words if word]

    def encode_prompt(self, text: str) -> list[int]:
        """The same, of a text that names at least one.

        Raises:
            ThimbleError: it names none, or a word of it is no id.
        """
        ids = self.encode(text)
        if not ids:
            raise ThimbleError("a prompt of no token ids", f"write ids from 0 to {self._vocab_size - 1}")
        return ids

    def decode_bytes(self, ids: Sequence[int], after: int | None = None) -> bytes:
        """The ids in decimal, with spaces between them."""
        return " ".join(map(str, ids)).encode()

    def save(self, path: Path) -> None:
        """There is no such file: the number of ids is the model's."""
        raise NotImplementedError("token ids have no file")

    def _is_id(self, word: str) -> bool:
        return word.isascii() and word.isdecimal() and int(word) < self._vocab_size
