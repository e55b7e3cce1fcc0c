"""Weights that come with the repository, and whether they are those that a recipe describes."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
import zlib
from importlib import metadata as packages
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ThimbleError
from pipeline.recipe import Recipe
from pipeline.workspace import ROOT, fingerprint

__all__ = ["metadata_of", "ship", "shipped_tokenizer", "shipped_weights", "training_facts", "weights_fingerprint"]

_DATA_PACKAGES = ("home-assistant-intents", "hassil", "tokenizers")


def weights_fingerprint(recipe: Recipe) -> str:
    """Digest of all that decides the weights: the recipe's parts, and the packages that the data comes from."""
    return fingerprint(
        {
            **recipe.part("task", "tokenizer", "model", "train", "prune"),
            "packages": {name: packages.version(name) for name in _DATA_PACKAGES},
        }
    )


def training_facts(recipe: Recipe, stage: str, history: dict[str, Any]) -> dict[str, Any]:
    """What a weights file says of itself."""
    stages = "train prune" if stage == "prune" else "train"
    made_by = f"nox -s {stages} -- {recipe.path.as_posix()} --retrain"
    return {
        "stage": stage,
        "fingerprint": weights_fingerprint(recipe),
        "recipe": recipe.part("task", "tokenizer", "model", "train", "prune"),
        "parameters": recipe.model.parameter_count,
        "packages": {name: packages.version(name) for name in (*_DATA_PACKAGES, "tensorflow", "tf-keras")},
        "command": made_by,
        "history": history,
    }


def shipped_weights(recipe: Recipe) -> Path | None:
    """The shipped file, if the recipe names one and it is what the recipe describes; None where it is not.

    Raises:
        ThimbleError: the recipe names a file that is missing or damaged.
    """
    if recipe.shipped is None:
        return None
    path = ROOT / recipe.shipped
    return path if metadata_of(path).get("fingerprint") == weights_fingerprint(recipe) else None


def shipped_tokenizer(recipe: Recipe) -> Path | None:
    """The tokenizer beside the shipped weights, on the same condition.

    Raises:
        ThimbleError: as for the weights, or the tokenizer is missing.
    """
    weights = shipped_weights(recipe)
    if weights is None:
        return None
    path = weights.with_suffix(".tokenizer.json")
    if not path.exists():
        raise ThimbleError(f"no tokenizer at {path}", "restore the file, or take `shipped` out of the recipe")
    return path


def ship(recipe: Recipe, weights: Path, tokenizer: Path) -> Path:
    """Puts trained weights and their tokenizer where the recipe says that the shipped ones lie.

    Raises:
        ThimbleError: the recipe names no such place, or the weights are not what it describes.
    """
    if recipe.shipped is None:
        raise ThimbleError(f"{recipe.path} names no `shipped` weights", "add `shipped: models/weights/NAME.npz` to it")
    if metadata_of(weights).get("fingerprint") != weights_fingerprint(recipe):
        raise ThimbleError(
            f"{weights} is not what {recipe.path} describes", "run the `prune` stage with --retrain first"
        )
    place = ROOT / recipe.shipped
    for source, target in ((tokenizer, place.with_suffix(".tokenizer.json")), (weights, place)):
        beside = target.with_name(f".{target.name}.tmp")
        shutil.copyfile(source, beside)
        os.replace(beside, target)
    return place


def metadata_of(path: Path) -> dict[str, Any]:
    """What a weights file says of itself, read without TensorFlow.

    Raises:
        ThimbleError: no such file, or not a whole one.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return dict(json.loads(str(data["metadata"])))
    except FileNotFoundError:
        raise ThimbleError(
            f"no weights at {path}", "restore the file, or take `shipped` or `train.start` out of the recipe"
        ) from None
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ThimbleError(f"the weights {path} are damaged: {error}", "restore the file from the repository") from None
