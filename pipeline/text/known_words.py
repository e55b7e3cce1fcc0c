"""Words that are known to a task, kept as hashes of 24 bits: what the device keeps, with which the host agrees on every
word, also on one in 20,000 that has the hash of another."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

__all__ = ["KnownWords", "word_hash"]


@lru_cache(1 << 16)
def word_hash(word: str) -> int:
    """The FNV-1a hash of the word's UTF-8, its 32 bits folded to 24: the highest byte is xored to the lowest."""
    value = 2166136261
    for byte in word.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value >> 24 ^ value & 0xFFFFFF


class KnownWords:
    """Words to ask for.

    Args:
        words: normalized.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._hashes = frozenset(map(word_hash, words))

    def __contains__(self, word: str) -> bool:
        return word_hash(word) in self._hashes
