"""How long training takes: `python -m pipeline.bench.training` trains the shipped `nano` and `small` from their seeds.

It prints CPU and wall seconds for 1,000 steps with all that belongs to them (compilation, evaluation on dev), and for
1,000 of the later ones, by the second half of the run. At equal steps loss and exact match on dev tell of the quality.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.network.tf_setup import load_tensorflow
from pipeline.recipes.load import Recipe, load_recipe
from pipeline.resources import ROOT
from pipeline.stages.fine_tune import read_training_data
from pipeline.stages.registry import run_recipe
from pipeline.workflow.runner import RunOptions

__all__ = ["main"]

_RECIPES = ("home-en-nano", "home-en-small")
_COLUMNS = ("recipe", "steps", "CPU s/1,000", "wall s/1,000", "later: CPU s", "later: wall s", "dev loss", "dev match")


def main() -> None:
    """Trains and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="+", default=list(_RECIPES), metavar="NAME", help="of folders in models")
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--build", type=Path, default=Path("build"))
    options = parser.parse_args()
    console = Console()
    load_tensorflow()
    table = Table(*_COLUMNS)
    console = Console(width=120) if not console.is_terminal else console
    for name in options.recipes:
        recipe = load_recipe(ROOT / "models" / name / "recipe.yaml")
        table.add_row(name, f"{options.steps:,}", *_measure(recipe, options.steps, options.build, console))
    console.print(table)


def _measure(recipe: Recipe, steps: int, build: Path, console: Console) -> list[str]:
    """The figures of a row."""
    from pipeline.training.loop import train

    folder = run_recipe(recipe, RunOptions(build=build, until="data"), console).stage("data")
    whole = read_training_data(folder, recipe)
    training_data = dataclasses.replace(whole, pairs=whole.pairs[: steps * recipe.train.batch_size])
    assert training_data.sequences  # encoded before the clock starts
    marks: list[tuple[int, float, float]] = []

    def mark(done: int, of: int, figures: dict[str, float]) -> None:
        marks.append((done, time.process_time(), time.monotonic()))

    mark(0, steps, {})
    with tempfile.TemporaryDirectory() as out:
        config = recipe.train.replace(steps=steps)
        _, history = train(recipe.model, config, training_data, Path(out), mark)
    found: list[str] = []
    for first in (marks[0], marks[len(marks) // 2]):
        # The last mark stands before the checkpoint at the end, a matter of milliseconds.
        found += [f"{1_000 * (marks[-1][i] - first[i]) / (marks[-1][0] - first[0]):.1f}" for i in (1, 2)]
    dev_loss = history[-1].get("dev_loss")
    return [*found, "" if dev_loss is None else f"{dev_loss:.3f}", f"{100 * history[-1]['dev_exact_match']:.1f} %"]


if __name__ == "__main__":
    main()
