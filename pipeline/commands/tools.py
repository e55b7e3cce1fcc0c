"""`tools`: the programs that are not Python."""

from __future__ import annotations

import argparse

from rich.console import Console

from pipeline.commands.command import Command

__all__ = ["COMMAND"]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--install",
        action="store_true",
        help="install what is missing through apt, as root or with passwordless sudo",
    )


def _work(options: argparse.Namespace, console: Console) -> int:
    from pipeline import tools

    if options.install:
        for name in tools.install_missing():
            console.print(f"installed {name} {tools.version(name)}", highlight=False)
        return 0
    for tool in tools.TOOLS.values():
        path = tools.find(tool.program)
        version = tools.version(tool.program) if path else "missing"
        console.print(f"{tool.program:20} {version:10} {path or ''}", highlight=False)
    return 1 if tools.missing() else 0


COMMAND = Command("tools", "list the compilers and emulators, or install what is missing", _arguments, _work)
