"""Recipes: one YAML file says what to train, compress, compile and verify.

A recipe is read once, checked whole, and passed on as frozen data. Everything that is wrong is named at once, with the
file and the key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, Problem, ThimbleError
from pipeline.recipes.legacy import recipe_successor
from pipeline.recipes.path_faults import path_problems
from pipeline.recipes.paths import RECIPE, SHIPPED, resolve, shipped_models
from pipeline.recipes.schema import Recipe
from pipeline.validation import did_you_mean, read_yaml, validate

__all__ = ["Recipe", "load_recipe"]


_MAX_SIZE = 1 << 20
"""Of a width, depth or length of a model: beyond what any device holds."""

_MAX_SIZE_LETTERS = 20
"""Of a budget's size: a number of 64 bits has as many."""


def load_recipe(path: Path) -> Recipe:
    """Reads and checks a recipe.

    Args:
        path: a YAML file, or `shipped:NAME` for the recipe of a model that comes with the package.

    Raises:
        ThimbleError: no such file.
        ConfigError: not YAML, or keys that are unknown, of the wrong type, or describe what cannot be built.
    """
    if str(path).startswith(SHIPPED):
        path = resolve(str(path), Path(), RECIPE)
    elif not os.path.exists(path):
        path = recipe_successor(path) or path
    try:
        data = read_yaml(path, "recipe", "give a readable UTF-8 YAML file")
    except FileNotFoundError:
        known = shipped_models()
        close = did_you_mean(path.stem if path.name != RECIPE else path.parent.name, known)
        remedy = f"name a recipe file; shipped ones: {', '.join(f'{SHIPPED}{name}' for name in known)}{close}"
        raise ThimbleError(f"no recipe at {path}", remedy) from None
    if isinstance(data, Mapping) and (problems := [*path_problems(data), *_size_problems(data)]):
        raise ConfigError(path, problems)
    return validate(Recipe, data, path, context=path)


def _size_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    """Sizes of the model with which nothing is to be computed, not even whether they fit."""
    model = recipe.get("model")
    for key, value in model.items() if isinstance(model, Mapping) else ():
        if isinstance(value, int) and value > _MAX_SIZE:
            yield Problem(f"model.{key}", f"`model.{key}` is {value}", f"use a number up to {_MAX_SIZE:,}")
    budgets = recipe.get("budgets")
    boards = budgets.get("boards") if isinstance(budgets, Mapping) else None
    limits = {"budgets": budgets}
    limits |= {f"budgets.boards.{name}": limit for name, limit in boards.items()} if isinstance(boards, Mapping) else {}
    for where, some in limits.items():
        sizes = {key: str(some.get(key)) for key in ("flash", "ram")} if isinstance(some, Mapping) else {}
        for key, text in sizes.items():
            if len(text) > _MAX_SIZE_LETTERS:
                yield Problem(
                    f"{where}.{key}", f"`{where}.{key}` is {text[:40]!r}", "write bytes, or such as 256K or 1M"
                )
