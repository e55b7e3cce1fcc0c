"""Known words by their hashes: what the device says of a word."""

from __future__ import annotations

from itertools import count

from pipeline.text.known_words import KnownWords, word_hash


def test_the_hash_is_fnv_folded_to_24_bits() -> None:
    """FNV-1a of "" is 0x811c9dc5, of "a" 0xe40c292c, of "foobar" 0xbf9cf968 (its authors' test vectors)."""
    assert [word_hash(word) for word in ("", "a", "foobar")] == [0x1C9DC5 ^ 0x81, 0x0C292C ^ 0xE4, 0x9CF968 ^ 0xBF]


def test_a_word_with_the_hash_of_another_is_known_as_on_the_device() -> None:
    seen: dict[int, str] = {}
    for number in count():
        word = f"w{number}"
        if word_hash(word) in seen:
            break
        seen[word_hash(word)] = word
    known = KnownWords([seen[word_hash(word)]])
    assert word in known and "other" not in known
