"""Token sequences that are drawn while a model trains, in processes of their own where there are many.

An epoch's sequences are six parts of a stream without end, and each epoch replaces one of them: a sentence is seen six
times, drawing takes a sixth of the work that it would take if each were seen once, and no more than one pool is in
memory. An epoch depends on its number alone, so a training can go on from any of them.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks.registry import load_stream
from pipeline.tasks.sample_stream import SampleStream
from pipeline.text.codec import Prompt

__all__ = ["DrawnStream", "SequenceStream"]

_PARTS = 6
_PART = 8_192
_PROCESSES = 2
_SLICES = 4  # of a part, so that both processes draw at the beginning
_FEW = 4_096  # sequences of a training, which are drawn in less time than processes take to start


class SequenceStream(Protocol):
    """Equally many token sequences by epoch."""

    def epoch(self, number: int) -> Sequence[Sequence[int]]: ...

    def lessons(self, count: int) -> Iterator[tuple[Prompt, Sequence[int]]]:
        """The first `count` sentences: each one's prompt, and the tokens of the sentence and its answer."""
        ...


@dataclass
class DrawnStream:
    """Draws a task's sequences; see `SequenceStream`.

    Args:
        task: the recipe's `task` section as plain data.
        folder: of the recipe.
        data: the folder of the `data` stage.
        context: tokens that the model sees.
        sequences: how many the training takes in all; the pool is not made larger.
    """

    task: Mapping[str, Any]
    folder: Path
    data: Path
    context: int
    sequences: int

    def __post_init__(self) -> None:
        self._part = max(min(_PART, -(-self.sequences // _PARTS)), _SLICES)
        self._parts: dict[int, list[Callable[[], list[NDArray[np.int16]]]]] = {}
        self._pool: ProcessPoolExecutor | None = None
        self._epochs: dict[int, Sequence[Sequence[int]]] = {}

    def epoch(self, number: int) -> Sequence[Sequence[int]]:
        """The sequences of an epoch; the next one's are begun."""
        if number not in self._epochs:
            for part in range(number, number + _PARTS + 1):
                self._begin(part)
            sequences: list[Any] = []
            for part in range(number, number + _PARTS):
                for piece in self._parts[part]:
                    sequences += piece()
            for part in [part for part in self._parts if part < number]:
                del self._parts[part]
            self._epochs = {number: sequences}
        return self._epochs[number]

    def lessons(self, count: int) -> Iterator[tuple[Prompt, Sequence[int]]]:
        """The first `count` sentences, drawn in this process; see `SequenceStream`."""
        return (self._local.lesson(number) for number in range(count))

    def close(self) -> None:
        """Ends the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    @cached_property
    def _local(self) -> SampleStream:
        """Draws in this process."""
        return load_stream(self.task, self.folder, self.data, self.context)

    def _begin(self, part: int) -> None:
        if part in self._parts:
            return
        if self.sequences <= _FEW:  # drawn when they are asked for
            first = part * self._part
            self._parts[part] = [cache(lambda: _drawn(self._local, first, first + self._part))]
            return
        if self._pool is None:
            # TensorFlow's threads do not survive a fork.
            self._pool = ProcessPoolExecutor(
                _PROCESSES,
                multiprocessing.get_context("spawn"),
                _start,
                (dict(self.task), self.folder, self.data, self.context),
            )
        bounds = np.linspace(part * self._part, (part + 1) * self._part, _SLICES + 1).astype(int)
        self._parts[part] = [self._pool.submit(_draw, int(begin), int(end)).result for begin, end in pairwise(bounds)]


_stream: SampleStream | None = None


def _start(task: Mapping[str, Any], folder: Path, data: Path, context: int) -> None:
    global _stream  # noqa: PLW0603  # of a process that only draws
    _stream = load_stream(task, folder, data, context)


def _draw(begin: int, end: int) -> list[NDArray[np.int16]]:
    assert _stream is not None
    return _drawn(_stream, begin, end)


def _drawn(stream: SampleStream, begin: int, end: int) -> list[NDArray[np.int16]]:
    return [np.array(stream.sequence(number), np.int16) for number in range(begin, end)]
