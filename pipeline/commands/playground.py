"""`playground`: a page that runs the firmware's own C."""

from __future__ import annotations

import argparse

from rich.console import Console

from pipeline.commands.command import WHOLE_RUN, Command, home_argument, recipe_arguments, selected_recipe

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    recipe_arguments(parser)
    home_argument(parser)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="measure accuracy, which is not on the page, on few sentences on the way there",
    )


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.stages.playground import make_playground
    from pipeline.workflow.runner import RunOptions

    run = RunOptions(
        options.build,
        restart="convert" if options.force else None,
        emulator=options.emulator,
        retrain=options.retrain,
        tensorboard=options.tensorboard,
    )
    page = make_playground(selected_recipe(options), run, console)
    size = page.stat().st_size / 1024
    console.print(f"{page}: {size:,.0f} KB; open it in a browser", markup=False, highlight=False)
    return 0


COMMAND = Command(
    "playground",
    "one HTML file that runs the firmware's own C: type a sentence, see tokens, answer and cost",
    _arguments,
    _work,
    extras=WHOLE_RUN,
)
