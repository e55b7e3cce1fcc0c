"""What is said where a template has a wildcard: phrases of the language, made-up words, names."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.languages import languages, load_language_file
from pipeline.tasks.sentences.templates import words_of

__all__ = ["Phrases"]

_PURPOSE = "phrases"
_MADE_UP = 0.25  # share of phrases that hold a made-up word
_ANY_THEME = 0.2  # share of phrases that another theme gives


@dataclass
class Phrases:
    """Draws phrases.

    Attributes:
        themes: phrases by theme.
        hints: by part of a list's name, the theme that its phrases are of.
        syllables: of made-up words.
        types: by slot or list, the type that its values have instead of text, with what is said and the value.
    """

    themes: Mapping[str, Sequence[str]]
    hints: Mapping[str, str]
    syllables: Sequence[str]
    types: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)

    @classmethod
    def of_language(
        cls, code: str, words: Iterable[str], types: Mapping[str, Sequence[tuple[str, str]]] | None = None
    ) -> Phrases:
        """The phrases of a language; where it has no file, made-up words that sound like the templates.

        Args:
            code: of the language.
            words: that the templates say.
            types: see the class.
        """
        letters = [word for word in words if len(word) > 2 and word.isalpha()]
        syllables = sorted({word[i : i + 2] for word in letters for i in range(0, len(word) - 1, 2)}) or ["ka", "to"]
        known = languages(_PURPOSE)
        if code in known or code.split("-", maxsplit=1)[0] in known:
            data = load_language_file(code, _PURPOSE)
            return cls(data["themes"], data["lists"], syllables, types or {})
        return cls({"text": sorted(letters) or ["ka"]}, {}, syllables, types or {})

    def draw(self, rng: random.Random, list_name: str, avoid: frozenset[str]) -> tuple[str, str]:
        """A phrase and its value, which is the phrase itself unless the list has a type."""
        typed = self.types.get(list_name)
        if typed:
            return typed[int(rng.random() * len(typed))]
        phrase = ""
        for _ in range(12):
            phrase = self._phrase(rng, list_name)
            if not avoid or avoid.isdisjoint(words_of(phrase)):
                return phrase, phrase
        phrase = self._made_up(rng)
        return phrase, phrase

    def _phrase(self, rng: random.Random, list_name: str) -> str:
        theme = next((theme for part, theme in self.hints.items() if part in list_name.lower()), "")
        if not theme or rng.random() < _ANY_THEME:
            theme = rng.choice(list(self.themes))
        phrases = self.themes[theme]
        phrase = phrases[int(rng.random() * len(phrases))]
        share = rng.random()
        if share >= _MADE_UP:
            return phrase
        words = phrase.split()
        if share < _MADE_UP / 4:
            return " ".join(self._made_up(rng) for _ in range(rng.choice((1, 1, 2, 3))))
        words[int(rng.random() * len(words))] = self._made_up(rng)
        return " ".join(words)

    def _made_up(self, rng: random.Random) -> str:
        return "".join(rng.choice(self.syllables) for _ in range(rng.choice((2, 2, 3, 4))))
