"""`ship`: the trained weights become the recipe's shipped ones."""

from __future__ import annotations

import argparse

from rich.console import Console

from pipeline.commands.command import Command, recipe_arguments

__all__ = ["COMMAND"]


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.recipes.load import load_recipe
    from pipeline.workflow.artifacts import TOKENIZER, WEIGHTS
    from pipeline.workflow.shipped import ship
    from pipeline.workflow.workspace import Workspace

    recipe = load_recipe(options.recipe)
    workspace = Workspace(options.build, recipe.name)
    target = ship(recipe, workspace.path(WEIGHTS.of("qat")), workspace.path(TOKENIZER.of("data")))
    console.print(f"shipped: {target}", highlight=False)
    return 0


COMMAND = Command("ship", "make the trained weights the recipe's shipped ones", recipe_arguments, _work)
