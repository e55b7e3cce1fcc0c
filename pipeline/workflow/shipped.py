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
from pipeline.files import fingerprint
from pipeline.recipes.load import Recipe, load_recipe

__all__ = [
    "TRAINING_STAGES",
    "read_weights_metadata",
    "ship",
    "shipped_tokenizer",
    "shipped_weights",
    "teacher_of",
    "training_facts",
    "weights_fingerprint",
]

_DATA_PACKAGES = ("home-assistant-intents", "hassil", "tokenizers")


TRAINING_STAGES = ("train", "distill", "prune", "qat")
"""The stages that change weights, in order."""


def weights_fingerprint(recipe: Recipe, until: str = TRAINING_STAGES[-1]) -> str:
    """Digest of all that decides the weights up to a stage: the recipe's parts, the teacher, and the packages that the
    data comes from."""
    facts: dict[str, Any] = {
        **_parts(recipe, until),
        "packages": {name: packages.version(name) for name in _DATA_PACKAGES},
    }
    if "distill" in facts:
        facts["teacher"] = weights_fingerprint(teacher_of(recipe))
    return fingerprint(facts)


def teacher_of(recipe: Recipe) -> Recipe:
    """The recipe of the teacher that a recipe with `distill` names.

    Raises:
        ThimbleError: no such recipe, or one that names teachers without end.
    """
    assert recipe.distill is not None and recipe.teacher_path is not None
    teacher = load_recipe(recipe.teacher_path)
    if teacher.distill is not None:
        raise ThimbleError(
            f"the teacher {recipe.distill.teacher} has a teacher itself",
            "name a recipe without `distill` as the teacher",
        )
    return teacher


def training_facts(recipe: Recipe, stage: str, history: dict[str, Any]) -> dict[str, Any]:
    """What a weights file that a stage wrote says of itself."""
    requested = [
        name for name in TRAINING_STAGES[: TRAINING_STAGES.index(stage) + 1] if getattr(recipe, name) is not None
    ]
    made_by = f"nox -s {' '.join(requested)} -- {recipe.path.as_posix()} --retrain"
    return {
        "stage": stage,
        "fingerprint": weights_fingerprint(recipe, stage),
        "recipe": _parts(recipe, stage),
        "parameters": recipe.model.parameter_count,
        "packages": {name: packages.version(name) for name in (*_DATA_PACKAGES, "tensorflow", "tf-keras")},
        "command": made_by,
        "history": history,
    }


def _parts(recipe: Recipe, until: str) -> dict[str, Any]:
    """The recipe's sections that decide the weights after a stage; `distill` and `qat`, which came later, only where
    they are asked for, so that the fingerprints of older weights still fit."""
    parts = recipe.part("task", "tokenizer", "model", "train", "prune")
    done = TRAINING_STAGES[: TRAINING_STAGES.index(until) + 1]
    if "prune" not in done:
        parts["prune"] = None
    if "distill" in done and recipe.distill is not None:
        parts.update(recipe.part("distill"))
    if "qat" in done and recipe.qat is not None:
        parts.update(recipe.part("qat"), weights=recipe.quantize.weights)
    return parts


def shipped_weights(recipe: Recipe) -> Path | None:
    """The shipped file, if the recipe names one and it is what the recipe describes up to the stage that wrote it, so
    that a recipe may add stages; None where it is not.

    Raises:
        ThimbleError: the recipe names a file that is missing or damaged.
    """
    path = recipe.shipped_path
    if path is None:
        return None
    return path if _is_of(recipe, read_weights_metadata(path)) else None


def _is_of(recipe: Recipe, facts: dict[str, Any]) -> bool:
    stage = facts.get("stage")
    return stage in TRAINING_STAGES and facts.get("fingerprint") == weights_fingerprint(recipe, str(stage))


def shipped_tokenizer(recipe: Recipe) -> Path | None:
    """The tokenizer beside the shipped weights, on the same condition.

    Raises:
        ThimbleError: as for the weights, or the tokenizer is missing.
    """
    weights = shipped_weights(recipe)
    if weights is None:
        return None
    path = weights.with_name("tokenizer.json")
    if not path.exists():
        raise ThimbleError(f"no tokenizer at {path}", "restore the file, or take `shipped` out of the recipe")
    return path


def ship(recipe: Recipe, weights: Path, tokenizer: Path) -> Path:
    """Puts trained weights and their tokenizer where the recipe says that the shipped ones lie.

    Raises:
        ThimbleError: the recipe names no such place, or the weights are not what it describes.
    """
    weights_path = recipe.shipped_path
    if weights_path is None:
        raise ThimbleError(f"{recipe.path} names no `shipped` weights", "add `shipped: weights.npz` to it")
    if read_weights_metadata(weights).get("fingerprint") != weights_fingerprint(recipe):
        raise ThimbleError(f"{weights} is not what {recipe.path} describes", "run the `qat` stage with --retrain first")
    for source, target in ((tokenizer, weights_path.with_name("tokenizer.json")), (weights, weights_path)):
        beside = target.with_name(f".{target.name}.tmp")
        shutil.copyfile(source, beside)
        os.replace(beside, target)
    return weights_path


def read_weights_metadata(path: Path) -> dict[str, Any]:
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
