"""`chat` and `generate`: text to and from a board, emulated or on a serial port."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pipeline.commands.command import WHOLE_RUN, Command, recipe_arguments, selected_recipe
from pipeline.errors import ThimbleError

if TYPE_CHECKING:
    from pipeline.commands.session import SessionOptions
    from pipeline.recipes.load import Recipe
    from pipeline.workflow.workspace import Workspace

__all__ = ["COMMANDS"]


def _session_arguments(parser: argparse.ArgumentParser) -> None:
    recipe_arguments(parser)
    parser.add_argument("--port", help="the serial port of a real board, such as /dev/ttyACM0")
    parser.add_argument("--baud", type=int, help="of that port, instead of the board's speed")
    parser.add_argument("--tokens", type=int, metavar="N", help="most new tokens (default: the model's context)")
    parser.add_argument("--home", type=Path, metavar="FILE", help="the names of a home, instead of the recipe's")
    parser.add_argument("--quiet", action="store_true", help="show answers alone, without figures")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 (default): always the most likely token")
    parser.add_argument("--top-k", type=int, default=0, metavar="K", help="draw from the K most likely (0: all)")
    parser.add_argument("--top-p", type=float, default=1.0, metavar="P", help="draw from those that make up P")
    parser.add_argument("--repetition-penalty", type=float, default=1.0, metavar="R", help="above 1: repeat less")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same tokens")


def _chat_arguments(parser: argparse.ArgumentParser) -> None:
    _session_arguments(parser)
    parser.add_argument("--json", action="store_true", help="a line of JSON an answer: intent and typed slots")


def _generate_arguments(parser: argparse.ArgumentParser) -> None:
    _session_arguments(parser)
    parser.add_argument("--prompt", default="", help="what the text begins with")


def _chat(options: argparse.Namespace, console: Console) -> int:
    from pipeline.commands.session import chat_with_board

    if options.json:
        console = Console(stderr=True, quiet=True)  # stdout is the answers'
    recipe, workspace, session = _session(options, console)
    return chat_with_board(recipe, workspace, session, console)


def _generate(options: argparse.Namespace, console: Console) -> int:
    from pipeline.commands.session import generate_text

    del console  # stdout is the text's
    recipe, workspace, session = _session(options, Console(stderr=True, quiet=True))
    return generate_text(recipe, workspace, session, options.prompt)


def _session(options: argparse.Namespace, console: Console) -> tuple[Recipe, Workspace, SessionOptions]:
    """The recipe, with its firmware built, and how to reach and use the board."""
    from pipeline.commands.session import SessionOptions
    from pipeline.numerics.sampler import SamplerSettings
    from pipeline.stages.registry import run_recipe
    from pipeline.workflow.runner import RunOptions

    sampler = SamplerSettings.of(
        options.temperature, options.top_k, options.top_p, options.repetition_penalty, options.seed
    )
    if options.tokens is not None and options.tokens < 1:
        raise ThimbleError(f"--tokens {options.tokens} is not above 0", "ask for at least one token")
    recipe = selected_recipe(options)
    run = RunOptions(
        options.build, "firmware", "firmware" if options.force else None, options.emulator, options.retrain
    )
    workspace = run_recipe(recipe.with_boards(recipe.boards[:1]), run, console)
    return (
        recipe,
        workspace,
        SessionOptions(
            options.emulator,
            options.port,
            options.baud,
            sampler,
            options.tokens,
            options.home,
            options.quiet,
            getattr(options, "json", False),
        ),
    )


COMMANDS = (
    Command(
        "chat", "type sentences to the board, emulated or on a serial port", _chat_arguments, _chat, extras=WHOLE_RUN
    ),
    Command(
        "generate",
        "one prompt to the board; its text goes to stdout as it comes",
        _generate_arguments,
        _generate,
        extras=WHOLE_RUN,
    ),
)
