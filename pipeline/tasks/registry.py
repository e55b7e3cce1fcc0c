"""The tasks by name."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import ThimbleError
from pipeline.recipes.schema import HomeAssistantConfig, TaskConfig, task_config
from pipeline.tasks.task import Task

__all__ = ["load_task", "task_module"]

_MODULES = {"home_assistant": "pipeline.tasks.home_assistant.task"}


def task_module(config: TaskConfig) -> str:
    """The module that makes the data of the task that a `task` section names; this one where it names none of ours."""
    return _MODULES.get(config.name, __name__)


def load_task(config: TaskConfig | Mapping[str, object]) -> Task:
    """The task that the recipe's `task` section describes.

    Args:
        config: the section, or its plain data.

    Raises:
        ConfigError: an unknown task or key, or values of the wrong type or range.
        ThimbleError: an unknown language, or the task of imported models, which has no pairs.
    """
    from pipeline.tasks.home_assistant.task import HomeAssistantTask

    if isinstance(config, Mapping):
        config = task_config(config)
    if not isinstance(config, HomeAssistantConfig):
        raise ThimbleError(f"the task {config.name!r} has no pairs of sentences and actions", "use another recipe")
    return HomeAssistantTask(config)
