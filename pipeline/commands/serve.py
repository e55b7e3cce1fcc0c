"""`serve`: a board as a service of the Wyoming protocol."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from pipeline.commands.board_places import board_opener, place_argument, place_options
from pipeline.commands.command import Command

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    place_argument(parser)
    parser.add_argument(
        "--wyoming",
        metavar="URI",
        default="tcp://127.0.0.1:10400",
        help="where the service is (default: tcp://127.0.0.1:10400)",
    )
    parser.add_argument(
        "--language",
        action="append",
        default=[],
        metavar="CODE",
        help="that the model understands; may repeat (default: it is offered for any)",
    )
    place_options(parser)


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.device.wyoming_service import parse_uri, serve

    parse_uri(options.wyoming)  # before anything is built
    serve(options.wyoming, board_opener(options, console), _say, options.language)
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


COMMAND = Command(
    "serve",
    "offer a board as a service of the Wyoming protocol, as Home Assistant's agents are",
    _arguments,
    _work,
    extras=("serve",),
)
