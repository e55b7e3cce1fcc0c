"""Sentences whose actions nobody wrote down: the teacher says them (Kim and Rush 2016)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from pipeline.recipes.schema import DistillConfig
from pipeline.tasks.accuracy import Generator
from pipeline.tasks.task import Pair
from pipeline.text.codec import Codec, Prompt
from pipeline.text.tokenizers.byte_bpe import EOS

if TYPE_CHECKING:
    from pipeline.training.loop import TrainingData

__all__ = ["decode_all", "pseudo_label"]


def pseudo_label(
    training_data: TrainingData,
    config: DistillConfig,
    teacher: Generator,
    progress: Callable[[int], None] | None = None,
) -> TrainingData:
    """Training data of the first sentences as they are, and of the next ones with the answers of the teacher.

    Of a stream so many sentences are drawn; the result is no stream.

    Args:
        training_data: the sentences to choose from.
        config: how many keep their actions, and of how many the teacher says them.
        teacher: decodes token by token.
        progress: called with the number of sentences answered.
    """
    if training_data.stream is not None:
        lessons = training_data.stream.lessons(config.labelled + config.relabelled)
        drawn = [tokens for _, tokens in islice(lessons, config.labelled)]
        for number, (prompt, _) in enumerate(lessons, 1):
            answer = _answer(teacher, prompt)
            sequence = [*prompt.tokens, *answer, EOS]
            if answer and len(sequence) <= training_data.context:
                drawn.append(sequence)
            if progress is not None:
                progress(number)
        return dataclasses.replace(training_data, stream=None, drawn=drawn)
    gold = training_data.pairs[: config.labelled]
    unlabelled = training_data.pairs[config.labelled :][: config.relabelled]
    answers = decode_all(teacher, training_data.codec, [pair.sentence for pair in unlabelled], progress)
    return dataclasses.replace(training_data, pairs=[*gold, *answers])


def decode_all(
    teacher: Generator, codec: Codec, sentences: Sequence[str], progress: Callable[[int], None] | None = None
) -> list[Pair]:
    """The sentences with the teacher's greedy answers; sentences whose answer does not end within the context are
    omitted."""
    pairs = []
    for number, sentence in enumerate(sentences, 1):
        prompt = codec.prompt(sentence)
        action = _answer(teacher, prompt)
        if action:
            pairs.append(Pair(sentence, prompt.text([*action, EOS])))
        if progress is not None:
            progress(number)
    return pairs


def _answer(teacher: Generator, prompt: Prompt) -> list[int]:
    """The teacher's greedy answer without its end; none where it does not end within the context."""
    room = teacher.context - len(prompt.tokens)
    action = teacher.generate(prompt.tokens, room, EOS, prompt.allowed) if room > 0 else []
    return action if len(action) < room else []
