"""How often an engine that decodes token by token gets the whole action right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pipeline.tasks.task import Pair
from pipeline.text.codec import Codec, Prompt
from pipeline.text.tokenizers.byte_bpe import EOS

__all__ = [
    "ANSWER_MARGIN",
    "Generator",
    "answer_limit",
    "answer_room",
    "answer_text",
    "answer_tokens",
    "answers",
    "exact_match",
    "matches",
    "max_answer_tokens",
    "unasked",
]

ANSWER_MARGIN = 8
"""Tokens that an answer may be longer than the longest true one before it is cut."""


class Generator(Protocol):
    """Interface of an engine under measurement."""

    @property
    def context(self) -> int: ...

    def generate(
        self,
        prompt: Sequence[int],
        max_new_tokens: int,
        eos: int,
        allowed: Callable[[Sequence[int]], Sequence[int] | None] | None = None,
    ) -> list[int]: ...


def max_answer_tokens(codec: Codec, pairs: Sequence[Pair]) -> int:
    """Tokens after which an answer is cut: those of the longest true action, and `ANSWER_MARGIN` more.

    A longer answer is wrong: only text that is spelled in more tokens than the tokenizer uses could still be right,
    and the margin is for such.
    """
    return answer_limit([answer_tokens(codec, pair, codec.prompt(pair.sentence)) for pair in pairs])


def answer_limit(lengths: Sequence[int]) -> int:
    """As `max_answer_tokens`, of what `answer_tokens` gives for each pair."""
    return max((length - 1 for length in lengths), default=0) + ANSWER_MARGIN


def answer_tokens(codec: Codec, pair: Pair, prompt: Prompt) -> int:
    """Tokens of a pair's action and the end behind it; 1 for an action that the model has no tokens to say."""
    try:
        return len(codec.encode_pair(pair.sentence, pair.action)) - len(prompt.tokens)
    except ValueError:
        return 1


def answer_room(prompt: Prompt, context: int, limit: int) -> int:
    """Tokens of an answer, its end included, before it is cut: `limit`, or up to the end of the context. The last one
    takes no place in it."""
    return min(context - len(prompt.tokens) + 1, limit)


def answer_text(prompt: Prompt, answer: Sequence[int], room: int) -> str:
    """What an answer says, as the device says it; one that was cut off does nothing where there are answer tokens.

    Args:
        prompt: the sentence.
        answer: ids without the end, as a `Generator` gives them.
        room: how many it was asked for; fewer are a whole answer.
    """
    return prompt.text([*answer, EOS] if len(answer) < room else answer)


def unasked(prompt: Prompt) -> str | None:
    """What a sentence comes to for which the model is not asked: `NO_MATCH`; None where answers are text."""
    return prompt.text(()) or None


def exact_match(
    engine: Generator, codec: Codec, pairs: Sequence[Pair], progress: Callable[[int], None] | None = None
) -> float:
    """Share of pairs whose decoded action equals the expected text."""
    return sum(matches(engine, codec, pairs, progress)) / max(len(pairs), 1)


def matches(
    engine: Generator, codec: Codec, pairs: Sequence[Pair], progress: Callable[[int], None] | None = None
) -> list[bool]:
    """For each pair whether its action comes out to the letter; see `answers`."""
    texts = answers(engine, codec, pairs, progress)
    return [text == pair.action for text, pair in zip(texts, pairs, strict=True)]


def answers(
    engine: Generator, codec: Codec, pairs: Sequence[Pair], progress: Callable[[int], None] | None = None
) -> list[str | None]:
    """What each pair's sentence comes to: the engine's greedy answer, cut at `max_answer_tokens`, as a device says it.
    None where the prompt of a model that writes text is longer than the context.

    Args:
        engine: what answers.
        codec: of the model.
        pairs: what to ask; the actions say only how long an answer may get.
        progress: called with the number of sentences answered.
    """
    prompts = [codec.prompt(pair.sentence) for pair in pairs]
    limit = answer_limit([answer_tokens(codec, pair, prompt) for pair, prompt in zip(pairs, prompts, strict=True)])
    texts: list[str | None] = []
    for number, prompt in enumerate(prompts, 1):
        if prompt.refusal(engine.context):
            texts.append(unasked(prompt))
        else:
            max_new = answer_room(prompt, engine.context, limit)
            texts.append(answer_text(prompt, engine.generate(prompt.tokens, max_new, EOS, prompt.allowed), max_new))
        if progress is not None:
            progress(number)
    return texts
