"""What a finished run prints: what is understood before what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from pipeline.recipes.load import load_recipe
from pipeline.report.summary import print_summary
from pipeline.verification.result import RESULT, TestCounts
from pipeline.workflow.artifacts import TESTS
from pipeline.workflow.workspace import Workspace, target_key
from tests.support.reports import BLIND, LOOKED_AT, NOTHING, made_tests
from tests.support.run_results import made_result

ROOT = Path(__file__).resolve().parents[3]


def printed(folder: Path, capsys: pytest.CaptureFixture[str], has_tests: bool) -> str:
    """The summary of a made-up run of a recipe with tests."""
    recipe = load_recipe(ROOT / "models" / "coffee-de" / "recipe.yaml")
    workspace = Workspace(folder, recipe.name)
    tests = {half: TestCounts(right=1, nothing=0, wrong=0) for half in ("look", "blind")} if has_tests else {}
    quality = {"float": {"noisy": 0.5}, "quantized": {"noisy": 0.25}}
    result = made_result(board=recipe.boards[0], tests=tests, quality=quality)
    RESULT.save(workspace.folder / target_key(recipe.boards[0], recipe.engine), result)
    if has_tests:
        TESTS.save(workspace.stage("evaluate"), made_tests())
    print_summary(recipe, workspace, Console(width=200))
    return capsys.readouterr().out


def test_what_is_understood_comes_before_what_it_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(tmp_path, capsys, has_tests=True)
    places = [
        text.index(words)
        for words in (
            "Typed into",
            "40.0% of 5 tests right, 20.0% nothing done, 40.0% wrong action",
            "half blind",
            "kind kind of 0",
            "intent HassTurnOff",
            f"wrong    {LOOKED_AT}",
            f"nothing  {NOTHING}",
            "exact match",
            "time, modelled",
            "flash",
            "a multiply-accumulate",
            "firmware project",
        )
    ]
    assert places == sorted(places)
    assert BLIND not in text and "intent NoMatch" not in text, "a blind mistake, and a group without any"


def test_without_tests_it_says_where_to_name_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(tmp_path, capsys, has_tests=False)
    assert "task: {tests: …}" in text and "tests right" not in text
