"""`home import`: a home file from Home Assistant's own storage."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from pipeline.commands.command import Command
from pipeline.errors import ThimbleError

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    reads = actions.add_parser("import", help="make a home file of Home Assistant's registries")
    reads.add_argument(
        "registries",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="core.entity_registry, core.area_registry, core.device_registry, core.floor_registry of `.storage`",
    )
    reads.add_argument("--out", type=Path, default=Path("home.yaml"), metavar="HOME", help="default: home.yaml")
    reads.add_argument("--force", action="store_true", help="write over a file of that name")


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.tasks.home_registry import home_of_registries, write_home

    if options.out.exists() and not options.force:
        raise ThimbleError(f"{options.out} is there already", "name another file, or use --force to write over it")
    home = home_of_registries(options.registries)
    write_home(home, options.out)
    counts = f"{len(home.floors)} floors, {len(home.areas)} areas, {len(home.entities)} entities"
    console.print(f"{options.out}: {counts}", markup=False, highlight=False)
    return 0


COMMAND = Command("home", "make a home file of what Home Assistant knows", _arguments, _work)
