"""Budgets of accuracy, and what a board may change of the others."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.errors import ThimbleError
from pipeline.recipes.load import load_recipe
from pipeline.recipes.schema import Budgets, Recipe
from pipeline.verification.budgets import DEFAULT_MAX_LOSS, accuracy_failures

GOOD = {"new_names": 0.9, "noisy": 0.8}


def budgets_of(folder: Path, **budgets: object) -> Budgets:
    text = {
        "name": "some",
        "task": {"name": "home_assistant"},
        "tokenizer": {"vocab_size": 300},
        "model": {"d_model": 16, "heads": 2, "kv_heads": 2, "layers": 1, "ffn_dim": 16},
        "train": {"steps": 1},
        "boards": ["mps2_an386", "mps2_an385"],
        "budgets": budgets,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(text), encoding="utf-8")
    return load_recipe(path).budgets


def test_a_model_that_is_never_right_fails_without_any_budget() -> None:
    nothing = dict.fromkeys(GOOD, 0.0)
    (line,) = accuracy_failures(Budgets(), nothing, nothing)
    assert "right on no sentence" in line and "min_exact_match: 0" in line
    assert accuracy_failures(Budgets(min_exact_match=0), nothing, nothing) == []
    assert accuracy_failures(Budgets(), GOOD, GOOD) == []
    assert accuracy_failures(Budgets(), {}, {}) == []


def test_a_large_loss_fails_without_any_budget() -> None:
    worse = {split: share - (DEFAULT_MAX_LOSS + 1) / 100 for split, share in GOOD.items()}
    (line,) = accuracy_failures(Budgets(), GOOD, worse)
    assert "loses 11.0 points" in line
    assert accuracy_failures(Budgets(min_exact_match=50), GOOD, worse) == []
    assert accuracy_failures(Budgets(max_loss=12), GOOD, worse) == []


def test_the_loss_is_the_mean_of_the_splits() -> None:
    lost = {"new_names": 0.9, "noisy": 0.74}
    assert accuracy_failures(Budgets(max_loss=3.1), GOOD, lost) == []
    (line,) = accuracy_failures(Budgets(max_loss=2), GOOD, lost)
    assert line == "accuracy: the quantized model loses 3.0 points of exact match against float, the budget is 2"


def test_the_least_exact_match_of_all_splits_or_of_some() -> None:
    (line,) = accuracy_failures(Budgets(min_exact_match=85), GOOD, GOOD)
    assert line == "accuracy: 80.0 % of noisy are right, the budget is at least 85 %"
    assert accuracy_failures(Budgets(min_exact_match={"new_names": 90}), GOOD, GOOD) == []
    assert "no split is called" in accuracy_failures(Budgets(min_exact_match={"other": 1}), GOOD, GOOD)[0]


def test_a_board_may_have_budgets_of_its_own(tmp_path: Path) -> None:
    budgets = budgets_of(
        tmp_path,
        flash="512K",
        ms_per_token=50,
        max_loss=2,
        min_exact_match={"noisy": 70},
        boards={"mps2_an386": {"ms_per_token": 25, "ram": "64K"}},
    )
    fast, other = budgets.for_board("mps2_an386"), budgets.for_board("mps2_an385")
    assert (fast.flash, fast.ram, fast.ms_per_token) == (512 * 1024, 64 * 1024, 25)
    assert (other.flash, other.ram, other.ms_per_token) == (512 * 1024, None, 50)
    assert fast.max_loss == other.max_loss == 2 and fast.min_exact_match == {"noisy": 70}


@pytest.mark.parametrize(
    ("budgets", "key"),
    [
        ({"max_loss": -1}, "max_loss"),
        ({"min_exact_match": 101}, "min_exact_match"),
        ({"min_exact_match": {"noisy": "much"}}, "min_exact_match.noisy"),
        ({"boards": {"mps2_an386": {"max_loss": 1}}}, "max_loss"),
        ({"boards": {"mps2_an386": {"flash": "many"}}}, "boards.mps2_an386.flash"),
        ({"boards": {"mps2_an396": {"flash": "1K"}}}, "mps2_an396"),
        ({"boards": ["mps2_an386"]}, "budgets.boards"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, budgets: dict[str, object], key: str) -> None:
    with pytest.raises(ThimbleError, match=key):
        budgets_of(tmp_path, **budgets)


def test_text_has_no_right_answers() -> None:
    sections = {
        "name": "i",
        "task": {"name": "text"},
        "weights": "i.npz",
        "tokenizer": {"vocab_size": 512},
        "model": {"variant": "small"},
        "boards": ["mps2_an386"],
    }
    with pytest.raises(ThimbleError, match=r"`budgets\.min_exact_match` is given with .*text has no right answers"):
        Recipe.from_mapping({**sections, "budgets": {"min_exact_match": 50}})
