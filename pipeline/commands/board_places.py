"""A board by its port, or an emulated one by its name: for commands that need no more than a running board."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console

from pipeline.commands.command import board_names, build_argument, complete_with, emulator_argument, recipe_path
from pipeline.errors import ThimbleError

if TYPE_CHECKING:
    from pipeline.device.protocol import Device

__all__ = ["board_opener", "place_argument", "place_options"]


def place_argument(parser: argparse.ArgumentParser) -> None:
    """The argument that says which board."""
    where = parser.add_argument("where", metavar="PORT|BOARD", help="a serial port, or an emulated board")
    complete_with(where, board_names)


def place_options(parser: argparse.ArgumentParser) -> None:
    """What goes with `place_argument`."""
    parser.add_argument("--baud", type=int, default=115200, help="of the serial port (default: 115200)")
    parser.add_argument(
        "--recipe", type=recipe_path, metavar="RECIPE", help="whose firmware runs on the emulated board"
    )
    emulator_argument(parser)
    build_argument(parser)


def board_opener(options: argparse.Namespace, console: Console) -> Callable[[], Device]:
    """What opens the board that the options name; an emulated one's firmware is built first.

    Raises:
        ThimbleError: it is not said what shall run on the emulated board; or from the stages.
    """
    from pipeline.device.client import connect
    from pipeline.device.protocol import Device

    if options.where not in board_names():
        if options.recipe is not None:
            raise ThimbleError(
                f"--recipe says what runs on an emulated board, and there is none that is called {options.where}",
                "leave --recipe out for a serial port, or name a board: `boards` lists them",
            )
        return lambda: connect(options.where, baud=options.baud)

    if options.recipe is None:
        raise ThimbleError(
            f"what shall run on the emulated {options.where} is not said",
            "add --recipe RECIPE, such as models/home-en-small/recipe.yaml",
        )
    from pipeline.emulators.select import pick
    from pipeline.recipes.load import load_recipe
    from pipeline.stages.registry import run_recipe
    from pipeline.targets.boards import load_board
    from pipeline.workflow.artifacts import FIRMWARE
    from pipeline.workflow.runner import RunOptions
    from pipeline.workflow.workspace import target_key

    recipe = load_recipe(options.recipe).with_boards([options.where])
    board = load_board(options.where)
    emulator = pick(board, options.emulator)
    workspace = run_recipe(recipe, RunOptions(options.build, "firmware", emulator=options.emulator), console)
    elf = workspace.path(FIRMWARE.of("firmware"), target_key(board.name, recipe.engine))
    return lambda: Device(emulator.start(elf, board))
