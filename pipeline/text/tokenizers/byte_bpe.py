"""A small byte-fallback BPE tokenizer, trained by Hugging Face's `tokenizers`.

A word starts at each space, merges never cross it. A character outside of the vocabulary becomes its UTF-8 bytes, so
every text can be encoded, and decoding gives it back to the byte. The device has the same encoder in C.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

from tokenizers import Regex
from tokenizers import Tokenizer as Library
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Split
from tokenizers.trainers import BpeTrainer

from pipeline.errors import ThimbleError
from pipeline.text.prompt import PromptTemplate, PromptTokenizer, fold

__all__ = ["BOS", "BYTE_BASE", "EOS", "PAD", "SEP", "Tokenizer", "fold"]

PAD, BOS, SEP, EOS = range(4)
_SPECIALS = ("<pad>", "<bos>", "<sep>", "<eos>")
BYTE_BASE = len(_SPECIALS)
_BYTES = [f"<0x{value:02X}>" for value in range(256)]
_PIECES = BYTE_BASE + 256


class Tokenizer(PromptTokenizer):
    """Token ids: 4 specials, 256 bytes, then the pieces. A prompt is lower-cased, between `<bos>` and `<sep>`."""

    word_start: ClassVar[str] = " "
    """The expression of what begins a word."""

    def __init__(self, library: Library) -> None:
        self._library = library

    @property
    def template(self) -> PromptTemplate:
        """`<bos>` before the sentence, `<sep>` behind it; the answer ends with `<eos>`."""
        return PromptTemplate(
            bos=BOS, suffix=(SEP,), stops=(EOS,), byte_base=BYTE_BASE, lowercase=True, split_on_space=True
        )

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        alphabet: int = 100,
        exact_size: bool = False,
        longest: int | None = None,
    ) -> Self:
        """Learns merges from texts.

        Args:
            texts: what to compress.
            vocab_size: ids in all, specials and bytes included.
            alphabet: how many different characters may have a piece of their own (the most frequent ones).
            exact_size: whether ids that few texts leave without a piece get one that stands for nothing, since other
                ids follow.
            longest: the most characters of a piece; None: any number.
        """
        trained = cls._library_of(BPE(byte_fallback=True, unk_token=None))
        trainer = BpeTrainer(
            vocab_size=max(vocab_size - _PIECES, 1),
            limit_alphabet=alphabet,
            special_tokens=[],
            show_progress=False,
            max_token_length=longest,
        )
        trained.train_from_iterator(texts, trainer)
        model = json.loads(trained.to_str())["model"]
        fixed = [*_SPECIALS, *_BYTES]
        learned = sorted(model["vocab"].keys() - set(fixed), key=model["vocab"].__getitem__)
        pieces = set(learned[: vocab_size - _PIECES])  # a text that spells out "<eos>" makes no piece of that name
        vocabulary = {name: index for index, name in enumerate([*fixed, *learned[: len(pieces)]])}
        merges = [(left, right) for left, right in model["merges"] if {left, right, left + right} <= pieces]
        if exact_size:
            for index in range(len(vocabulary), vocab_size):
                vocabulary[f"<unused{index}>"] = index
        return cls(cls._library_of(BPE(vocab=vocabulary, merges=merges, byte_fallback=True)))

    @classmethod
    def _library_of(cls, model: BPE) -> Library:
        library = Library(model)
        library.pre_tokenizer = Split(Regex(cls.word_start), behavior="merged_with_next")
        return library

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file of `save`.

        Raises:
            ThimbleError: no such file, not a tokenizer, or not one of this form.
        """
        try:
            library = Library.from_str(cls._library_json(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise ThimbleError(f"cannot read the tokenizer {path}: {error.strerror}", "run the `data` stage") from None
        except Exception as error:  # the library raises plain exceptions
            raise ThimbleError(f"{path} is not a tokenizer: {error}", "run the `data` stage with --force") from None
        names = [library.id_to_token(index) for index in range(_PIECES)]
        if names != [*_SPECIALS, *_BYTES]:
            raise ThimbleError(
                f"{path} is not a tokenizer of this form: its first ids are not 4 specials and 256 bytes",
                "run the `data` stage with --force",
            )
        return cls(library)

    @classmethod
    def _library_json(cls, text: str) -> str:
        """The library's part of a file's text."""
        return text

    def save(self, path: Path) -> None:
        """Writes the library's JSON."""
        path.write_text(self._library.to_str(), encoding="utf-8")

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return int(self._library.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Ids of the text; a special's name in it is text like any other."""
        return list(self._library.encode(text, add_special_tokens=False).ids)

    def encode_pair(self, sentence: str, action: str) -> list[int]:
        """`<bos>` sentence `<sep>` action `<eos>`."""
        return [*self.encode_prompt(sentence), *self.encode(action), EOS]

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of each id."""
        pieces = [b""] * BYTE_BASE + [bytes([value]) for value in range(256)]
        names = {index: name for name, index in self._library.get_vocab().items()}
        pieces += [names[index].encode() for index in range(_PIECES, self.vocab_size)]
        return pieces

    @cached_property
    def characters(self) -> dict[str, int]:
        """The pieces of one character."""
        texts = ((piece.decode(), index) for index, piece in enumerate(self.pieces) if index >= _PIECES)
        return {text: index for text, index in texts if len(text) == 1}

    @cached_property
    def ranked_merges(self) -> dict[tuple[int, int], tuple[int, int]]:
        """As in the library's map, a pair that is listed twice keeps its last rank."""
        return {(left, right): (rank, merged) for rank, (left, right, merged) in enumerate(self.merges)}

    @cached_property
    def merges(self) -> list[tuple[int, int, int]]:
        """(left id, right id, merged id) in the order of their rank."""
        vocabulary = self._library.get_vocab()
        pairs = json.loads(self._library.to_str())["model"]["merges"]
        return [(vocabulary[a], vocabulary[b], vocabulary[a + b]) for a, b in pairs]
