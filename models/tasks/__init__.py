"""Tasks: what a model learns, as pairs of a sentence and the action it asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.errors import ThimbleError
from models.tasks.text import TextTask

__all__ = ["Dataset", "Pair", "Task", "TextTask", "load_task", "text_task"]


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


def load_task(config: Mapping[str, object]) -> Task:
    """The task that the recipe's `task` section describes.

    Raises:
        ThimbleError: an unknown task, key or language, or a wrong type.
    """
    from models.tasks.home_assistant import HomeAssistantTask

    name = config.get("name")
    if name != "home_assistant":
        raise ThimbleError(f"`task.name` {name!r} is not known", "use one of: home_assistant, text (imported models)")
    return HomeAssistantTask.from_mapping({key: value for key, value in config.items() if key != "name"})


def text_task(config: Mapping[str, object]) -> TextTask | None:
    """The task of an imported language model, or None where the section describes another task.

    Raises:
        ThimbleError: an unknown key or a wrong value.
    """
    if config.get("name") != "text":
        return None
    return TextTask.from_mapping({key: value for key, value in config.items() if key != "name"})
