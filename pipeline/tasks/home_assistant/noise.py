"""What people do to sentences: typos, words swapped or dropped, and polite words around them.

Slots' values stay as they are: an action can only hold what the sentence still says.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["add_typos", "polite"]


def polite(sentence: str, fillers: Sequence[str], rng: random.Random) -> str:
    """Puts one of the language's skipped words ("please") before or after the sentence."""
    filler = rng.choice(fillers)
    return f"{filler} {sentence}" if rng.random() < 0.6 else f"{sentence} {filler}"


def add_typos(pieces: Sequence[tuple[str, bool]], droppable: frozenset[str], rng: random.Random) -> str:
    """One typo, swap or drop in the words that are no slot's value.

    Args:
        pieces: (text, fixed) of the sentence.
        droppable: words without which the meaning stays.

    Returns:
        The sentence, lower-case with single spaces; unchanged where nothing can be spoiled.
    """
    marked: list[tuple[str, bool]] = []
    fixed_text = ""
    for text, fixed in pieces:  # whole words: a word that a fixed piece touches is fixed
        fixed_text += "".join("\0" + letter if fixed else letter for letter in text.lower())
    for word in fixed_text.split(" "):
        clean = word.replace("\0", "")
        if clean:
            marked.append((clean, "\0" in word))
    words = [word for word, _ in marked]
    free = [i for i, (word, fixed) in enumerate(marked) if not fixed]
    kind = rng.choice(("typo", "typo", "swap", "drop"))
    if kind == "swap":
        candidates = [i for i in free if i + 1 in free]
        if candidates:
            i = rng.choice(candidates)
            words[i], words[i + 1] = words[i + 1], words[i]
            return " ".join(words)
    if kind == "drop":
        candidates = [i for i in free if words[i] in droppable]
        if candidates and len(words) > 2:
            del words[rng.choice(candidates)]
            return " ".join(words)
    candidates = [i for i in free if len(words[i]) > 3]
    if candidates:
        i = rng.choice(candidates)
        words[i] = _typo(words[i], rng)
    return " ".join(words)


def _typo(word: str, rng: random.Random) -> str:
    i = rng.randrange(len(word) - 1)
    kind = rng.choice(("swap", "drop", "double", "replace"))
    if kind == "swap":
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if kind == "drop":
        return word[: i + 1] + word[i + 2 :]
    if kind == "double":
        return word[: i + 1] + word[i] + word[i + 1 :]
    return word[:i] + rng.choice("aeioust") + word[i + 1 :]
