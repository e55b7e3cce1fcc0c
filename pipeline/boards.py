"""The boards: one folder each in `firmware_templates/boards`, described by its `board.yaml`.

THIMBLE_BOARDS in the environment names a further folder of such folders, for boards of one's own (docs/add-a-board.md).
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.compiler.packing import Packing, packing_of_core
from pipeline.errors import ThimbleError
from pipeline.timing.cores import load_core
from pipeline.timing.flash import Flash

__all__ = ["BOARDS", "Board", "MemoryRegion", "Uart", "all_boards", "load_board", "read_board"]

BOARDS = Path(__file__).resolve().parent.parent / "firmware_templates" / "boards"


@dataclass(frozen=True)
class MemoryRegion:
    """Where a memory lies; bytes."""

    origin: int
    size: int


@dataclass(frozen=True)
class Uart:
    """The UART that carries the protocol; `model` is its class in Renode, `where` tells where it leaves the board."""

    model: str
    address: int
    rx_irq: int
    tx_irq: int = 0
    baud: int = 115200
    where: str = ""


@dataclass(frozen=True)
class Board:
    """What the pipeline knows of a board.

    `flags` choose the core for the compiler, `shared` names folders beside it whose files the board needs too.
    `vectors` is where the core looks for its first instructions, where that is not the start of flash. `program` is a
    command that puts an image into a real board.
    `emulators` maps an emulator's name to its settings; `instructions_per_tick` there says how many instructions one
    tick of the board's counter stands for. `flash_timing` and the two texts are `timing:` of board.yaml, see
    docs/timing.md.
    """

    name: str
    title: str
    core: str
    flags: tuple[str, ...]
    clock_hz: int
    flash: MemoryRegion
    ram: MemoryRegion
    vectors: MemoryRegion | None
    stack_bytes: int
    uart: Uart
    shared: tuple[str, ...]
    flash_timing: Flash
    timing_source: str
    timing_assumption: str
    emulators: Mapping[str, Mapping[str, Any]]
    program: str
    folder: Path

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where the board's files are: its own folder, and the shared ones."""
        found = [self.folder]
        for name in self.shared:
            beside = self.folder.parent / name
            found.append(beside if beside.is_dir() else BOARDS / name)
        return tuple(found)

    @property
    def digest(self) -> str:
        """Changes with any of the board's files."""
        digest = hashlib.sha256()
        for folder in self.folders:
            for path in sorted(folder.iterdir()):
                if path.is_file():
                    digest.update(f"{path.name}\0".encode() + path.read_bytes())
        return digest.hexdigest()[:16]

    @property
    def packing(self) -> Packing:
        """How weights lie in this board's flash."""
        return packing_of_core(self.core)

    def summary(self) -> dict[str, Any]:
        """Plain data for listings."""
        return {
            "name": self.name,
            "title": self.title,
            "core": self.core,
            "clock_hz": self.clock_hz,
            "flash_bytes": self.flash.size,
            "ram_bytes": self.ram.size,
            "packing": str(self.packing),
            "emulators": list(self.emulators),
        }

    def milliseconds(self, instructions: float, cycles_per_instruction: float | None = None) -> float:
        """Likely time at the board's clock where only a count is known; without a rate, at the mean of the core's."""
        rate = load_core(self.core).mean.likely if cycles_per_instruction is None else cycles_per_instruction
        return instructions * rate / self.clock_hz * 1000


def all_boards() -> tuple[Board, ...]:
    """Every board, by name.

    Raises:
        ThimbleError: a `board.yaml` is wrong, THIMBLE_BOARDS names no folder, or two boards have one name.
    """
    return _boards_in(BOARDS, os.environ.get("THIMBLE_BOARDS", ""))


@cache
def _boards_in(folder: Path, further: str) -> tuple[Board, ...]:
    paths = list(folder.glob("*/board.yaml"))
    if further:
        if not Path(further).is_dir():
            raise ThimbleError(f"THIMBLE_BOARDS names no folder: {further}", "name the folder that holds your boards")
        paths += Path(further).resolve().glob("*/board.yaml")
    boards = sorted((read_board(path) for path in paths), key=lambda board: board.name)
    for one, other in itertools.pairwise(boards):
        if one.name == other.name:
            raise ThimbleError(
                f"two boards are called {one.name}: {one.folder} and {other.folder}", "give yours another name"
            )
    return tuple(boards)


def load_board(name: str) -> Board:
    """The board of that name.

    Raises:
        ThimbleError: there is none.
    """
    for board in all_boards():
        if board.name == name:
            return board
    known = ", ".join(board.name for board in all_boards())
    raise ThimbleError(f"no board is called {name!r}", f"use one of: {known} (`python -m pipeline boards`)")


def read_board(path: Path) -> Board:
    """Reads one `board.yaml`.

    Raises:
        ThimbleError: a field is missing, unknown or of the wrong kind.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        uart, timing, memory = data.pop("uart"), data.pop("timing"), data.pop("memory")
        board = Board(
            name=str(data.pop("name")),
            title=str(data.pop("title")),
            core=str(data.pop("core")),
            flags=tuple(data.pop("flags")),
            clock_hz=int(data.pop("clock_hz")),
            flash=MemoryRegion(**memory.pop("flash")),
            ram=MemoryRegion(**memory.pop("ram")),
            vectors=MemoryRegion(**memory.pop("vectors")) if "vectors" in memory else None,
            stack_bytes=int(data.pop("stack_bytes")),
            uart=Uart(**uart),
            shared=tuple(data.pop("shared")),
            flash_timing=Flash(**timing.pop("flash")),
            timing_source=str(timing.pop("source")),
            timing_assumption=str(timing.pop("assumption", "")),
            emulators=dict(data.pop("emulators")),
            program=str(data.pop("program", "")),
            folder=path.parent,
        )
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ThimbleError(
            f"{path} does not describe a board: {type(error).__name__} {error}",
            "compare it with firmware_templates/boards/mps2_an386/board.yaml",
        ) from None
    left = [*data, *(f"timing.{key}" for key in timing), *(f"memory.{key}" for key in memory)]
    if left:
        raise ThimbleError(f"{path} has unknown keys: {', '.join(left)}", "remove them")
    missing = [name for name, folder in zip(board.shared, board.folders[1:], strict=True) if not folder.is_dir()]
    if missing:
        raise ThimbleError(f"{path}: `shared` names no folder {missing[0]!r}", f"the shared ones lie in {BOARDS}")
    if board.name != path.parent.name:
        raise ThimbleError(f"{path} names the board {board.name!r}", f"call it {path.parent.name!r}, like its folder")
    return board
