"""Sentences whose actions nobody wrote down: the teacher says them (Kim and Rush 2016)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline.recipes.schema import DistillConfig
from pipeline.tasks.accuracy import Generator
from pipeline.tasks.task import Pair
from pipeline.text.tokenizers.byte_bpe import EOS, Tokenizer

if TYPE_CHECKING:
    from pipeline.training.loop import Lessons

__all__ = ["answered", "relabelled"]


def relabelled(
    lessons: Lessons, config: DistillConfig, teacher: Generator, progress: Callable[[int], None] | None = None
) -> Lessons:
    """The lessons with the first pairs as they are, and the sentences of the next with what the teacher says of them.

    Args:
        lessons: the pairs to choose from.
        config: how many keep their actions, and of how many the teacher says them.
        teacher: decodes token by token.
        progress: called with the number of sentences answered.
    """
    kept = dataclasses.replace(lessons, pairs=lessons.pairs[: config.labelled])
    others = lessons.pairs[config.labelled :][: config.relabelled]
    answers = answered(teacher, lessons.tokenizer, [pair.sentence for pair in others], progress)
    return dataclasses.replace(lessons, pairs=[*kept.pairs, *answers])


def answered(
    teacher: Generator, tokenizer: Tokenizer, sentences: Sequence[str], progress: Callable[[int], None] | None = None
) -> list[Pair]:
    """The sentences with what the teacher decodes greedily; those that it does not end within its context are left
    out."""
    pairs = []
    for number, sentence in enumerate(sentences, 1):
        prompt = tokenizer.encode_prompt(sentence)
        room = teacher.context - len(prompt)
        action = teacher.generate(prompt, room, EOS) if room > 0 else []
        if 0 < len(action) < room:
            pairs.append(Pair(sentence, tokenizer.decode(action)))
        if progress is not None:
            progress(number)
    return pairs
