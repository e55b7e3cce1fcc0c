"""Sentences whose actions nobody wrote down: the teacher says them (Kim and Rush 2016)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline.recipes.schema import DistillConfig
from pipeline.tasks.accuracy import Generator
from pipeline.tasks.task import Pair
from pipeline.text.codec import Codec
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
    """Training data of the first pairs as they are, and of the next sentences with the answers of the teacher.

    Args:
        training_data: the pairs to choose from.
        config: how many keep their actions, and of how many the teacher says them.
        teacher: decodes token by token.
        progress: called with the number of sentences answered.
    """
    gold = dataclasses.replace(training_data, pairs=training_data.pairs[: config.labelled])
    unlabelled = training_data.pairs[config.labelled :][: config.relabelled]
    answers = decode_all(teacher, training_data.codec, [pair.sentence for pair in unlabelled], progress)
    return dataclasses.replace(training_data, pairs=[*gold.pairs, *answers])


def decode_all(
    teacher: Generator, codec: Codec, sentences: Sequence[str], progress: Callable[[int], None] | None = None
) -> list[Pair]:
    """The sentences with the teacher's greedy answers; sentences whose answer does not end within the context are
    omitted."""
    pairs = []
    for number, sentence in enumerate(sentences, 1):
        prompt = codec.prompt(sentence)
        room = teacher.context - len(prompt.tokens)
        action = teacher.generate(prompt.tokens, room, EOS, prompt.allowed) if room > 0 else []
        if 0 < len(action) < room:
            pairs.append(Pair(sentence, prompt.text(action)))
        if progress is not None:
            progress(number)
    return pairs
