"""A sweep's file becomes recipes, and what is wrong in it is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import ConfigError, ThimbleError
from pipeline.recipes.load import load_recipe
from pipeline.resources import ROOT
from pipeline.sweep.plan import Sweep, load_sweep, recipe_text

SWEEP: dict[str, Any] = {
    "name": "s",
    "recipe": {"evaluate": {"host_sentences": 5}},
    "axes": {
        "model": {"one": {"from": "base.yaml"}, "two": {"from": "base.yaml", "model": {"layers": 2}}},
        "method": {"dense": {}, "pruned": {"prune": {"sparsity": 0.5}}},
    },
}
BASE = {
    "name": "base",
    "task": {"name": "home_assistant"},
    "tokenizer": {"vocab_size": 400},
    "model": {"d_model": 32, "layers": 1, "heads": 2, "kv_heads": 1, "ffn_dim": 48, "context": 64},
    "train": {"steps": 10},
    "evaluate": {"host_sentences": 600, "device_sentences": 7},
    "budgets": {"flash": "1K"},
    "boards": ["mps2_an386"],
}


def sweep_of(folder: Path, **changes: object) -> Sweep:
    (folder / "base.yaml").write_text(yaml.safe_dump(BASE), encoding="utf-8")
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({**SWEEP, **changes}, sort_keys=False), encoding="utf-8")
    return load_sweep(path)


def test_a_grid_is_every_combination_as_a_recipe_that_loads(tmp_path: Path) -> None:
    points = sweep_of(tmp_path).grid()
    assert [point.name for point in points] == ["one-dense", "one-pruned", "two-dense", "two-pruned"]
    last = tmp_path / "last.yaml"
    last.write_text(recipe_text(points[-1]), encoding="utf-8")
    recipe = load_recipe(last)
    assert (recipe.name, recipe.model.layers, recipe.model.d_model) == ("s-two-pruned", 2, 32)
    assert recipe.prune is not None and recipe.prune.sparsity == 0.5
    assert (recipe.evaluate.host_sentences, recipe.evaluate.device_sentences) == (5, 7)
    assert recipe.budgets.flash is None, "what is measured is not to fail by a budget"
    assert dict(points[-1].choices) == {"model": "two", "method": "pruned"}


def test_a_range_a_skip_and_single_points(tmp_path: Path) -> None:
    axes = {**SWEEP["axes"], "sparsity": {"key": "prune.sparsity", "low": 0.3, "high": 0.6, "step": 0.1}}
    skip = [{"model": "two"}, {"method": ["dense"], "sparsity": [0.3, 0.5]}]
    points = sweep_of(tmp_path, axes=axes, skip=skip, points={"alone": {"from": "base.yaml"}}).grid()
    assert [point.name for point in points] == [
        "one-dense-sparsity0.4",
        "one-dense-sparsity0.6",
        *(f"one-pruned-sparsity{value}" for value in (0.3, 0.4, 0.5, 0.6)),
        "alone",
    ]
    assert points[0].recipe["prune"] == {"sparsity": 0.4}
    assert "prune" not in points[-1].recipe


@pytest.mark.parametrize(
    "numbers",
    [
        {"low": -1e308, "high": 1e308},
        {"low": -1e308, "high": 1e308, "step": 1},
        {"low": 0.0, "high": 1.0, "step": 1e-300},
        {"low": -(2**62), "high": 2**62},
    ],
)
def test_a_range_that_no_search_can_draw_from_is_refused(tmp_path: Path, numbers: dict[str, float]) -> None:
    axes = {"rate": {"key": "train.learning_rate", **numbers}}
    with pytest.raises(ThimbleError, match=r"less wide|larger step"):
        sweep_of(tmp_path, axes=axes, search={"points": 3})


def test_an_nm_pattern_stays_text(tmp_path: Path) -> None:
    """YAML 1.1 reads 2:4 as 124."""
    axes = {"method": {"nm": {"prune": {"pattern": "2:4"}}}}
    (point,) = sweep_of(tmp_path, axes=axes).grid()
    assert yaml.safe_load(recipe_text(point))["prune"]["pattern"] == "2:4"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": 1}, "colour.*axes"),
        ({"name": "a/b"}, "a/b"),
        ({"axes": [1]}, "axes"),
        ({"axes": {"model": {}}}, r"axes\.model"),
        ({"axes": {"model": {"a b": {}}}}, "a b"),
        ({"axes": {"model": {"one": 3}}}, r"axes\.model\.one"),
        ({"axes": {"s": {"key": "prune.sparsity", "low": 1, "high": 0, "step": 1}}}, r"axes\.s.*1 to 0"),
        ({"axes": {"s": {"key": "prune.sparsity", "low": 0, "high": 1}}}, r"axes\.s.*step"),
        ({"axes": {"s": {"key": "prune.sparsity", "low": "x", "high": 1}}}, r"axes\.s"),
        ({"skip": [{"modal": "one"}]}, "modal.*model, method"),
        ({"skip": [{"model": "three"}]}, "three.*one, two"),
        ({"search": {"points": 0}}, r"search\.points"),
        ({"search": {"points": 5, "sampler": "magic"}}, "magic.*tpe"),
        ({"search": {"points": 5}, "axes": {}}, "axes"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ThimbleError) as caught:
        sweep_of(tmp_path, **changes)
    text = f"{caught.value.what} {caught.value.remedy}"
    assert "sweep.yaml" in text
    assert re.search(words, text), text


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match=r"no sweep at .*none\.yaml"):
        load_sweep(tmp_path / "none.yaml")
    with pytest.raises(ThimbleError, match=r"sweep\.yaml.*gone\.yaml"):
        sweep_of(tmp_path, axes={"model": {"one": {"from": "gone.yaml"}}}).grid()
    with pytest.raises(ThimbleError, match="two points are called one"):
        sweep_of(tmp_path, axes={"model": {"one": {}}}, points={"one": {}}).grid()
    with pytest.raises(ThimbleError, match="no points"):
        sweep_of(tmp_path, axes={}).grid()


@pytest.mark.parametrize("path", sorted((ROOT / "models" / "sweeps").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_sweeps_make_recipes(path: Path, tmp_path: Path) -> None:
    points = load_sweep(path).grid()
    assert len(points) >= 20
    for point in points:
        (tmp_path / "r.yaml").write_text(recipe_text(point), encoding="utf-8")
        assert load_recipe(tmp_path / "r.yaml").name == f"{path.stem}-{point.name}"


def test_a_corpus_has_no_right_answers_to_compare(tmp_path: Path) -> None:
    task = {"name": "corpus", "files": ["*.txt"]}
    with pytest.raises(ThimbleError, match="the task of one-dense is 'corpus'") as caught:
        sweep_of(tmp_path, recipe={"task": task}).grid()
    assert "perplexity" in caught.value.remedy


@pytest.mark.parametrize("name", ["../../../../../x", "/x", "a/b", "", "..", "a\nb", "x" * 41])
@pytest.mark.parametrize("key", ["axes", "points", "name"])
def test_no_name_of_a_sweep_leads_out_of_its_folder(key: str, name: str, tmp_path: Path) -> None:
    numbers = {"key": "train.steps", "low": 1, "high": 2, "step": 1}
    changes: dict[str, object] = {"axes": {name: numbers}} if key == "axes" else {key: {name: {}}}
    with pytest.raises(ConfigError):
        sweep_of(tmp_path, **({"name": name} if key == "name" else changes))
    assert {path.name for path in tmp_path.iterdir()} <= {"base.yaml", "sweep.yaml"}


@pytest.mark.parametrize(
    ("axes", "complaint"),
    [
        ({"n": {"key": "train.steps", "low": 0, "high": 10**18, "step": 1}}, "at most 1,000"),
        ({"n": {"key": "train.steps", "low": 0, "high": 1, "step": 1e-320}}, "at most 1,000"),
        ({"n": {"key": "train.steps", "low": -1e8, "high": 1e8, "step": 1}}, "at most 1,000"),
        ({name: {"key": "train.steps", "low": 1, "high": 100, "step": 1} for name in "abc"}, "at most 10,000"),
        ({"n": {"key": "", "low": 1, "high": 2, "step": 1}}, "another form"),
    ],
)
def test_a_grid_that_nobody_can_run_is_refused_at_once(axes: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=complaint):
        sweep_of(tmp_path, axes=axes)
