"""The files in `renode/` that follow from a board's `board.yaml`: a script a board, and platforms of the MPS boards.

They are in the repository, so that who opens `renode/` finds what can be given to Renode as it is; a test compares
them with their templates. `thimble renode files` writes them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.errors import ThimbleError
from pipeline.resources import ROOT
from pipeline.targets.boards import Board, RenodeSettings, all_boards

__all__ = ["FOLDER", "entry_of", "render", "stale_files", "write_files"]

FOLDER = ROOT / "renode"


def entry_of(board: Board) -> RenodeSettings:
    """The board's entry under `emulators: renode:`.

    Raises:
        ThimbleError: there is none.
    """
    entry = board.emulators.get("renode")
    if entry is None:
        raise ThimbleError(f"Renode does not emulate {board.name}", "use --emulator qemu")
    return entry


def render(board: Board) -> dict[str, str]:
    """The board's files by name: `<board>.resc`, and its `.repl` where Thimble brings the platform.

    Raises:
        ThimbleError: Renode does not emulate the board, or its entry is wrong.
    """
    entry = entry_of(board)
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    values: Mapping[str, object] = {
        "board": board,
        "platform": f"@{entry.platform}" if entry.in_tree else f"$ORIGIN/{entry.platform}",
        "in_tree": entry.in_tree,
        "mips": entry.mips,
        "megahertz": f"{board.clock_hz / 1e6:g}",
        "per_tick": f"{entry.instructions_per_tick:g}",
        "cpu": entry.cpu,
        "trustzone": entry.trustzone,
        "uart": entry.uart,
    }
    files = {f"{board.name}.resc": environment.get_template("board.resc.in").render(values)}
    if not entry.in_tree:
        files[entry.platform] = environment.get_template("cmsdk.repl.in").render(values)
    return files


def stale_files() -> dict[Path, str]:
    """The files that differ from what the boards' data say, or are missing, with what they should hold."""
    current = {
        FOLDER / name: text
        for board in all_boards()
        if "renode" in board.emulators
        for name, text in render(board).items()
    }
    return {
        path: text for path, text in current.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def write_files(files: Mapping[Path, str]) -> None:
    """Writes what `stale_files` gave."""
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
