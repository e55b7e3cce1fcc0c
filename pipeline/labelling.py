"""Sentences whose actions nobody wrote down: the teacher says them (Kim and Rush 2016)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from models.config import DistillConfig, ModelConfig
from models.tasks import Pair
from models.tokenizer import EOS, Tokenizer
from pipeline.accuracy import Generator
from pipeline.host_engine import host_engine
from pipeline.recipe import QuantizeConfig

if TYPE_CHECKING:
    import tf_keras as keras

    from models.training import Lessons

__all__ = ["answered", "relabelled"]


def relabelled(
    lessons: Lessons,
    config: DistillConfig,
    teacher: keras.Model,
    sizes: ModelConfig,
    progress: Callable[[int], None] | None = None,
) -> Lessons:
    """The lessons with the first pairs as they are, and the sentences of the next with what the teacher, in int8 and
    compiled for this machine, says of them.

    Args:
        teacher: float, of these sizes. progress: called with the number of sentences answered.

    Raises:
        ThimbleError: from the compilers.
    """
    from models.quantization import quantize

    kept = dataclasses.replace(lessons, pairs=lessons.pairs[: config.labelled])
    others = lessons.pairs[config.labelled :][: config.relabelled]
    if not others:
        return kept
    with host_engine(quantize(teacher, sizes, kept.sequences[: QuantizeConfig.calibration_sentences])) as engine:
        answers = answered(engine, lessons.tokenizer, [pair.sentence for pair in others], progress)
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
