"""Training sentences as token sequences, each a function of its number alone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Container, Iterator

from pipeline.errors import ThimbleError
from pipeline.tasks.samples import Sample, SampleSource
from pipeline.text.codec import Prompt, StructuredCodec

__all__ = ["SampleStream", "draw_samples"]

_TRIES = 200


def draw_samples(source: SampleSource, seed: int, purpose: str) -> Iterator[Sample]:
    """Endless samples."""
    number = 0
    while True:
        yield source.draw(random.Random(f"{seed}:{purpose}:{number}"))
        number += 1


class SampleStream:
    """Draws samples and encodes them.

    Args:
        source: draws a sample.
        codec: makes tokens of it.
        context: the most tokens of a sentence with its answer.
        seed: decides the samples.
        excluded: normalized sentences that training must not see.

    Attributes:
        dropped: how often a sample could not be used, by why; a sentence that many samples give counts each time.
    """

    def __init__(
        self,
        source: SampleSource,
        codec: StructuredCodec,
        context: int,
        seed: int,
        excluded: Container[str] = (),
    ) -> None:
        self._source, self._codec, self._context, self._seed, self._excluded = source, codec, context, seed, excluded
        self.dropped: Counter[str] = Counter()

    def sequence(self, number: int) -> list[int]:
        """The tokens of a sentence and its answer, see `lesson`."""
        return self.lesson(number)[1]

    def lesson(self, number: int) -> tuple[Prompt, list[int]]:
        """A sentence's prompt, and the tokens of the sentence and its answer.

        Raises:
            ThimbleError: none of many samples can be encoded.
        """
        rng = random.Random(f"{self._seed}:train:{number}")
        reason = ""
        for _ in range(_TRIES):
            sample = self._source.draw(rng)
            try:
                prompt, tokens = self._codec.lesson(
                    sample.sentence, sample.intent, sample.slots, sample.entries, self._excluded
                )
            except ValueError as error:
                reason = f"{sample.sentence!r}: {error}"
                self.dropped[f"{sample.intent}: {error}"] += 1
                continue
            if len(tokens) <= self._context:
                return prompt, tokens
            reason = f"{sample.sentence!r} with its answer takes {len(tokens)} tokens, the model sees {self._context}"
            self.dropped["too long for the context"] += 1
        raise ThimbleError(
            f"no training sentence can be used; the last was {reason}", "run `thimble check` on the task"
        )
