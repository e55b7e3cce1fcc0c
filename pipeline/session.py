"""`chat`: sentences typed to the emulated board."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from pipeline.boards import load_board
from pipeline.chat import converse, typed_lines
from pipeline.emulators import pick
from pipeline.protocol import Device
from pipeline.recipe import Recipe
from pipeline.workspace import Workspace

__all__ = ["chat_with_board"]


def chat_with_board(recipe: Recipe, workspace: Workspace, emulator_name: str | None, console: Console) -> int:
    """Boots the recipe's first board and talks until end of file or Ctrl-C; the exit status."""
    board = load_board(recipe.boards[0])
    emulator = pick(board, emulator_name)
    elf = workspace.stage("firmware", f"{board.name}-{recipe.engine}") / "firmware.elf"
    with Device(emulator.start(elf, board)) as device:
        console.print(f"{board.title} on {emulator.name} {emulator.version}; Ctrl-D ends", highlight=False)
        converse(
            device,
            board,
            emulator.name,
            typed_lines(),
            lambda line: console.print(line, markup=False),
            recipe.model.context,
            _traced_rate(workspace.folder / f"{board.name}-{recipe.engine}" / "result.json"),
        )
    return 0


def _traced_rate(result: Path) -> float | None:
    """Likely cycles an instruction of a decode step as the last run modelled them; None where there was none."""
    try:
        return float(json.loads(result.read_text(encoding="utf-8"))["cycles"]["per_instruction"]["likely"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
