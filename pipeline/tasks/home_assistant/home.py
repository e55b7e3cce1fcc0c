"""A described home: where names of areas, floors, things and free text come from.

A name is either seen in training or held out, and a hash of its text decides which, so that the two can never meet.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.tasks.home_assistant import words

__all__ = ["Home", "english_home", "generic_home"]

_HELD_OUT_IN = 8  # one name in eight is held out


@dataclass(frozen=True)
class Home:
    """Words to make names of.

    `nouns` gives the last word by domain, `phrases` whole texts by slot list; `onsets` and `rimes` are the syllables of
    made-up words. Standard areas and floors are always seen in training.
    """

    areas: Sequence[str]
    rooms: Sequence[str]
    floors: Sequence[str]
    modifiers: Sequence[str]
    nouns: dict[str, Sequence[str]]
    phrases: dict[str, Sequence[str]]
    onsets: Sequence[str]
    rimes: Sequence[str]
    joiner: str = " "

    def held_out(self, name: str) -> bool:
        """Whether training must never see this name."""
        return zlib.crc32(name.encode()) % _HELD_OUT_IN == 0

    def area(self, rng: random.Random, held_out: bool) -> str:
        """An area's name: a standard one, or a made one."""
        if not held_out and rng.random() < 0.6:
            return rng.choice(self.areas)
        return self._draw(held_out, lambda: self._joined(self._modifier(rng), rng.choice(self.rooms)))

    def floor(self, rng: random.Random) -> str:
        """A floor; homes have few, so all are seen in training."""
        return rng.choice(self.floors)

    def entity(self, rng: random.Random, domain: str, held_out: bool) -> str:
        """The name of a thing of the domain."""
        nouns = self.nouns.get(domain) or ()
        if not nouns:
            return self.phrase(rng, domain, held_out)

        def draw() -> str:
            first = self._modifier(rng)
            if rng.random() < 0.15:
                first = self._joined(first, self._modifier(rng))
            return self._joined(first, rng.choice(nouns))

        return self._draw(held_out, draw)

    def phrase(self, rng: random.Random, list_name: str, held_out: bool) -> str:
        """Free text of a wildcard list."""
        known = self.phrases.get(list_name) or ()

        def draw() -> str:
            if known and rng.random() < 0.6:
                return rng.choice(known)
            parts = [self._made_up(rng) for _ in range(1 if rng.random() < 0.7 else 2)]
            if known and rng.random() < 0.5:
                parts[-1] = rng.choice(known).split()[-1]
            return self.joiner.join(parts)

        return self._draw(held_out, draw)

    def _draw(self, held_out: bool, draw: Callable[[], str]) -> str:
        while True:
            name = draw()
            if self.held_out(name) == held_out and name not in self.areas:
                return name

    def _modifier(self, rng: random.Random) -> str:
        if self.modifiers and rng.random() < 0.5:
            return rng.choice(self.modifiers)
        return self._made_up(rng)

    def _made_up(self, rng: random.Random) -> str:
        return "".join(rng.choice(self.onsets) + rng.choice(self.rimes) for _ in range(rng.choice((1, 2, 2, 3))))

    def _joined(self, first: str, second: str) -> str:
        return f"{first}{self.joiner}{second}"


_ONSETS = "b c d f g h j k l m n p r s t v w z bl br ch cl cr dr fl fr gl gr pl pr sh sl sn sp st th tr wh"
_RIMES = "a e i o u an ar as ed el en er es et ia ic in ink ion is o on or os ot ow ub um un us y ax ek ill ock"


def english_home() -> Home:
    """The home of words.py."""
    return Home(
        areas=words.AREAS,
        rooms=words.ROOMS,
        floors=words.FLOORS,
        modifiers=words.MODIFIERS,
        nouns={domain: nouns.split("|") if nouns else [] for domain, nouns in words.NOUNS.items()},
        phrases={name: text.split("|") for name, text in words.PHRASES.items()},
        onsets=_ONSETS.split(),
        rimes=_RIMES.split(),
    )


def generic_home(texts: Sequence[str], domains: Sequence[str], seed: int) -> Home:
    """A home for any language: all names are made up from pairs of letters that the language's own templates use.

    Each domain, rooms and floors get last words of their own, because a name must tell what it is.

    Args:
        texts: literal text of the templates.
        domains: entity domains in use.
        seed: of the made-up last words.
    """
    rng = random.Random(seed)
    letters = [word for text in texts for word in text.lower().split() if len(word) > 1 and word.isalpha()]
    joiner = " " if any(" " in text.strip() for text in texts) else ""
    pieces = sorted({word[i : i + 2] for word in letters for i in range(0, len(word) - 1, 2)})
    onsets = [piece for piece in pieces if len(piece) == 2] or ["ka", "to", "mi"]
    rng.shuffle(onsets)
    onsets = onsets[:120]

    def word() -> str:
        return "".join(rng.choice(onsets) for _ in range(rng.choice((2, 2, 3))))

    def several(count: int) -> list[str]:
        return sorted({word() for _ in range(count)})

    return Home(
        areas=several(40),
        rooms=several(12),
        floors=several(8),
        modifiers=several(100),
        nouns={domain: several(6) for domain in domains},
        phrases={},
        onsets=onsets,
        rimes=[""],
        joiner=joiner,
    )
