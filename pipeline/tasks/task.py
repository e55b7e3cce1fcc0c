"""Tasks: what a model learns, as pairs of a sentence and the action it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Dataset", "Pair", "Task"]


@dataclass(frozen=True)
class Pair:
    """A sentence in the language of the task and the canonical action that it asks for."""

    sentence: str
    action: str


@dataclass(frozen=True)
class Dataset:
    """Pairs to train on, pairs like them to watch the training with, and held-out splits by name."""

    train: list[Pair]
    dev: list[Pair]
    splits: dict[str, list[Pair]]


class Task(Protocol):
    """A source of data, the same for the same configuration."""

    @property
    def examples(self) -> Sequence[Pair]:
        """A dozen pairs to show."""
        ...

    def build(self) -> Dataset:
        """All data of the task."""
        ...

    def baseline(self, pairs: Sequence[Pair]) -> list[bool] | None:
        """Which pairs the field's own tool gets right, or None where there is no such tool."""
        ...
