"""Texts that take a device long to read, from which the most that reading may take is measured.

What reading costs grows with the letters of a word (to merge the pair of the lowest rank all pairs of the word are
looked at), and with the words that a name might be (each begins a search among names, and one that is a letter off a
second one). So the slowest texts are as long as a device takes them: one word of letters that merge all the way to the
tokenizer's longest pieces, and many words that are names, or nearly are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from pipeline.text.answers import MAX_WORDS, MAX_WORDS_BYTES
from pipeline.text.prompt import PromptTokenizer

__all__ = ["MAX_LINE", "slow_texts"]

MAX_LINE = 1000
"""Characters of a text in a request: a line has 1,024."""
_PIECES = 4


def slow_texts(tokenizer: PromptTokenizer, names: Sequence[str] | None = None) -> list[str]:
    """Texts in ASCII, each as long as the device reads it.

    Args:
        tokenizer: of the model.
        names: that the device knows, where it looks for names; it takes shorter texts then.
    """
    size = MAX_LINE if names is None else MAX_WORDS_BYTES
    spoken = (piece.decode("ascii", "ignore").strip() for piece in tokenizer.pieces)
    pieces = sorted({piece for piece in spoken if piece.isalpha()}, key=lambda piece: (-len(piece), piece)) or ["e"]
    texts = [*(piece * size for piece in pieces[:_PIECES]), "".join(pieces) * size, "e" * size]
    short = "".join(pieces)[: size * 2] * size
    word = size // MAX_WORDS - 1
    texts.append(" ".join(short[start : start + word] for start in range(0, MAX_WORDS * word, word)))
    texts.append(("1234567 " * size)[: size - 1])
    texts += [_in_words(said, size) for said in _variants(names or ())]
    return [_for_a_line(text[:size]).strip() for text in texts]


def _for_a_line(text: str) -> str:
    """Its beginning that a request can hold, in which a space takes three characters."""
    while len(quote(text, safe="")) > MAX_LINE:
        text = text[:-1]
    return text


def _variants(names: Sequence[str]) -> Iterator[list[str]]:
    """The names, and the same with a letter that is another one: each letter but the first, as typos are found."""
    plain = [name for name in dict.fromkeys(names) if name.isascii() and name.strip()]
    if not plain:
        return
    yield plain
    longest = sorted(plain, key=lambda name: (-len(name), name))
    for place in (1, 2, -1):
        yield [_changed(name, place) for name in longest]


def _changed(name: str, place: int) -> str:
    words = []
    for word in name.split():
        at = place % len(word)
        words.append(word if len(word) < 4 else word[:at] + "q" + word[at + 1 :])
    return " ".join(words)


def _in_words(said: Sequence[str], size: int) -> str:
    """As many of them, one behind the other and again, as the device takes."""
    words: list[str] = []
    length = 0
    while True:
        for word in (word for name in said for word in name.split()):
            if len(words) == MAX_WORDS or length + len(word) + 1 > size:
                return " ".join(words)
            words.append(word)
            length += len(word) + 1
