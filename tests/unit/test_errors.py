"""The tree of errors is the one that the module prints, and code that expects one kind lets the others pass."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline import errors
from pipeline.errors import ConfigError, MissingTool, Problem, ThimbleError
from pipeline.recipes.load import load_recipe
from pipeline.resources import ROOT
from pipeline.stages import firmware
from pipeline.targets.boards import load_board
from pipeline.workflow.stage import StageContext
from pipeline.workflow.workspace import Workspace


def test_the_tree_is_whole() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ThimbleError)]
    assert len(kinds) == 8
    for kind in kinds:
        assert f"{kind.__name__} " in f"{errors.__doc__}".replace("\n", " ") and kind.__name__ in errors.__all__


def test_several_problems_are_lines_of_one_error() -> None:
    one = ConfigError("r.yaml", [Problem("a", "`a` is 1", "use 2")])
    assert (one.what, one.remedy, one.key) == ("r.yaml: `a` is 1", "use 2", "a")
    two = ConfigError("r.yaml", [*one.problems, Problem("b.c", "`b.c` is missing", "add it")])
    assert two.what == "r.yaml: 2 errors\n  `a` is 1; use 2\n  `b.c` is missing; add it"
    assert ConfigError("point x", one.problems).what == "point x: `a` is 1"


def test_only_a_missing_emulator_leaves_the_image_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(ROOT / "models" / "home-en-nano" / "recipe.yaml")
    board = load_board("mps2_an386")
    context = StageContext(recipe, Workspace(tmp_path, "r"), tmp_path, Console(file=io.StringIO()), board)

    def failing(error: ThimbleError) -> None:
        def pick(*_: object) -> None:
            raise error

        monkeypatch.setattr(firmware, "pick", pick)

    failing(MissingTool("QEMU is not installed", "install it"))
    assert firmware._emulator(context, board) is None
    failing(ThimbleError("qemu does not emulate the board", "use another"))
    with pytest.raises(ThimbleError, match="does not emulate"):
        firmware._emulator(context, board)
