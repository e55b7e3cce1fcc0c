"""`serial`: the whole verification on a real board."""

from __future__ import annotations

import argparse

from rich.console import Console

from pipeline.commands.command import WHOLE_RUN, Command, home_argument, recipe_arguments, selected_recipe

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("port", metavar="PORT", help="such as /dev/ttyACM0 or COM3")
    recipe_arguments(parser)
    home_argument(parser)
    parser.add_argument("--baud", type=int, help="instead of the board's speed")
    parser.add_argument(
        "--instructions-per-tick",
        type=float,
        metavar="N",
        help="for an emulated board behind a pseudo-terminal: what its ticks stand for (board.yaml)",
    )


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.commands.verify_on_port import verify_on_port
    from pipeline.report.summary import print_serial_summary
    from pipeline.workflow.workspace import Workspace

    recipe = selected_recipe(options)
    workspace = Workspace(options.build, recipe.name)
    result = verify_on_port(recipe, workspace, options.port, console, options.baud, options.instructions_per_tick)
    print_serial_summary(result, console)
    return 0


COMMAND = Command("serial", "verify a real board over its serial port", _arguments, _work, extras=WHOLE_RUN)
