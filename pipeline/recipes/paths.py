"""Paths in recipes: seen from the folder of the recipe, or `shipped:NAME` for a model that comes with the package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ThimbleError
from pipeline.recipes.legacy import resolve_from_root, shipped_name
from pipeline.resources import ROOT

if TYPE_CHECKING:
    from pipeline.recipes.schema import Recipe

__all__ = [
    "RECIPE",
    "SHIPPED",
    "WEIGHTS",
    "file_digests",
    "identity",
    "imported_tokenizer",
    "imported_weights",
    "matching_files",
    "rebase",
    "resolve",
    "shipped_models",
    "task_files",
]

MODELS = ROOT / "models"
SHIPPED = "shipped:"
WEIGHTS, RECIPE = "weights.npz", "recipe.yaml"
"""What `shipped:NAME` stands for where a key names weights, and where it names a recipe."""

_PATHS = {("shipped",): WEIGHTS, ("weights",): WEIGHTS, ("train", "start"): WEIGHTS, ("distill", "teacher"): RECIPE}
"""The keys of a recipe that hold paths, and what each names."""


def shipped_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in MODELS.glob(f"*/{RECIPE}"))


def resolve(text: str, folder: Path, file: str) -> Path:
    """The file that a path of a recipe names.

    Args:
        text: the path as the recipe has it.
        folder: the recipe's folder.
        file: what is wanted of a shipped model, `WEIGHTS` or `RECIPE`.
    """
    if text.startswith(SHIPPED):
        return MODELS / text.removeprefix(SHIPPED) / file
    path = folder / text
    return path if path.exists() else resolve_from_root(text, file) or path


def identity(text: str, file: str) -> str:
    """The path as fingerprints have it: one spelling for a shipped model, wherever the package is installed."""
    name = text.removeprefix(SHIPPED) if text.startswith(SHIPPED) else shipped_name(text)
    return text if name is None else f"models/{name}/{file}"


def rebase(recipe: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A recipe's plain data, or part of it, with paths that any other folder's recipe may have too.

    Args:
        recipe: the data as its YAML file has it.
        folder: where its paths are seen from.
    """
    rebased = dict(recipe)
    for keys, file in _PATHS.items():
        section = rebased
        for key in keys[:-1]:
            section = section.get(key, {})
        text = section.get(keys[-1]) if isinstance(section, Mapping) else None
        if not isinstance(text, str) or not text:
            continue
        path = resolve(text, folder, file).resolve()
        shipped = path.parent.parent == MODELS and path.name == file
        new = {keys[-1]: f"{SHIPPED}{path.parent.name}" if shipped else str(path)}
        if len(keys) == 1:
            rebased |= new
        else:
            rebased[keys[0]] = {**section, **new}
    return rebased


_REMEDY = "import the model again, with `thimble import`"


def imported_weights(recipe: Recipe) -> Path:
    """The weights of an imported model, as `pipeline.network.checkpoint` reads them.

    Raises:
        ThimbleError: there is no such file.
    """
    assert recipe.weights_path is not None, "an imported model"
    return _existing(recipe, recipe.weights_path)


def imported_tokenizer(recipe: Recipe) -> Path:
    """The tokenizer beside the weights, as `pipeline.text.tokenizers.load.load_tokenizer` reads it.

    Raises:
        ThimbleError: there is no such file.
    """
    return _existing(recipe, imported_weights(recipe).with_suffix(".tokenizer.json"))


def _existing(recipe: Recipe, path: Path) -> Path:
    if not path.is_file():
        raise ThimbleError(f"{recipe.path} names {path.name}, and there is no {path}", _REMEDY)
    return path


def task_files(recipe: Recipe, for_training: bool = False) -> dict[str, Path]:
    """The files that a recipe's `task` section names, by the name in it.

    Args:
        recipe: of the task.
        for_training: those alone that decide what is trained on: a home and tests do not.
    """
    config, folder = recipe.task, recipe.path.parent
    patterns: list[str | None] = list(config.training_files)
    if not for_training:
        patterns += [getattr(config, "home", None), getattr(config, "tests", None), *getattr(config, "exclude", ())]
    files: dict[str, Path] = {}
    for pattern in patterns:
        if pattern:
            files |= matching_files(pattern, folder)
    return files


def matching_files(pattern: str, folder: Path) -> dict[str, Path]:
    """The files that an entry of a recipe means, by their names in the folder, in order.

    Args:
        pattern: a file, a folder with all that is in it, or a pattern such as `texts/*.txt`.
        folder: from which it is seen.
    """
    path = folder / pattern
    if path.is_dir():
        matches = sorted(path.rglob("*"))
    elif "*" in pattern:
        start = Path(path.anchor) if Path(pattern).is_absolute() else folder
        matches = sorted(start.glob(str(path.relative_to(start))))
    else:
        return (
            {str(path.relative_to(folder)) if path.is_relative_to(folder) else pattern: path} if path.is_file() else {}
        )
    return {
        str(match.relative_to(folder)) if match.is_relative_to(folder) else str(match): match
        for match in matches
        if match.is_file()
    }


def file_digests(files: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of each file by its name."""
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
