"""Spellings of 0.1.0 that go on working: paths seen from the repository's root, and recipes in `models/recipes`."""

from __future__ import annotations

import logging
import re
from functools import cache
from pathlib import Path

from pipeline.resources import ROOT

__all__ = ["recipe_successor", "resolve_from_root", "shipped_name"]

_FILE = re.compile(
    r"models/(?:weights/(?P<weights>[\w.-]+)\.npz|recipes/(?P<recipe>[\w.-]+)\.ya?ml"
    r"|(?P<model>[\w.-]+)/(?:weights\.npz|recipe\.yaml))"
)
"""`models/weights/NAME.npz` and `models/recipes/NAME.yaml` of 0.1.0, and where the files lie since."""


def shipped_name(text: str) -> str | None:
    """The shipped model that a path seen from the repository's root names, such as `models/weights/home-en-small.npz`;
    None for other paths."""
    match = _FILE.fullmatch(text)
    return match and (match["weights"] or match["recipe"] or match["model"])


def resolve_from_root(text: str, file: str) -> Path | None:
    """The file that a path seen from the repository's root names, with a notice how to write it now.

    Args:
        text: the path as a recipe has it.
        file: what is wanted of a shipped model: `weights.npz` or `recipe.yaml`.
    """
    name = shipped_name(text)
    if name is not None and (path := ROOT / "models" / name / file).exists():
        _notice(f"`{text}`: write `shipped:{name}`; paths in a recipe are seen from the recipe's folder")
        return path
    if text and (path := ROOT / text).exists():
        _notice(f"`{text}` is found from the repository's root: write it as seen from the recipe's folder")
        return path
    return None


def recipe_successor(path: Path) -> Path | None:
    """Where a recipe lies that 0.1.0 had at `models/recipes/NAME.yaml`, with a notice; None where there is none."""
    if path.parent.parts[-2:] != ("models", "recipes"):
        return None
    for models in (path.parent.parent, ROOT / "models"):
        if (successor := models / path.stem / "recipe.yaml").exists():
            _notice(f"{path} is now {successor}")
            return successor
    return None


@cache
def _notice(text: str) -> None:
    """Prints one line on stderr, once."""
    logging.getLogger("thimble").warning("notice: %s", text)
