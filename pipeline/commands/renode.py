"""`renode`: fetch it, run the Robot suites on it, write its files from the boards' data."""

from __future__ import annotations

import argparse

from rich.console import Console

from pipeline.commands.command import WHOLE_RUN, Command, board_names, build_argument, complete_with, recipe_path
from pipeline.errors import ThimbleError
from pipeline.resources import IN_CLONE

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    fetch = actions.add_parser("fetch", help="download the pinned release, its SHA-256 checked")
    fetch.set_defaults(action_work=_fetch)
    suites = actions.add_parser("suites", help="run the Robot suites, the result against QEMU's")
    suites.add_argument("recipe", type=recipe_path, metavar="RECIPE", help="a recipe's YAML file, or its folder")
    board = suites.add_argument(
        "--board", action="append", metavar="BOARD", help="instead of the recipe's boards; may repeat"
    )
    complete_with(board, board_names)
    suites.add_argument("--all", action="store_true", help="every board that Renode emulates")
    build_argument(suites)
    suites.set_defaults(action_work=_suites)
    files = actions.add_parser("files", help="write scripts and platforms anew from the boards' board.yaml")
    files.add_argument("--check", action="store_true", help="only say which differ")
    files.set_defaults(action_work=_files)


def _work(options: argparse.Namespace, console: Console) -> int:
    return int(options.action_work(options, console))


def _fetch(options: argparse.Namespace, console: Console) -> int:
    from pipeline.emulators.renode import release

    del options
    before = release.installed()
    program = before or release.fetch(release.release_of_this_system(), console=console)
    console.print(f"Renode {release.VERSION} is {'already ' if before else ''}at {program}", highlight=False)
    return 0


def _suites(options: argparse.Namespace, console: Console) -> int:
    from pipeline.commands.renode_suites import run_on_boards

    return run_on_boards(options.recipe, options.board or (), options.all, options.build, console)


def _files(options: argparse.Namespace, console: Console) -> int:
    from pipeline.emulators.renode.files import stale_files, write_files

    if not IN_CLONE:
        raise ThimbleError("the files of an installed package are not written anew", "do it in a clone")
    stale = stale_files()
    if not options.check:
        write_files(stale)
    console.print("\n".join(path.name for path in stale) or "all files are current", highlight=False)
    return 1 if options.check and stale else 0


COMMAND = Command(
    "renode", "fetch Renode, run its suites, or write its files", _arguments, _work, extras=(*WHOLE_RUN, "renode")
)
