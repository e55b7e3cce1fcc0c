"""`run`, and each stage as a command of its own."""

from __future__ import annotations

import argparse

from rich.console import Console

from pipeline.commands.command import WHOLE_RUN, Command, home_argument, recipe_arguments, selected_recipe
from pipeline.stages import SUMMARIES

__all__ = ["COMMANDS"]


def _stage_arguments(parser: argparse.ArgumentParser) -> None:
    recipe_arguments(parser)
    home_argument(parser)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="measure accuracy on at most 50 sentences of each split on the host and 10 on the board",
    )


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    _stage_arguments(parser)
    parser.add_argument(
        "--from", dest="restart", choices=list(SUMMARIES), metavar="STAGE", help="run again from this stage on"
    )
    parser.add_argument("--strict", action="store_true", help="exit status 1 unless every test of the task is right")
    parser.set_defaults(until="report")


def _stage(name: str, summary: str) -> Command:
    def arguments(parser: argparse.ArgumentParser) -> None:
        _stage_arguments(parser)
        parser.set_defaults(until=name, restart=None)

    return Command(name, summary, arguments, _work, f"{summary}; stages before it run if they must.", WHOLE_RUN)


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.errors import PartialFailure
    from pipeline.report.summary import print_summary
    from pipeline.stages.registry import run_recipe
    from pipeline.workflow.runner import RunOptions
    from pipeline.workflow.workspace import Workspace

    recipe = selected_recipe(options)
    restart = options.restart
    if options.force and restart is None:
        restart = "data" if options.command == "run" else options.until
    if getattr(options, "strict", False):
        recipe = recipe.replace(budgets=recipe.budgets.replace(min_tests=100))
    run = RunOptions(
        options.build, options.until, restart, options.emulator, options.retrain, tensorboard=options.tensorboard
    )
    try:
        run_recipe(recipe, run, console)
    except PartialFailure as failure:
        if options.until == "report" and failure.finished:
            print_summary(recipe.with_boards(failure.finished), Workspace(options.build, recipe.name), console)
        raise
    if options.until == "report":
        print_summary(recipe, Workspace(options.build, recipe.name), console)
    return 0


COMMANDS = (
    Command("run", "all stages of a recipe, up to the report", _run_arguments, _work, extras=WHOLE_RUN),
    *(_stage(name, summary) for name, summary in SUMMARIES.items()),
)
