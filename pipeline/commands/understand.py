"""`understand`: many sentences at once, each with what it asks for."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from pipeline.commands.command import (
    WHOLE_RUN,
    Command,
    board_names,
    build_argument,
    complete_with,
    emulator_argument,
    recipe_path,
)

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", type=recipe_path, metavar="RECIPE", help="a recipe's YAML file, or its folder")
    parser.add_argument("--home", type=Path, metavar="FILE", help="the names of a home, instead of the recipe's")
    where = parser.add_argument(
        "--on",
        default="host",
        metavar="host|BOARD|PORT",
        help="the same model on this machine (default), an emulated board, or a board on a serial port",
    )
    complete_with(where, lambda: ["host", *board_names()])
    parser.add_argument(
        "--in",
        default="-",
        dest="sentences",
        metavar="FILE",
        help="a sentence a line: plain, or JSON with `sentence` (default: standard input)",
    )
    parser.add_argument(
        "--out", default="-", metavar="FILE", help="a line of JSON a sentence (default: standard output)"
    )
    parser.add_argument("--baud", type=int, help="of the serial port, instead of the board's speed")
    parser.add_argument("--retrain", action="store_true", help="train anew what is shipped")
    emulator_argument(parser)
    build_argument(parser)


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.recipes.load import load_recipe
    from pipeline.stages.understanding import Place, understand

    del console  # stdout is the answers'
    place = Place(options.on, options.emulator, options.baud)
    recipe = load_recipe(options.recipe)
    understand(recipe, options.build, place, options.home, options.sentences, options.out, options.retrain)
    return 0


COMMAND = Command(
    "understand",
    "what each of many sentences asks for, a line of JSON each",
    _arguments,
    _work,
    extras=WHOLE_RUN,
)
