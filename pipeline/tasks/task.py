"""Tasks: what a model is trained for and measured on. Stages ask the task, and never which one it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dataset", "EvaluationText", "Pair", "Task", "TextWriter", "WrittenText"]


@dataclass(frozen=True)
class Pair:
    """A sentence in the language of the task and the canonical action that it asks for."""

    sentence: str
    action: str


@dataclass(frozen=True)
class EvaluationText:
    """Texts of one length that the float model wrote.

    Attributes:
        calibration: to calibrate with, int32 [texts, length].
        fitting: to fit weights on, int32 [texts, length].
        tokens: to measure with, int32 [texts, length].
        nll: what the float model says of each token of `tokens` after the first: its negative log-likelihood in nats,
            float32 [texts, length − 1].
        top1: the token that it holds most likely there, int32 [texts, length − 1].
    """

    calibration: NDArray[np.int32]
    fitting: NDArray[np.int32]
    tokens: NDArray[np.int32]
    nll: NDArray[np.float32]
    top1: NDArray[np.int32]


@dataclass(frozen=True)
class Dataset:
    """What a task's model is trained, calibrated and measured with.

    Attributes:
        train: pairs to train on.
        dev: pairs like them, to watch the training with.
        splits: pairs that are held out, by the name of the split.
        text: text of the model's own, for a task that has no pairs.
    """

    train: list[Pair]
    dev: list[Pair]
    splits: dict[str, list[Pair]]
    text: EvaluationText | None = None


class WrittenText(Protocol):
    """Texts with what their writer says of each token after the first; shapes as `EvaluationText` has them."""

    @property
    def tokens(self) -> NDArray[np.int32]: ...

    @property
    def nll(self) -> NDArray[np.float32]: ...

    @property
    def top1(self) -> NDArray[np.int32]: ...


@dataclass(frozen=True)
class TextWriter:
    """How a task has the float model write text; the stage makes it, which knows the model.

    Attributes:
        length: tokens of each text.
        is_fitted: whether weights will be fitted on some of it.
        write: writes that many texts from a seed.
    """

    length: int
    is_fitted: bool
    write: Callable[[int, int], WrittenText]


class Task(Protocol):
    """A source of data and of verdicts, the same for the same configuration.

    Arguments called `data` are the folder that the `data` stage filled.
    """

    @property
    def seed(self) -> int:
        """Decides the data, and what is drawn while weights are fitted on them."""
        ...

    @property
    def splits(self) -> Mapping[str, str]:
        """The held-out splits by name, each with what it holds; none for a task without pairs."""
        ...

    @property
    def baseline_splits(self) -> tuple[str, ...]:
        """The splits on which the field's own tool, `baseline`, is asked."""
        ...

    def dataset(self, writer: TextWriter | None = None) -> Dataset:
        """All data of the task.

        Args:
            writer: the float model; only tasks without pairs need it.
        """
        ...

    def calibration(self, data: Path, count: int, context: int) -> list[list[int]]:
        """Token sequences whose run sets the integers' ranges: of `count` pairs, or what the task has instead, for a
        model that sees `context` tokens."""
        ...

    def proof(self, data: Path, context: int) -> dict[str, list[int]]:
        """Token sequences by what they are, on which engines are compared step by step; pairs end with the context."""
        ...

    def held_out(self, data: Path, limit: int | None = None) -> dict[str, list[Pair]]:
        """The first `limit` pairs of each split that has any."""
        ...

    def text(self, data: Path) -> EvaluationText | None:
        """The text whose likelihood is measured, for a task without pairs."""
        ...

    def prompts(self) -> tuple[str, ...]:
        """What the board is asked where the recipe has no prompts."""
        ...

    def examples(self) -> Sequence[Pair]:
        """A dozen pairs to show; none for a task without pairs."""
        ...

    def vocabulary(self) -> Mapping[str, Sequence[str]] | None:
        """The words that answers may hold, by the kind of slot; None where they are not limited."""
        ...

    def grammar(self) -> str | None:
        """The form of all answers; None where any text may be one."""
        ...

    def score(self, pairs: Sequence[Pair], answers: Sequence[str | None]) -> list[bool]:
        """For each pair whether the answer to its sentence is right; None is no answer."""
        ...

    def baseline(self, pairs: Sequence[Pair]) -> list[bool]:
        """Which pairs the field's own tool gets right; nothing where there is no such tool."""
        ...
