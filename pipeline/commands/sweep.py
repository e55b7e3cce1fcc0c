"""`sweep`: many recipes, trained and measured."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipeline.commands.command import WHOLE_RUN, Command, board_names, build_argument, complete_with, emulator_argument
from pipeline.errors import ThimbleError
from pipeline.program import command

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", type=Path, metavar="SWEEP", help="a sweep's YAML file")
    parser.add_argument("--jobs", type=int, metavar="N", help="points at a time (default: one a processor)")
    parser.add_argument("--ray", metavar="ADDRESS", help="run the points on this Ray cluster")
    board = parser.add_argument(
        "--board", action="append", metavar="BOARD", help="instead of the recipes' boards; may repeat"
    )
    complete_with(board, board_names)
    emulator_argument(parser)
    build_argument(parser, "where sweep/NAME goes (default: build)")
    parser.add_argument(
        "--ship", action="store_true", help="put the results beside the sweep's file too, in a folder of its name"
    )


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline.sweep.plan import load_sweep
    from pipeline.sweep.run import SweepOptions, run_sweep, ship_results

    if options.jobs is not None and options.jobs < 1:
        raise ThimbleError(f"--jobs {options.jobs} is not above 0", "run at least one point at a time")
    sweep = load_sweep(options.sweep)
    settings = SweepOptions(options.jobs, options.ray, tuple(options.board or ()), options.emulator, options.build)
    results = run_sweep(sweep, settings, console)
    folder = options.build / "sweep" / sweep.name
    for board in results.boards:
        console.print(f"\n[bold]{board}[/]")
        console.print(results.table(board))
    console.print("● no other point is better in accuracy, flash, RAM and time at once", style="dim")
    for point in results.failed:
        console.print(f"[red]✗[/] {point.name}: {escape(point.error)} [dim](fix: {escape(point.remedy)})[/]")
    console.print(f"\nresults  {folder / 'pareto.json'}, .md and .png", highlight=False)
    console.print(f"recipes  {folder / 'recipes'}", highlight=False)
    if options.ship:
        console.print(f"shipped  {ship_results(folder, options.sweep)}", highlight=False)
    recommend = command(f"recommend --sweep {folder} --board {results.boards[0]} --flash 256K --ram 64K")
    console.print(f"pick     {recommend}", highlight=False)
    return 0


COMMAND = Command(
    "sweep",
    "train and measure many recipes, and show what accuracy costs",
    _arguments,
    _work,
    extras=(*WHOLE_RUN, "sweep"),
)
