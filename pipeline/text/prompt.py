"""Interface of all tokenizers: pieces, merges, and the template of a prompt.

The device gets the same as tables (`pipeline/firmware/tables.py`), so one encoder in C serves all kinds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.text.pretokenizer import WordRules

__all__ = ["PromptTemplate", "PromptTokenizer", "fold", "table_excess"]

_FOLD = {code: code + 0x20 for code in (*range(0x41, 0x5B), *range(0xC0, 0xDF)) if code != 0xD7}


def fold(text: str) -> str:
    """Lower-cases A–Z and U+00C0–U+00DE (not U+00D7), and nothing else; the device does the same before encoding."""
    return text.translate(_FOLD)


@dataclass(frozen=True)
class PromptTemplate:
    """Layout of a prompt and the end of an answer. All numbers are token ids.

    A prompt is `bos`, the text, `suffix`. A text that is not empty begins with `prefix`, and is lower-cased first where
    `lowercase`. The 256 ids from `byte_base` on stand for bytes. Generation ends with any of `stops`. With
    `split_on_space`, no merge crosses the beginning of a word, which is a space; with `space_runs` too, it is a
    run of spaces, tabs and line ends. With `word_rules` words are what these say. With `strip_leading_space`, the
    space that a piece begins with is not shown right behind `bos`.
    """

    bos: int
    suffix: tuple[int, ...]
    stops: tuple[int, ...]
    byte_base: int
    prefix: tuple[int, ...] = ()
    lowercase: bool = False
    split_on_space: bool = False
    space_runs: bool = False
    strip_leading_space: bool = False
    byte_ids: tuple[int, ...] = ()
    word_rules: WordRules | None = None

    @property
    def is_open_ended(self) -> bool:
        """Whether an answer is text that goes on from the prompt, which may be empty."""
        return not self.suffix


class PromptTokenizer(ABC):
    """Text to token ids and back."""

    @property
    @abstractmethod
    def template(self) -> PromptTemplate:
        """The template of a prompt."""

    @property
    @abstractmethod
    def pieces(self) -> list[bytes]:
        """The bytes of each id; specials have none."""

    @property
    @abstractmethod
    def characters(self) -> Mapping[str, int]:
        """The ids of the characters that have one of their own; others become the ids of their UTF-8 bytes."""

    @property
    @abstractmethod
    def ranked_merges(self) -> Mapping[tuple[int, int], tuple[int, int]]:
        """(left id, right id) → (rank, merged id). The lowest rank merges first, the leftmost of equals."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Ids of the text, `frame.prefix` before it; a special's name in it is text like any other."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Writes the file that `load_tokenizer` reads."""

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return len(self.pieces)

    def encode_prompt(self, text: str) -> list[int]:
        """The prompt's ids: the text, lower-cased where the frame says so, in its frame."""
        template = self.template
        return [template.bos, *self.encode(fold(text) if template.lowercase else text), *template.suffix]

    def decode_bytes(self, ids: Sequence[int], after: int | None = None) -> bytes:
        """The bytes that the ids stand for; specials stand for none.

        Args:
            after: the id before the first, where there is one.
        """
        data = b""
        for index in ids:
            bare = self.template.strip_leading_space and after == self.template.bos
            piece = self.pieces[index]
            data += piece[1:] if bare and piece.startswith(b" ") else piece
            after = index
        return data

    def decode(self, ids: Sequence[int], after: int | None = None) -> str:
        """The text of the ids; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids, after).decode("utf-8", errors="replace")


def table_excess(tokenizer: PromptTokenizer) -> tuple[str, str] | None:
    """What a tokenizer has more of than the device's tables hold, and the remedy; None where they hold it."""
    num_bytes, merges = sum(map(len, tokenizer.pieces)), len(tokenizer.ranked_merges)
    if tokenizer.vocab_size <= 0x7FFF and num_bytes <= 0xFFFF and merges <= 0xFFFF:
        return None
    return (
        f"the tokenizer has {tokenizer.vocab_size} ids, {num_bytes} bytes of pieces and {merges} merges",
        "use a vocabulary of at most 32767 ids, 65535 bytes and 65535 merges",
    )
