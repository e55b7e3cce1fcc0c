"""What no path or pattern of a recipe can be, before anything is looked for by it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import Problem

__all__ = ["path_problems"]

_MAX_PART, _MAX_PATH = 255, 4_000
"""Bytes of a file's name and of a whole path, on the file systems of today."""
_KEYS = (("shipped",), ("weights",), ("train", "start"), ("distill", "teacher"))
_TASK_KEYS = ("files", "sentences", "exclude", "home", "tests")


def path_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the paths and patterns of a recipe.

    Args:
        recipe: its data as its YAML file has them; what is of another kind than a path is passed over.
    """
    for key, text in _paths(recipe):
        if fault := _fault(text):
            yield Problem(
                key, f"`{key}` {text[:80]!r} {fault}", "name a file, a folder or a pattern such as `texts/*.txt`"
            )


def _paths(recipe: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Dotted keys and their texts."""
    for keys in _KEYS:
        value: Any = recipe
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, str):
            yield ".".join(keys), value
    task = recipe.get("task")
    for key in _TASK_KEYS if isinstance(task, Mapping) else ():
        value = task.get(key) if isinstance(task, Mapping) else None
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str):
                yield f"task.{key}", text


def _fault(text: str) -> str:
    """Why a text is no path or pattern; empty where it may be one."""
    if any(letter < " " or letter == "\x7f" for letter in text):
        return "holds a control character"
    parts = Path(text).parts
    if len(os.fsencode(text)) > _MAX_PATH or any(len(os.fsencode(part)) > _MAX_PART for part in parts):
        return "is longer than a path can be"
    if any("**" in part and part != "**" for part in parts):
        return "holds ** beside other letters"
    fixed = parts[: next((index for index, part in enumerate(parts) if "*" in part), len(parts))]
    if fixed and Path(text).is_absolute() and os.path.realpath(Path(*fixed)) == Path(text).anchor:
        return "means the whole disk"
    return ""
