"""How often an engine that decodes token by token gets the whole action right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pipeline.tasks.task import Pair
from pipeline.text.tokenizers.byte_bpe import EOS, Tokenizer

__all__ = ["Generator", "exact_match", "matches"]


class Generator(Protocol):
    """What is needed of an engine."""

    @property
    def context(self) -> int: ...

    def generate(self, prompt: Sequence[int], max_new_tokens: int, eos: int) -> list[int]: ...


def exact_match(
    engine: Generator, tokenizer: Tokenizer, pairs: Sequence[Pair], progress: Callable[[int], None] | None = None
) -> float:
    """Share of pairs whose action comes out to the letter."""
    return sum(matches(engine, tokenizer, pairs, progress)) / max(len(pairs), 1)


def matches(
    engine: Generator, tokenizer: Tokenizer, pairs: Sequence[Pair], progress: Callable[[int], None] | None = None
) -> list[bool]:
    """For each pair whether its action comes out to the letter; a prompt longer than the context is wrong."""
    right = []
    for number, pair in enumerate(pairs, 1):
        prompt = tokenizer.encode_prompt(pair.sentence)
        room = engine.context - len(prompt) + 1
        right.append(room > 0 and tokenizer.decode(engine.generate(prompt, room, EOS)) == pair.action)
        if progress is not None:
            progress(number)
    return right
