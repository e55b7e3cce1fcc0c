"""The boards: one folder each in `firmware_templates/boards`, described by its `board.yaml`.

THIMBLE_BOARDS in the environment names a further folder of such folders, for boards of one's own (docs/add-a-board.md).
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Mapping, Set
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ThimbleError
from pipeline.program import command
from pipeline.resources import ROOT
from pipeline.targets.cores import CORES, WeightLayout, packing_of_core
from pipeline.targets.memories import Flash

__all__ = ["BOARDS", "Board", "MemoryRegion", "Uart", "all_boards", "load_board", "read_board", "serial_options"]

BOARDS = ROOT / "firmware_templates" / "boards"


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
        folders = [self.folder]
        for name in self.shared:
            beside = self.folder.parent / name
            folders.append(beside if beside.is_dir() else BOARDS / name)
        return tuple(folders)

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
    def packing(self) -> WeightLayout:
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

    def milliseconds(self, instructions: float, cycles_per_instruction: float) -> float:
        """Time at the board's clock of a number of instructions."""
        return instructions * cycles_per_instruction / self.clock_hz * 1000


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
    for first, second in itertools.pairwise(boards):
        if first.name == second.name:
            raise ThimbleError(
                f"two boards are called {first.name}: {first.folder} and {second.folder}", "give yours another name"
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
    raise ThimbleError(f"no board is called {name!r}", f"use one of: {known} (`{command('boards')}`)")


def read_board(path: Path) -> Board:
    """Reads one `board.yaml`.

    Raises:
        ThimbleError: a field is missing, unknown, of the wrong kind, or what no board can have.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        board = _board(_mapping(data, "a board's description"), path.parent)
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise ThimbleError(
            f"{path} does not describe a board: {' '.join(str(error).split())}",
            "compare it with firmware_templates/boards/mps2_an386/board.yaml; docs/add-a-board.md tells of each key",
        ) from None
    if board.name != path.parent.name:
        raise ThimbleError(f"{path} names the board {board.name!r}", f"call it {path.parent.name!r}, like its folder")
    missing = [name for name, folder in zip(board.shared, board.folders[1:], strict=True) if not folder.is_dir()]
    if missing:
        raise ThimbleError(f"{path}: `shared` names no folder {missing[0]!r}", f"the shared ones lie in {BOARDS}")
    files = {file.name for folder in board.folders for file in folder.iterdir()}
    for name, source in _NEEDED.items():
        if name not in files:
            raise ThimbleError(f"{path}: no {name} is in the board's folder or in those of `shared`", f"add {source}")
    return board


_KEYS = frozenset(
    {"name", "title", "core", "flags", "clock_hz", "memory", "stack_bytes", "uart", "shared", "timing", "emulators"}
)
_NEEDED = {
    "link.ld": "`cortex_m` to `shared`",
    "startup.c": "`cortex_m` to `shared`",
    "counter.c": "`counter` to `shared`",
    "uart.c": "a UART's driver to `shared`, or a uart.c of the board's own",
}
_EMULATORS = {
    "qemu": ({"machine", "instructions_per_tick"}, {"serial"}),
    "renode": ({"platform", "uart", "mips", "instructions_per_tick"}, {"cpu", "trustzone"}),
}
"""The keys that an emulator's entry must have, and those that it may."""


def _board(data: dict[str, Any], folder: Path) -> Board:
    """What the description says; ValueError names a key that is wrong."""
    _keys(data, _KEYS, {"program"})
    memory, timing = _mapping(data["memory"], "`memory`"), _mapping(data["timing"], "`timing`")
    _keys(memory, {"flash", "ram"}, {"vectors"}, "memory.")
    _keys(timing, {"flash", "source"}, {"assumption"}, "timing.")
    regions = {name: _region(value, f"memory.{name}") for name, value in memory.items()}
    board = Board(
        name=str(data["name"]),
        title=str(data["title"]),
        core=str(data["core"]),
        flags=_words(data["flags"], "flags"),
        clock_hz=_number(data["clock_hz"], "clock_hz", minimum=1),
        flash=regions["flash"],
        ram=regions["ram"],
        vectors=regions.get("vectors"),
        stack_bytes=_number(data["stack_bytes"], "stack_bytes", minimum=256),
        uart=_record(Uart, data["uart"], "uart"),
        shared=_words(data["shared"], "shared"),
        flash_timing=_record(Flash, timing["flash"], "timing.flash"),
        timing_source=str(timing["source"]),
        timing_assumption=str(timing.get("assumption", "")),
        emulators=_emulators(data["emulators"]),
        program=str(data.get("program", "")),
        folder=folder,
    )
    if board.core not in CORES:
        raise ValueError(f"`core` {board.core} is none of {', '.join(CORES)}")
    if board.ram.origin % _GUARDED:
        raise ValueError(f"`memory.ram` starts at {board.ram.origin:#x}, which is no multiple of {_GUARDED:#x}")
    if board.stack_bytes % 8 or board.stack_bytes >= board.ram.size:
        raise ValueError(f"`stack_bytes` {board.stack_bytes:,} is no multiple of 8 below {board.ram.size:,}, all RAM")
    return board


_GUARDED = 1 << 20
"""The MPU guards so many bytes below the stack, which lies at the start of RAM."""


def _region(value: object, key: str) -> MemoryRegion:
    region: MemoryRegion = _record(MemoryRegion, value, key)
    if not region.size or region.origin + region.size > 1 << 32:
        raise ValueError(f"`{key}` must hold a byte or more, and end below 4 GB")
    return region


def _emulators(value: object) -> dict[str, dict[str, Any]]:
    emulators: dict[str, dict[str, Any]] = {}
    for name, entry in _mapping(value, "`emulators`").items():
        if name not in _EMULATORS:
            raise ValueError(f"`emulators` knows {' and '.join(_EMULATORS)}, not {name}")
        emulators[name] = _mapping(entry, f"`emulators.{name}`")
        _keys(emulators[name], *_EMULATORS[name], f"emulators.{name}.")
        per_tick = emulators[name]["instructions_per_tick"]
        if not isinstance(per_tick, int | float) or per_tick <= 0:
            raise ValueError(f"`emulators.{name}.instructions_per_tick` must be a number above 0, not {per_tick!r}")
        for key in {"serial", "mips"} & set(emulators[name]):
            _number(emulators[name][key], f"emulators.{name}.{key}")
    return emulators


def _record(kind: Any, value: object, key: str) -> Any:
    """A dataclass of numbers and texts."""
    entries = _mapping(value, f"`{key}`")
    known = {field.name: field for field in fields(kind)}
    _keys(entries, {n for n, field in known.items() if field.default is MISSING}, set(known), f"{key}.")
    for name, number in entries.items():
        if known[name].type == "int":
            _number(number, f"{key}.{name}")
    return kind(**entries)


def _keys(data: Mapping[str, object], required: Set[str], optional: Set[str], prefix: str = "") -> None:
    for name in sorted(required - data.keys()):
        raise ValueError(f"`{prefix}{name}` is missing")
    left = [f"{prefix}{name}" for name in data if name not in required | optional]
    if left:
        raise ValueError(f"unknown keys: {', '.join(left)}")


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a mapping of keys, not {value!r}")
    return {str(key): entry for key, entry in value.items()}


def _words(value: object, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"`{key}` must be a list of texts, not {value!r}")
    return tuple(value)


def _number(value: object, key: str, minimum: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"`{key}` must be a whole number of {minimum} or more, not {value!r}")
    return value


def serial_options(qemu: Mapping[str, Any]) -> str:
    """QEMU's options that put the UART of the protocol on its stdin and stdout; the UARTs before it go nowhere."""
    return "-serial null " * int(qemu.get("serial", 0)) + "-serial stdio"
