"""What a command is, and the arguments that several have.

A command's module imports what is light; its work imports the rest, so that `--help` and completion are fast and a
command needs only the packages that it uses.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from pipeline.errors import ThimbleError

if TYPE_CHECKING:
    from pipeline.recipes.load import Recipe

__all__ = [
    "WHOLE_RUN",
    "Command",
    "board_names",
    "build_argument",
    "complete_with",
    "emulator_argument",
    "home_argument",
    "print_error",
    "recipe_arguments",
    "recipe_path",
    "selected_recipe",
]

_RECIPE = "recipe.yaml"
WHOLE_RUN = ("compile", "prove", "train")
"""The extras that a recipe needs from its sentences to the proof on the board."""


@dataclass(frozen=True)
class Command:
    """One command of the command line.

    Args:
        name: what the user types.
        help: one line for the list of commands.
        add_arguments: declares its arguments.
        work: does it; returns the exit status.
        description: what its own `--help` says above the arguments; None takes `help`.
        extras: of `thimble-mcu` that its work may need; where one is missing all of them are named at once.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    work: Callable[[argparse.Namespace, Console], int]
    description: str | None = None
    extras: tuple[str, ...] = ()


def complete_with(action: argparse.Action, values: Callable[[], Iterable[str]]) -> None:
    """Lets the shell complete an argument with values that are looked up when it asks."""

    def completer(**_: Any) -> list[str]:
        return list(values())

    action.completer = completer  # type: ignore[attr-defined]  # where argcomplete looks


def recipe_path(text: str) -> Path:
    """A recipe as the command line names it: its file, or the folder of a model with `recipe.yaml` in it."""
    path = Path(text)
    return path / _RECIPE if (path / _RECIPE).is_file() else path


def recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of all commands that work on a recipe; `selected_recipe` reads most of them."""
    parser.add_argument("recipe", type=recipe_path, metavar="RECIPE", help="a recipe's YAML file, or its folder")
    board = parser.add_argument(
        "--board", action="append", metavar="BOARD", help="instead of the recipe's boards; may repeat"
    )
    complete_with(board, board_names)
    engine = parser.add_argument(
        "--engine", metavar="ENGINE", help="instead of the recipe's: aot, tflm or tflm-reference"
    )
    complete_with(engine, lambda: ("aot", "tflm", "tflm-reference"))
    emulator_argument(parser)
    parser.add_argument(
        "--force", action="store_true", help="run the stage (for `run`: every stage) though nothing changed"
    )
    parser.add_argument(
        "--retrain", action="store_true", help="train anew what is shipped or older than its modules and tools"
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="write event files for TensorBoard into STAGE/log while training"
    )
    build_argument(parser)


def home_argument(parser: argparse.ArgumentParser) -> None:
    """`--home`: the recipe's home is another one."""
    parser.add_argument(
        "--home",
        type=Path,
        dest="recipe_home",
        metavar="FILE",
        help="the names of a home, instead of the recipe's; nothing is trained anew",
    )


def emulator_argument(parser: argparse.ArgumentParser) -> None:
    """`--emulator`."""
    parser.add_argument("--emulator", choices=["qemu", "renode"], help="instead of the first that is present")


def build_argument(parser: argparse.ArgumentParser, help: str = "where artifacts go (default: build)") -> None:
    """`--build`: seen from the working directory."""
    parser.add_argument("--build", type=Path, default=Path("build"), metavar="DIR", help=help)


def board_names() -> list[str]:
    """Names of all boards, for completion."""
    from pipeline.targets.boards import all_boards

    return [board.name for board in all_boards()]


def selected_recipe(options: argparse.Namespace) -> Recipe:
    """Loads the recipe, with the command line's overrides.

    Raises:
        ThimbleError: there is no such recipe or engine, or its task knows no homes.
    """
    from pipeline.recipes.load import load_recipe
    from pipeline.recipes.schema import ENGINES

    recipe = load_recipe(options.recipe)
    if options.board:
        recipe = recipe.with_boards(options.board)
    if options.engine is not None:
        if options.engine not in ENGINES:
            raise ThimbleError(f"--engine {options.engine} is not known", f"use one of: {', '.join(ENGINES)}")
        recipe = recipe.with_engine(options.engine)
    if getattr(options, "recipe_home", None) is not None:
        recipe = recipe.with_home(options.recipe_home)
    return recipe.as_quick() if getattr(options, "quick", False) else recipe


def print_error(error: ThimbleError) -> None:
    """Prints what is wrong and what to do about it to standard error."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[bold red]error:[/] {escape(error.what)}")
    console.print(f"  [bold]fix:[/] {escape(error.remedy)}")
