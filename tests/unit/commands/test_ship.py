"""`ship`: which of the stages' weights become the recipe's."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.commands.ship import COMMAND
from pipeline.errors import ThimbleError
from pipeline.resources import ROOT

MODEL = ROOT / "models" / "coffee-de"


def ship(recipe: Path, build: Path) -> int:
    return COMMAND.work(argparse.Namespace(recipe=recipe, build=build), Console(quiet=True))


def test_the_newest_weights_are_shipped_whichever_stage_passed_them_on(tmp_path: Path) -> None:
    shutil.copytree(MODEL, tmp_path / "model")
    shipped = tmp_path / "model" / "weights.npz"
    weights = shipped.read_bytes()
    shipped.unlink()
    build = tmp_path / "build" / "coffee-de"
    (build / "data").mkdir(parents=True)
    for name in ("tokenizer.json", "answers.json"):
        shutil.copyfile(MODEL / name, build / "data" / name)
    with pytest.raises(ThimbleError, match="no weights at"):
        ship(tmp_path / "model" / "recipe.yaml", tmp_path / "build")
    for stage, age in {"train": 10, "qat": 60}.items():
        (build / stage).mkdir()
        (build / stage / "weights.npz").write_bytes(weights if stage == "train" else b"of an earlier training")
        then = (build / "data").stat().st_mtime - age
        os.utime(build / stage / "weights.npz", (then, then))
    assert ship(tmp_path / "model" / "recipe.yaml", tmp_path / "build") == 0
    assert shipped.read_bytes() == weights
