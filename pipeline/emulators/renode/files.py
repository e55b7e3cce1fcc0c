"""The files in `renode/` that follow from a board's `board.yaml`: a script a board, and platforms of the MPS boards.

They are in the repository, so that who opens `renode/` finds what can be given to Renode as it is; a test compares
them with their templates. `thimble renode files` writes them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.errors import ThimbleError
from pipeline.resources import ROOT
from pipeline.targets.boards import Board, all_boards

__all__ = ["FOLDER", "RenodeEntry", "entry_of", "render", "stale_files", "write_files"]

FOLDER = ROOT / "renode"
_IN_TREE = "platforms/"


@dataclass(frozen=True)
class RenodeEntry:
    """What a `board.yaml` says under `emulators: renode:`.

    `platform` is a file of `renode/`, or one that Renode brings (`platforms/…`); `cpu` is Renode's name of the core,
    for platforms of ours. `uart` is the UART's name in the platform, `mips` how many instructions a microsecond of the
    board's time takes, and `instructions_per_tick` what that makes of a tick of the board's counter.
    """

    platform: str
    uart: str
    mips: int
    instructions_per_tick: float
    cpu: str = ""
    trustzone: bool = False

    @property
    def in_tree(self) -> bool:
        """Whether Renode brings the platform."""
        return self.platform.startswith(_IN_TREE)


def entry_of(board: Board) -> RenodeEntry:
    """The board's entry, checked.

    Raises:
        ThimbleError: there is none, or a key is missing, unknown, or contradicts the board.
    """
    data = board.emulators.get("renode")
    if data is None:
        raise ThimbleError(f"Renode does not emulate {board.name}", "use --emulator qemu")
    try:
        entry = RenodeEntry(**data)
    except TypeError as error:
        raise ThimbleError(
            f"{board.folder / 'board.yaml'}: `emulators: renode:` {error}",
            "it has platform, uart, mips and instructions_per_tick; for a platform of renode/ cpu and trustzone too",
        ) from None
    if bool(entry.cpu) == entry.in_tree:
        raise ThimbleError(
            f"{board.folder / 'board.yaml'}: `renode: cpu` goes with platforms in renode/, and with them only",
            "name Renode's cpuType there, or use a platform that Renode brings",
        )
    if abs(entry.mips * 1e6 / board.clock_hz - entry.instructions_per_tick) > 1e-9 * entry.instructions_per_tick:
        raise ThimbleError(
            f"{board.folder / 'board.yaml'}: {entry.mips} MIPS at {board.clock_hz:,} Hz are "
            f"{entry.mips * 1e6 / board.clock_hz:g} instructions a tick, not {entry.instructions_per_tick:g}",
            "mend `mips` or `instructions_per_tick`",
        )
    return entry


def render(board: Board) -> dict[str, str]:
    """The board's files by name: `<board>.resc`, and its `.repl` where the platform is one of ours.

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
