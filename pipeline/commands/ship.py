"""`ship`: the trained weights become the recipe's shipped ones."""

from __future__ import annotations

import argparse

from rich.console import Console

from pipeline.commands.command import Command, recipe_arguments

__all__ = ["COMMAND"]


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.recipes.load import load_recipe
    from pipeline.workflow.artifacts import TOKENIZER, WEIGHTS
    from pipeline.workflow.shipped import TRAINING_STAGES, ship
    from pipeline.workflow.workspace import Workspace

    recipe = load_recipe(options.recipe)
    workspace = Workspace(options.build, recipe.name)
    # The stages behind the last that trains pass its weights on; they need not have run, or not since it ran again.
    made = [workspace.path(WEIGHTS.of(stage)) for stage in TRAINING_STAGES]
    weights = max((path for path in made if path.exists()), key=lambda path: path.stat().st_mtime, default=made[0])
    target = ship(recipe, weights, workspace.path(TOKENIZER.of("data")))
    console.print(f"shipped: {target}", highlight=False)
    return 0


COMMAND = Command("ship", "make the trained weights the recipe's shipped ones", recipe_arguments, _work)
