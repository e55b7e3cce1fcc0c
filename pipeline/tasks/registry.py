"""The tasks by name.

A task's module is imported when a recipe names it, and by its name: what one task needs is then no part of the import
closure of a recipe with another.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import NamedTuple, cast

from pipeline.errors import ThimbleError
from pipeline.tasks.task import Task

__all__ = ["load_task", "task_module", "task_tools"]


class _Entry(NamedTuple):
    module: str
    class_name: str
    tools: tuple[str, ...]


_TASKS = {
    "home_assistant": _Entry(
        "pipeline.tasks.home_assistant.task", "HomeAssistantTask", ("home-assistant-intents", "hassil", "tokenizers")
    ),
    "text": _Entry("pipeline.tasks.imported", "ImportedTextTask", ("numpy", "tokenizers")),
}


def task_module(config: Mapping[str, object]) -> str:
    """The module that makes the data of the task that a `task` section names; this one where it names none of ours."""
    entry = _TASKS.get(str(config.get("name")))
    return __name__ if entry is None else entry.module


def task_tools(config: Mapping[str, object]) -> tuple[str, ...]:
    """The distributions that decide what the task that a `task` section names does."""
    entry = _TASKS.get(str(config.get("name")))
    return () if entry is None else entry.tools


def load_task(config: Mapping[str, object]) -> Task:
    """The task that the recipe's `task` section describes.

    Raises:
        ThimbleError: an unknown task, key or language, or a wrong type.
    """
    name = config.get("name")
    entry = _TASKS.get(str(name))
    if entry is None:
        raise ThimbleError(f"`task.name` {name!r} is not known", "use one of: home_assistant, text (imported models)")
    make = getattr(importlib.import_module(entry.module), entry.class_name).from_mapping
    return cast(Task, make({key: value for key, value in config.items() if key != "name"}))
