"""The tasks by name.

A task's module is imported when a recipe names it, and by its name: what one task needs is then no part of the import
closure of a recipe with another.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

from pipeline.recipes.schema import Recipe, TaskConfig, ToolsConfig, task_config
from pipeline.tasks.sample_stream import SampleStream
from pipeline.tasks.structured import StructuredTask
from pipeline.tasks.task import Task
from pipeline.tasks.tests_file import SentenceTest, load_tests
from pipeline.tasks.tool_files import CallMaker

__all__ = ["TASK_FILES", "load_calls", "load_stream", "load_task", "task_module", "task_tests", "task_tools"]

TASK_FILES = ("pipeline/languages/**/*.yaml", "pipeline/tasks/home_assistant/sentences/*.yaml")
"""The package's files, as glob patterns, that tasks read."""


class _Entry(NamedTuple):
    module: str
    class_name: str
    tools: tuple[str, ...]


_TASKS = {
    "corpus": _Entry("pipeline.tasks.corpus", "CorpusTask", ("numpy", "tokenizers")),
    "home_assistant": _Entry(
        "pipeline.tasks.home_assistant.task", "HomeAssistantTask", ("home-assistant-intents", "hassil", "tokenizers")
    ),
    "pairs": _Entry("pipeline.tasks.own_pairs", "load_pairs_task", ("tokenizers",)),
    "sentences": _Entry(
        "pipeline.tasks.own_sentences", "SentencesTask", ("home-assistant-intents", "hassil", "tokenizers")
    ),
    "text": _Entry("pipeline.tasks.imported", "ImportedTextTask", ("numpy", "tokenizers")),
    "tools": _Entry("pipeline.tasks.own_tools", "ToolsTask", ("home-assistant-intents", "hassil", "tokenizers")),
}


def task_module(config: TaskConfig) -> str:
    """The module that makes the data of the task that a `task` section names."""
    return _TASKS[config.name].module


def task_tools(config: TaskConfig) -> tuple[str, ...]:
    """The distributions that decide what the task that a `task` section names does."""
    return _TASKS[config.name].tools


def load_task(config: Recipe | TaskConfig | Mapping[str, object], folder: Path | None = None) -> Task:
    """The task that a recipe's `task` section describes.

    Args:
        config: the recipe, or its `task` section, also as plain data.
        folder: from which the section's paths are seen; the recipe's where a recipe is given.

    Raises:
        ConfigError: an unknown task or key, or values of the wrong type or range.
        ThimbleError: an unknown language, or files that cannot be read.
    """
    if isinstance(config, Recipe):
        section, folder = config.task, config.path.parent
    else:
        section = task_config(config) if isinstance(config, Mapping) else config
    entry = _TASKS[section.name]
    return cast(Task, getattr(importlib.import_module(entry.module), entry.class_name)(section, folder or Path()))


def load_stream(config: Mapping[str, object], folder: Path, data: Path, context: int) -> SampleStream:
    """The training sentences of a task whose samples are drawn.

    Args:
        config: the recipe's `task` section as plain data.
        folder: of the recipe.
        data: the folder of the `data` stage.
        context: tokens that the model sees.
    """
    task = load_task(config, folder)
    assert isinstance(task, StructuredTask), "only such tasks have a stream"
    return task.stream(data, context)


def load_calls(recipe: Recipe) -> CallMaker | None:
    """What makes calls of a model's answers; None where the task has no tools."""
    if not isinstance(recipe.task, ToolsConfig):
        return None
    module = importlib.import_module(task_module(recipe.task))
    return cast(CallMaker, module.load_calls(recipe.task, recipe.path.parent))


def task_tests(recipe: Recipe) -> tuple[SentenceTest, ...]:
    """The tests that a recipe's `task` section names; none where it names none.

    Raises:
        ThimbleError: see `load_tests`.
    """
    tests = getattr(recipe.task, "tests", None)
    return load_tests(recipe.path.parent / tests) if tests else ()
