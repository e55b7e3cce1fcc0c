"""`recommend`: the best measured recipe for a board and budgets."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from pipeline.commands.command import Command, board_names, complete_with
from pipeline.errors import ThimbleError
from pipeline.resources import ROOT

__all__ = ["COMMAND"]

_SHIPPED_SWEEP = ROOT / "models" / "sweeps" / "home-en"


def _arguments(parser: argparse.ArgumentParser) -> None:
    board = parser.add_argument("--board", required=True, metavar="BOARD")
    complete_with(board, board_names)
    parser.add_argument("--flash", metavar="SIZE", help="such as 256K (default: what the board has)")
    parser.add_argument("--ram", metavar="SIZE", help="such as 64K (default: what the board has)")
    parser.add_argument("--ms", type=float, metavar="T", help="milliseconds of the slowest token, by the high estimate")
    parser.add_argument(
        "--sweep",
        type=Path,
        default=_SHIPPED_SWEEP,
        metavar="DIR",
        help="a finished sweep's folder (default: the shipped results for English commands)",
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.recipes.schema import size_bytes
    from pipeline.sweep.pareto import read_results
    from pipeline.sweep.recommend import recommend
    from pipeline.targets.boards import load_board

    if options.ms is not None and not options.ms > 0:
        raise ThimbleError(f"--ms {options.ms:g} is not above 0", "give milliseconds a token")
    limits = {name: size_bytes(f"--{name}", getattr(options, name)) for name in ("flash", "ram")}
    for name, limit in limits.items():
        if limit is not None and limit < 1024:
            raise ThimbleError(f"--{name} {limit} is {limit} bytes", f"add the unit: --{name} {limit}K")
    recommendation = recommend(read_results(options.sweep), load_board(options.board), **limits, ms=options.ms)
    if options.json:
        print(json.dumps(recommendation.as_dict(), indent=1))
    else:
        console.print(
            "\n".join(recommendation.lines(recommendation.recipe_file(options.sweep / "recipes"))), highlight=False
        )
    return 0 if recommendation.fits else 1


COMMAND = Command("recommend", "the best measured recipe for a board and budgets", _arguments, _work)
