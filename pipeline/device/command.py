"""The command line of the distribution `thimble-client`: `thimble-client ACTION PORT`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from ..errors import ThimbleError
from ..version import VERSION
from .client import ask, chat, connect, understand

__all__ = ["command_parser", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one action.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        The exit status: 0, 1 after an error that was printed, 130 after Ctrl-C.
    """
    options = command_parser().parse_args(arguments)
    try:
        _ACTIONS[options.action][1](options)
    except ThimbleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _info(options: argparse.Namespace) -> None:
    with connect(options.port, baud=options.baud) as device:
        print(json.dumps(asdict(device.info()), indent=2))


def _ask(options: argparse.Namespace) -> None:
    with connect(options.port, baud=options.baud) as device:
        for text in options.texts:
            print(ask(device, text).text)


def _understand(options: argparse.Namespace) -> None:
    with connect(options.port, baud=options.baud) as device:
        for text in options.texts:
            print(understand(device, text).as_json())


def _chat(options: argparse.Namespace) -> None:
    chat(options.port, baud=options.baud, is_quiet=options.quiet, is_json=options.json)


def _serve(options: argparse.Namespace) -> None:
    try:
        from .wyoming_service import serve
    except ModuleNotFoundError as error:
        raise ThimbleError(f"the Python package {error.name} is not installed", "pip install wyoming") from None

    serve(options.wyoming, lambda: connect(options.port, baud=options.baud), _say, options.language)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


_ACTIONS = {
    "info": ("what runs on the board, as JSON", _info),
    "ask": ("the board's answer to each text", _ask),
    "understand": ("what each sentence asks for, a line of JSON each", _understand),
    "chat": ("type sentences to the board", _chat),
    "serve": ("offer the board as a service of the Wyoming protocol, as Home Assistant's agents are", _serve),
}


def command_parser() -> argparse.ArgumentParser:
    """The parser of all actions."""
    parser = argparse.ArgumentParser(
        prog="thimble-client", description="Talks to a microcontroller with Thimble's firmware over its serial port."
    )
    parser.add_argument("--version", action="version", version=f"thimble-client {VERSION}")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (summary, _) in _ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("port", metavar="PORT", help="such as /dev/ttyACM0 or COM3")
        action.add_argument("--baud", type=int, default=115200, help="the board's speed (default: 115200)")
        if name in ("ask", "understand"):
            action.add_argument("texts", nargs="+", metavar="TEXT")
        if name == "chat":
            action.add_argument("--quiet", action="store_true", help="show answers alone, without figures")
            action.add_argument("--json", action="store_true", help="a line of JSON an answer")
        if name == "serve":
            action.add_argument(
                "--wyoming",
                metavar="URI",
                default="tcp://127.0.0.1:10400",
                help="where (default: tcp://127.0.0.1:10400)",
            )
            action.add_argument(
                "--language", action="append", default=[], metavar="CODE", help="that the model understands; may repeat"
            )
    return parser


if __name__ == "__main__":
    sys.exit(main())
