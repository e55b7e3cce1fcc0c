"""Paths in recipes: seen from the recipe, or `shipped:NAME`; those of 0.1.0 go on working."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import ConfigError, ThimbleError
from pipeline.recipes import legacy
from pipeline.recipes.load import load_recipe
from pipeline.recipes.path_faults import path_problems
from pipeline.recipes.paths import RECIPE, WEIGHTS, identity, rebase, resolve, shipped_models
from pipeline.resources import ROOT
from tests.unit.recipes.test_recipe import changed, write

MODELS = ROOT / "models"
SMALL = MODELS / "home-en-small"


@pytest.fixture
def notices(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    legacy._notice.cache_clear()
    caplog.set_level(logging.WARNING, "thimble")
    return caplog


def test_paths_are_seen_from_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "first.npz").touch()
    sections: dict[str, Any] = {"train": {"start": "mine/first.npz"}, "distill": {"teacher": "../teacher.yaml"}}
    recipe = load_recipe(write(tmp_path, changed(**sections, shipped="weights.npz")))
    assert recipe.start_path == tmp_path / "mine" / "first.npz"
    assert recipe.teacher_path == tmp_path / ".." / "teacher.yaml"
    assert recipe.shipped_path == tmp_path / "weights.npz"
    assert recipe.replace(shipped=None).start_path == recipe.start_path


def test_shipped_models_by_name(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "train": {"start": "shipped:home-en-nano"},
        "distill": {"teacher": "shipped:home-en-base"},
    }
    recipe = load_recipe(write(tmp_path, changed(**sections, shipped="shipped:home-en-small")))
    assert recipe.start_path == MODELS / "home-en-nano" / WEIGHTS
    assert recipe.teacher_path == MODELS / "home-en-base" / RECIPE
    assert recipe.shipped_path == SMALL / WEIGHTS
    assert load_recipe(Path("shipped:home-en-small")).path == SMALL / RECIPE


def test_unknown_shipped_models_are_named(tmp_path: Path) -> None:
    sections: dict[str, Any] = {"train": {"start": "shipped:home-en-nao"}, "distill": {"teacher": "shipped:../x"}}
    with pytest.raises(ConfigError) as caught:
        load_recipe(write(tmp_path, changed(**sections)))
    start, teacher = caught.value.problems
    assert start.key == "train.start" and "did you mean `home-en-nano`?" in start.remedy
    assert (
        teacher.key == "distill.teacher" and ", ".join(f"shipped:{name}" for name in shipped_models()) in teacher.remedy
    )
    with pytest.raises(ThimbleError, match=r"shipped:home-en-small.*did you mean `home-en-small`"):
        load_recipe(Path("shipped:home-en-smal"))


@pytest.mark.parametrize(
    "old", ["models/weights/home-en-small.npz", "models/home-en-small/weights.npz", "shipped:home-en-small"]
)
def test_one_shipped_model_has_one_identity(old: str, tmp_path: Path, notices: pytest.LogCaptureFixture) -> None:
    """However it is spelled, so that weights trained from it stay those of the recipe."""
    recipe = load_recipe(write(tmp_path, changed(train={"steps": 5, "start": old})))
    assert recipe.part("train")["train"]["start"] == "models/home-en-small/weights.npz"
    assert recipe.start_path == SMALL / WEIGHTS
    assert [record.message for record in notices.records if "write `shipped:home-en-small`" not in record.message] == []
    assert bool(notices.records) == (not old.startswith("shipped:"))


@pytest.mark.parametrize("old", ["models/recipes/home-en-base.yaml", "models/home-en-base/recipe.yaml"])
def test_teachers_of_before(old: str, tmp_path: Path) -> None:
    assert resolve(old, tmp_path, RECIPE) == MODELS / "home-en-base" / RECIPE
    assert identity(old, RECIPE) == identity("shipped:home-en-base", RECIPE)


def test_other_paths_from_the_repository(tmp_path: Path, notices: pytest.LogCaptureFixture) -> None:
    assert resolve("docs/recipes.md", tmp_path, WEIGHTS) == ROOT / "docs" / "recipes.md"
    assert "write it as seen from the recipe's folder" in notices.records[0].message
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "recipes.md").touch()
    assert resolve("docs/recipes.md", tmp_path, WEIGHTS) == tmp_path / "docs" / "recipes.md"
    assert identity("mine.npz", WEIGHTS) == "mine.npz"


def test_recipes_where_they_were(tmp_path: Path, notices: pytest.LogCaptureFixture) -> None:
    assert load_recipe(Path("models/recipes/home-en-small.yaml")).name == "home-en-small"
    assert "models/recipes/home-en-small.yaml is now" in notices.records[0].message
    own = tmp_path / "models" / "mine" / RECIPE
    own.parent.mkdir(parents=True)
    own.write_text(yaml.safe_dump(changed()), encoding="utf-8")
    assert load_recipe(tmp_path / "models" / "recipes" / "mine.yaml").path == own
    with pytest.raises(ThimbleError, match="no recipe at"):
        load_recipe(tmp_path / "models" / "recipes" / "yours.yaml")


def test_a_recipe_may_move_to_another_folder() -> None:
    sections: dict[str, Any] = {"shipped": "weights.npz", "prune": None, "distill": {"teacher": "../mine.yaml"}}
    rebased = rebase({**sections, "train": {"steps": 3}}, SMALL)
    assert rebased == {
        "shipped": "shipped:home-en-small",
        "prune": None,
        "distill": {"teacher": str(MODELS / "mine.yaml")},
        "train": {"steps": 3},
    }
    assert sections["distill"] == {"teacher": "../mine.yaml"}


@pytest.mark.parametrize("text", ["x" * 256, "a/" * 3000, "a\0b", "a\nb", "/", "/*", "/**/*.txt", "a/**b", "/../../*"])
@pytest.mark.parametrize("key", ["task.files", "shipped", "train.start", "distill.teacher"])
def test_what_can_be_no_path_is_refused_by_its_key(text: str, key: str) -> None:
    section, _, name = key.rpartition(".")
    data: dict[str, object] = {section: {name: [text] if name == "files" else text}} if section else {name: text}
    assert [problem.key for problem in path_problems(data)] == [key]


def test_paths_and_patterns_that_may_be_are_not_refused(tmp_path: Path) -> None:
    texts = ["a.txt", "texts/*.txt", "../x/**/*.yaml", str(tmp_path), "shipped:home-en-small", "", "ä ö/[x].txt"]
    assert not list(path_problems({"task": {"files": texts}, "weights": 5, "train": None, "distill": []}))
    assert not list(path_problems({"task": 5}))


@pytest.mark.parametrize("size", [2**20 + 1, 10**12, 2**62])
def test_a_model_beyond_any_device_is_refused_at_once(size: int, tmp_path: Path) -> None:
    data = changed(model={"context": size, "window": 32, "stride": 16})
    with pytest.raises(ConfigError, match=f"`model.context` is {size}"):
        load_recipe(write(tmp_path, data))


@pytest.mark.parametrize("budgets", [{"flash": "9" * 400 + "K"}, {"boards": {"mps2_an386": {"ram": "1" * 400}}}])
def test_a_budget_beyond_any_number_is_refused(budgets: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`budgets\.\S+` is '"):
        load_recipe(write(tmp_path, changed(budgets=budgets)))
