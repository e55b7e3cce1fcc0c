"""Recipes: one YAML file says what to train, compress, compile and verify.

A recipe is read once, checked whole, and passed on as frozen data. Everything that is wrong is named at once, with the
file and the key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ConfigError, ThimbleError
from pipeline.recipes.legacy import recipe_successor
from pipeline.recipes.path_faults import path_problems
from pipeline.recipes.paths import RECIPE, SHIPPED, resolve, shipped_models
from pipeline.recipes.schema import Recipe
from pipeline.validation import did_you_mean, read_yaml, validate

__all__ = ["Recipe", "load_recipe"]


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
    if isinstance(data, Mapping) and (problems := list(path_problems(data))):
        raise ConfigError(path, problems)
    return validate(Recipe, data, path, context=path)
