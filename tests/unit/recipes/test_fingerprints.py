"""The identity of recipes: weights that were trained once stay those of their recipe, however recipes are read.

`fingerprints.json` was written when recipes were plain dictionaries. A value there changes only with the recipe itself
or, for `weights`, with the versions of the packages that its data comes from.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.files import fingerprint
from pipeline.recipes.load import load_recipe
from pipeline.resources import ROOT
from pipeline.workflow.shipped import weights_fingerprint

RECORDED: dict[str, dict[str, str]] = json.loads(
    (Path(__file__).parent / "fingerprints.json").read_text(encoding="utf-8")
)
RECIPES = [*ROOT.glob("models/*/recipe.yaml"), *ROOT.glob("models/sweeps/*/recipes/*.yaml")]
PARTS = ("task", "tokenizer", "model", "train", "distill", "prune", "qat", "quantize", "engine", "aim")
"""The sections that decide what is trained and built."""


def test_every_recipe_is_recorded() -> None:
    assert sorted(load_recipe(path).name for path in RECIPES) == sorted(RECORDED)


@pytest.mark.parametrize("path", sorted(RECIPES), ids=lambda path: str(path.relative_to(ROOT / "models")))
def test_fingerprints_stay_what_they_were(path: Path) -> None:
    recipe = load_recipe(path)
    recorded = RECORDED[recipe.name]
    assert fingerprint(recipe.part(*PARTS)) == recorded["parts"]
    assert weights_fingerprint(recipe) == recorded["weights"]
