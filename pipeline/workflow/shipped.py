"""Which weights a recipe describes, those that come with the repository, and whether a stage would train.

A weights file says what it was made of: the recipe's parts and the versions of the packages that the data comes from.
Whether it is what a recipe describes depends on the parts alone: newer packages void no weights.
"""

from __future__ import annotations

import json
import shutil
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from importlib import metadata as packages
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ThimbleError
from pipeline.files import atomic_write, fingerprint
from pipeline.recipes.load import Recipe, load_recipe
from pipeline.recipes.paths import MODELS, RECIPE, file_digests, shipped_models, task_files
from pipeline.workflow.artifacts import TOKENIZER, WEIGHTS
from pipeline.workflow.stage import StageContext
from pipeline.workflow.workspace import Workspace

__all__ = [
    "TRAINING_STAGES",
    "are_final",
    "are_of",
    "has_trained_weights",
    "has_weights",
    "is_trained_here",
    "newer_modules",
    "newer_packages",
    "read_weights_metadata",
    "recipes_with_weights",
    "recognizes_weights",
    "ship",
    "shipped_tokenizer",
    "shipped_weights",
    "teacher_of",
    "training_facts",
    "weights_fingerprint",
]

_DAMAGED = (SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error)
"""What numpy raises of a damaged file besides; its header is parsed as Python."""
_ANSWERS = "answers.json"  # `pipeline.stages.artifacts.ANSWERS`
_DATA_PACKAGES = ("home-assistant-intents", "hassil", "tokenizers")


TRAINING_STAGES = ("train", "distill", "prune", "qat")
"""The stages that change weights, in order."""


def weights_fingerprint(
    recipe: Recipe, until: str = TRAINING_STAGES[-1], versions: Mapping[str, str] | None = None
) -> str:
    """Digest of everything that determines the weights of a stage: the recipe's parts, the teacher, and the packages
    that the data comes from.

    Args:
        recipe: what describes the weights.
        until: the last stage that changes them.
        versions: of the packages, where not those that are installed count; empty for what the recipe alone says.
    """
    if versions is None:
        versions = _installed(_DATA_PACKAGES)
    facts: dict[str, Any] = {**_parts(recipe, until), "packages": dict(versions)}
    if "distill" in facts:
        facts["teacher"] = weights_fingerprint(teacher_of(recipe), versions=versions)
    return fingerprint(facts)


def are_of(recipe: Recipe, facts: Mapping[str, Any]) -> bool:
    """Whether weights are what the recipe describes up to the stage that wrote them, whatever versions of packages the
    data came from.

    Args:
        recipe: what may describe them.
        facts: what the weights file says of itself.
    """
    stage, recorded = facts.get("stage"), facts.get("packages")
    if stage not in TRAINING_STAGES or not isinstance(recorded, Mapping):
        return False
    versions = {name: recorded[name] for name in _DATA_PACKAGES if name in recorded}
    return bool(facts.get("fingerprint") == weights_fingerprint(recipe, str(stage), versions))


def are_final(recipe: Recipe, facts: Mapping[str, Any]) -> bool:
    """Whether weights are what the recipe describes after all stages that it asks for."""
    return are_of(recipe, facts) and _parts(recipe, str(facts["stage"])) == _parts(recipe, TRAINING_STAGES[-1])


def newer_packages(facts: Mapping[str, Any]) -> list[str]:
    """The packages whose versions are others than those that the weights were made with, as `hassil 3.1 → 3.2`."""
    recorded = facts.get("packages")
    known = recorded if isinstance(recorded, Mapping) else {}
    installed = _installed(tuple(known))
    return [f"{name} {known[name]} → {version}" for name, version in installed.items() if version != known[name]]


def newer_modules(facts: Mapping[str, Any], modules: Mapping[str, str]) -> list[str]:
    """Of the modules that made the weights those that have changed; none where the weights do not say."""
    made_by = facts.get("modules") or {}
    return [name for name, digest in modules.items() if made_by.get(name, digest) != digest]


def is_trained_here(context: StageContext, stage: str) -> bool:
    """Whether a run of a stage of TRAINING_STAGES trains, rather than passing weights on: shipped ones, imported ones,
    or those of the stage before."""
    recipe = context.recipe
    if stage == "train":
        return recipe.weights is None and (context.retrain or _trains_from_scratch(context))
    if getattr(recipe, stage) is None:
        return False
    if recipe.weights is not None:
        return True
    before = TRAINING_STAGES[TRAINING_STAGES.index(stage) - 1]
    try:
        facts = read_weights_metadata(context.workspace.path(WEIGHTS.of(before)))
    except ThimbleError:
        return True
    return facts.get("stage") not in TRAINING_STAGES[TRAINING_STAGES.index(stage) :]


def recognizes_weights(context: StageContext, stage: str) -> bool:
    """Whether the weights in a training stage's folder are what the recipe describes after that stage."""
    try:
        facts = read_weights_metadata(context.workspace.path(WEIGHTS.of(stage)))
    except ThimbleError:
        return False
    recipe = context.recipe
    return are_of(recipe, facts) and _parts(recipe, str(facts["stage"])) == _parts(recipe, stage)


def has_trained_weights(context: StageContext) -> bool:
    """Whether there are weights in this workspace that were trained on its own sentences, which others would void."""
    trained = (stage for stage in TRAINING_STAGES if is_trained_here(context, stage))
    return any(context.workspace.path(WEIGHTS.of(stage)).exists() for stage in trained)


def _trains_from_scratch(context: StageContext) -> bool:
    """Whether the recipe has no shipped weights, or others were trained in their place, which are then kept."""
    shipped = shipped_weights(context.recipe)
    if shipped is None:
        return True
    own = context.workspace.path(WEIGHTS.of("train"))
    stamp = context.workspace.stamp("train")
    if stamp is None or not own.exists() or not are_of(context.recipe, read_weights_metadata(own)):
        return False
    return stamp.trained if stamp.requested else own.read_bytes() != shipped.read_bytes()


def _installed(names: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for name in names:
        try:
            versions[name] = packages.version(name)
        except packages.PackageNotFoundError:
            versions[name] = "missing"
    return versions


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


def training_facts(
    recipe: Recipe, stage: str, history: dict[str, Any], modules: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Metadata of a weights file written by a stage.

    Args:
        recipe: what describes the weights.
        stage: the stage of TRAINING_STAGES.
        history: the learning curves by stage.
        modules: digests of the modules that made them.
    """
    requested = [
        name for name in TRAINING_STAGES[: TRAINING_STAGES.index(stage) + 1] if getattr(recipe, name) is not None
    ]
    made_by = f"nox -s {' '.join(requested)} -- {recipe.path.as_posix()} --retrain"
    return {
        "stage": stage,
        "fingerprint": weights_fingerprint(recipe, stage),
        "recipe": _parts(recipe, stage),
        "parameters": recipe.model.parameter_count,
        "packages": _installed((*_DATA_PACKAGES, "tensorflow", "tf-keras")),
        "modules": dict(modules or {}),
        "command": made_by,
        "history": history,
    }


def _parts(recipe: Recipe, until: str) -> dict[str, Any]:
    """The recipe's sections that determine the weights after a stage; `distill` and `qat`, which came later, only where
    they are asked for, so that the fingerprints of older weights still fit."""
    parts = recipe.part("task", "tokenizer", "model", "train", "prune")
    done = TRAINING_STAGES[: TRAINING_STAGES.index(until) + 1]
    if "prune" not in done:
        parts["prune"] = None
    sentences = file_digests(task_files(recipe, for_training=True))
    if sentences:
        parts["sentences"] = sentences
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
    return path if are_of(recipe, read_weights_metadata(path)) else None


def recipes_with_weights() -> list[Recipe]:
    """The recipes of the models that come with the package whose weights come with it too, the smallest first."""
    recipes = [load_recipe(MODELS / name / RECIPE) for name in shipped_models()]
    there = [recipe for recipe in recipes if recipe.shipped_path is not None and recipe.shipped_path.exists()]
    found = [recipe for recipe in there if shipped_weights(recipe) is not None]
    return sorted(found, key=lambda recipe: (recipe.model.parameter_count, recipe.name))


def has_weights(recipe: Recipe, build: Path) -> bool:
    """Whether a run of the recipe finds trained weights, imported, shipped or of an earlier run, and need not train.

    Args:
        recipe: what describes the weights.
        build: the folder of the runs' workspaces.

    Raises:
        ThimbleError: see `shipped_weights`.
    """
    if recipe.weights is not None or shipped_weights(recipe) is not None:
        return True
    own = Workspace(build, recipe.name).path(WEIGHTS.of("train"))
    return own.exists() and are_of(recipe, read_weights_metadata(own))


def shipped_tokenizer(recipe: Recipe) -> Path | None:
    """The tokenizer beside the shipped weights, under the same condition.

    Raises:
        ThimbleError: as for the weights, or the tokenizer is missing.
    """
    weights = shipped_weights(recipe)
    if weights is None:
        return None
    path = TOKENIZER.path(weights.parent)
    if not path.exists():
        raise ThimbleError(f"no tokenizer at {path}", "restore the file, or take `shipped` out of the recipe")
    return path


def ship(recipe: Recipe, weights: Path, tokenizer: Path) -> Path:
    """Copies trained weights, their tokenizer and their answer tokens to the recipe's path of shipped weights.

    Raises:
        ThimbleError: the recipe names no such place, or the weights are not what it describes.
    """
    weights_path = recipe.shipped_path
    if weights_path is None:
        raise ThimbleError(f"{recipe.path} names no `shipped` weights", "add `shipped: weights.npz` to it")
    if not are_final(recipe, read_weights_metadata(weights)):
        raise ThimbleError(
            f"{weights} is not what {recipe.path} describes", "run its last training stage with --retrain first"
        )
    beside = [path for path in (tokenizer, tokenizer.with_name(_ANSWERS)) if path.exists()]
    for source, target in (*((path, weights_path.parent / path.name) for path in beside), (weights, weights_path)):
        with atomic_write(target) as partial:
            shutil.copyfile(source, partial)
    return weights_path


def read_weights_metadata(path: Path) -> dict[str, Any]:
    """Metadata of a weights file, read without TensorFlow.

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
    except (*_DAMAGED, OSError, ValueError, KeyError, EOFError, TypeError) as error:
        raise ThimbleError(f"the weights {path} are damaged: {error}", "restore the file from the repository") from None
