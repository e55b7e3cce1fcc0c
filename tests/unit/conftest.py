"""Data that several tests read: a small English task, built once."""

from __future__ import annotations

import pytest

from pipeline.tasks.home_assistant.task import HomeAssistantTask
from pipeline.tasks.task import Dataset


@pytest.fixture(scope="session")
def english_task() -> HomeAssistantTask:
    return HomeAssistantTask.from_mapping({"language": "en", "split_sentences": 200})


@pytest.fixture(scope="session")
def english(english_task: HomeAssistantTask) -> Dataset:
    return english_task.dataset()
