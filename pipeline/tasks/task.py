"""Tasks: what a model is trained for and measured on. Stages ask the task, and never which one it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Dataset",
    "Document",
    "Documents",
    "EvaluationText",
    "MeasuredText",
    "Pair",
    "Predictions",
    "Task",
    "TextWriter",
    "TrainingText",
    "WrittenText",
]


@dataclass(frozen=True)
class Pair:
    """A sentence in the language of the task and the canonical action that it asks for."""

    sentence: str
    action: str


@dataclass(frozen=True)
class Document:
    """A text that begins and ends.

    Attributes:
        text: as it is trained on.
        key: 64 bits, the same for copies of a document.
    """

    text: str
    key: int


@dataclass(frozen=True)
class Documents:
    """Documents by the part they belong to; no part holds copies of another one's.

    Attributes:
        train: to train on.
        dev: to watch the training with.
        held_out: to measure on; none where training sees all.
    """

    train: Sequence[Document]
    dev: Sequence[Document]
    held_out: Sequence[Document]


@dataclass(frozen=True)
class TrainingText:
    """Text as token sequences that a model sees whole; all tokens count, and not those of an answer alone.

    Attributes:
        train: to train on.
        dev: to watch the training with.
    """

    train: Sequence[Sequence[int]]
    dev: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Predictions:
    """What a model says of each token of some sequences but their first ones, one sequence behind the other.

    Attributes:
        nll: its negative log-likelihood in nats, float32 [tokens].
        top1: the token that the model holds most likely there, int32 [tokens].
    """

    nll: NDArray[np.float32]
    top1: NDArray[np.int32]


@dataclass(frozen=True)
class MeasuredText:
    """Text whose likelihood is measured.

    Attributes:
        sequences: token sequences, int [T] each, of which all tokens but the first are measured.
        num_bytes: what the measured tokens stand for; None where nobody asks.
        predictions: what the float model says of them, where it is known since the text was written.
    """

    sequences: Sequence[NDArray[np.signedinteger]]
    num_bytes: int | None = None
    predictions: Predictions | None = None


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

    @property
    def measured(self) -> MeasuredText:
        """What is measured."""
        return MeasuredText([*self.tokens], predictions=Predictions(self.nll.ravel(), self.top1.ravel()))


@dataclass(frozen=True)
class Dataset:
    """What a task's model is trained, calibrated and measured with.

    Attributes:
        train: pairs to train on.
        dev: pairs like them, to watch the training with.
        splits: pairs that are held out, by the name of the split.
        text: text of the model's own, for a task that has no pairs.
        documents: for a task of plain text.
    """

    train: list[Pair]
    dev: list[Pair]
    splits: dict[str, list[Pair]]
    text: EvaluationText | None = None
    documents: Documents | None = None


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

    def training_text(self, data: Path, context: int) -> TrainingText | None:
        """The text to train on, for a model that sees `context` tokens; None for a task that has none."""
        ...

    def text(self, data: Path, context: int, limit: int | None = None) -> MeasuredText | None:
        """The text whose likelihood is measured, for a task without pairs.

        Args:
            data: see above.
            context: tokens that the model sees.
            limit: the most sequences, where the task does not say how many itself.
        """
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
