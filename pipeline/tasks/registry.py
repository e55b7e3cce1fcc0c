"""The tasks by name."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import ThimbleError
from pipeline.recipes.text_task import text_task
from pipeline.tasks.task import Task

__all__ = ["load_task", "task_module"]

_MODULES = {"home_assistant": "pipeline.tasks.home_assistant.task", "text": "pipeline.tasks.imported"}


def task_module(config: Mapping[str, object]) -> str:
    """The module that makes the data of the task that a `task` section names; this one where it names none of ours."""
    return _MODULES.get(str(config.get("name")), __name__)


def load_task(config: Mapping[str, object]) -> Task:
    """The task that the recipe's `task` section describes.

    Raises:
        ThimbleError: an unknown task, key or language, or a wrong type.
    """
    from pipeline.tasks.home_assistant.task import HomeAssistantTask
    from pipeline.tasks.imported import ImportedTextTask

    text = text_task(config)
    if text is not None:
        return ImportedTextTask(text)
    name = config.get("name")
    if name != "home_assistant":
        raise ThimbleError(f"`task.name` {name!r} is not known", "use one of: home_assistant, text (imported models)")
    return HomeAssistantTask.from_mapping({key: value for key, value in config.items() if key != "name"})
