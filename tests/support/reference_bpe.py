"""The merge algorithm of the tokenizer in its plainest form: what the library and the device must both do.

A text is cut into words, each of which begins at a space. A word begins as characters; one that has no piece stands as
its UTF-8 bytes. Then, as long as some neighbours can merge, the pair of the lowest rank does, the leftmost first.
"""

from __future__ import annotations

from itertools import pairwise

from pipeline.text.tokenizers.byte_bpe import BYTE_BASE, Tokenizer

__all__ = ["merged", "reference_characters", "reference_encode"]


def reference_encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of the text, by the tokenizer's pieces and merges alone."""
    return [index for word in _words(text) for index in merged(tokenizer, reference_characters(tokenizer, word))]


def merged(tokenizer: Tokenizer, ids: list[int]) -> list[int]:
    """The ids of a word's characters, merged as long as some neighbours can."""
    return _merge(ids, {(left, right): (rank, index) for rank, (left, right, index) in enumerate(tokenizer.merges)})


def _words(text: str) -> list[str]:
    words = [""]
    for character in text:
        if character == " ":
            words.append("")
        words[-1] += character
    return words


def reference_characters(tokenizer: Tokenizer, word: str) -> list[int]:
    """The ids of a word's characters, or of their bytes."""
    pieces = {piece: index for index, piece in enumerate(tokenizer.pieces) if index >= BYTE_BASE + 256}
    ids: list[int] = []
    for character in word:
        piece = character.encode()
        ids += [pieces[piece]] if piece in pieces else [BYTE_BASE + byte for byte in piece]
    return ids


def _merge(ids: list[int], ranks: dict[tuple[int, int], tuple[int, int]]) -> list[int]:
    while True:
        candidates = [(*ranks[pair], index) for index, pair in enumerate(pairwise(ids)) if pair in ranks]
        if not candidates:
            return ids
        _, merged, index = min(candidates)
        ids = [*ids[:index], merged, *ids[index + 2 :]]
