"""`boards`: what a recipe may name."""

from __future__ import annotations

import argparse
import json

from rich.console import Console

from pipeline.commands.command import Command

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def _work(options: argparse.Namespace, console: Console) -> int:
    from rich.table import Table

    from pipeline.targets.boards import all_boards

    boards = all_boards()
    if options.json:
        print(json.dumps([board.summary() for board in boards], indent=1))
        return 0
    table = Table("board", "core", "clock", "flash", "RAM", "emulators", box=None, header_style="bold")
    for board in boards:
        facts = board.summary()
        table.add_row(
            facts["name"],
            facts["core"],
            f"{facts['clock_hz'] / 1e6:g} MHz",
            f"{facts['flash_bytes'] // 1024} KB",
            f"{facts['ram_bytes'] // 1024} KB",
            ", ".join(facts["emulators"]),
        )
    console.print(table)
    return 0


COMMAND = Command("boards", "list the boards", _arguments, _work)
