"""`home import`: a home file from Home Assistant's own storage; `home push`: its names to a running board."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pipeline.commands.board_places import board_opener, place_argument, place_options
from pipeline.commands.command import Command
from pipeline.errors import ThimbleError

if TYPE_CHECKING:
    from pipeline.device.names import PushedNames

__all__ = ["COMMAND"]

_SHOWN = 8
"""Names that a message shows."""


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
    gives = actions.add_parser("push", help="give a running board the names of a home; nothing is trained or flashed")
    place_argument(gives)
    gives.add_argument("home", type=Path, metavar="HOME", help="a home file")
    gives.add_argument("--until-reset", action="store_true", help="do not keep them over a loss of power")
    place_options(gives)


def _work(options: argparse.Namespace, console: Console) -> int:
    return (_push if options.action == "push" else _import)(options, console)


def _push(options: argparse.Namespace, console: Console) -> int:
    from pipeline.device.names import push_names
    from pipeline.tasks.home_file import load_home

    entries = load_home(options.home).entries()
    # Rooms first: where there is no memory for all, a thing less is better than a room less.
    entries = tuple(sorted(entries, key=lambda entry: entry.kind not in ("area", "floor")))
    open_board = board_opener(options, console)
    with open_board() as device, console.status(f"{len(entries)} names to the board"):
        names = ((entry.kind, entry.value, entry.text) for entry in entries)
        pushed = push_names(device, names, is_stored=not options.until_reset)
    for line in _told(pushed, options.until_reset):
        console.print(line, markup=False, highlight=False)
    if pushed.left_out:
        raise ThimbleError(
            f"{len(pushed.left_out)} names found no memory: {_some(pushed.left_out)}",
            "build the firmware with a larger -DTHIMBLE_NAMES_BYTES, or name less in the home",
        )
    return 0


def _told(pushed: PushedNames, is_until_reset: bool) -> Iterator[str]:
    """What the board has now, a line each."""
    names = pushed.names
    mean = (names.used / names.count) if names.count else 0
    yield f"{names.count} names in {names.used:,} of {names.bytes:,} bytes, {mean:.1f} a name"
    if pushed.unknown:
        kinds = ", ".join(f"{kind} {count}" for kind, count in pushed.unknown.items())
        yield f"left out, since the model knows no such kinds: {kinds}"
    for text, reason in pushed.refused.items():
        yield f"left out: {text}: {reason}"
    if names.is_stored:
        yield "kept over a loss of power"
    else:
        reason = f": {pushed.not_stored}" if pushed.not_stored else ""
        yield f"gone when the board starts anew{reason}" if not is_until_reset else "gone when the board starts anew"


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (", …" if len(texts) > _SHOWN else "")


def _import(options: argparse.Namespace, console: Console) -> int:
    from pipeline.tasks.home_registry import home_of_registries, write_home

    if options.out.exists() and not options.force:
        raise ThimbleError(f"{options.out} is there already", "name another file, or use --force to write over it")
    home = home_of_registries(options.registries)
    write_home(home, options.out)
    counts = f"{len(home.floors)} floors, {len(home.areas)} areas, {len(home.entities)} entities"
    console.print(f"{options.out}: {counts}", markup=False, highlight=False)
    return 0


COMMAND = Command("home", "make a home file of what Home Assistant knows; give a board its names", _arguments, _work)
