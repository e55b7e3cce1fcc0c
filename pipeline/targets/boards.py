"""The boards: one folder each in `firmware_templates/boards`, described by its `board.yaml`.

THIMBLE_BOARDS in the environment names a further folder of such folders, for boards of one's own (docs/add-a-board.md).
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Self, cast

from pydantic import ConfigDict, Field, PrivateAttr, model_validator
from typing_extensions import TypedDict

from pipeline.errors import ConfigError, Problem, ThimbleError
from pipeline.program import command
from pipeline.resources import ROOT
from pipeline.targets.cores import CORES, WeightLayout, packing_of_core
from pipeline.targets.memories import Flash, MemoryRegion
from pipeline.validation import (
    Complaint,
    Line,
    Name,
    StrictModel,
    complain,
    complaint,
    did_you_mean,
    read_yaml,
    validate,
)

__all__ = [
    "BOARDS",
    "Board",
    "BoardMemory",
    "BoardTiming",
    "Emulators",
    "QemuSettings",
    "RenodeSettings",
    "Store",
    "Uart",
    "all_boards",
    "load_board",
    "read_board",
    "serial_options",
]

BOARDS = ROOT / "firmware_templates" / "boards"
_GUARDED = 1 << 20
"""Bytes that the MPU guards below the stack, which lies at the start of RAM."""
_VECTORS_ALIGNED = 0x200
"""What the address of the vectors is a multiple of, for the cores of all boards."""
_IN_TREE = "platforms/"
_MAX_INTERRUPT = 495  # of Armv8-M; Armv7-M has as many
_Flag = Annotated[str, Field(pattern=r"^-[A-Za-z0-9=+._,/-]+$")]
_Word32 = Annotated[int, Field(ge=0, lt=1 << 32)]
_NEEDED = {
    "link.ld": "`cortex_m` to `shared`",
    "startup.c": "`cortex_m` to `shared`",
    "counter.c": "`counter` to `shared`",
    "uart.c": "a UART's driver to `shared`, or a uart.c of the board's own",
}


class BoardMemory(StrictModel):
    """The memories that the firmware uses."""

    flash: MemoryRegion
    """Where code and weights lie."""
    ram: MemoryRegion
    """Where the stack, activations and the KV cache lie; it starts at a multiple of a megabyte."""
    vectors: MemoryRegion | None = None
    """Where the core looks for its first instructions, where that is not the start of flash."""


class Uart(StrictModel):
    """The UART that carries the protocol."""

    model: Line
    """Its class in Renode, among its UARTs unless a dot says otherwise."""
    address: _Word32
    """Address of its registers."""
    rx_irq: int = Field(ge=0, le=_MAX_INTERRUPT)
    """The interrupt that says that a byte came."""
    tx_irq: int = Field(0, ge=0, le=_MAX_INTERRUPT)
    """The interrupt that says that a byte went."""
    error_irq: int | None = Field(None, ge=0, le=_MAX_INTERRUPT)
    """The interrupt that says that a byte came wrong, where it is not that of received bytes."""
    baud: int = Field(115200, ge=1, le=100_000_000)
    """Bits a second."""
    where: Line = ""
    """Where it leaves the board, for people."""


class Store(StrictModel):
    """The end of flash, where names are kept over a loss of power, in two slots that take turns; a folder of `shared`
    or the board has the driver, flash.c."""

    page_bytes: int = Field(ge=64, le=1 << 17)
    """What is erased at once."""
    slot_bytes: int = Field(ge=64, le=1 << 20)
    """Bytes of each slot, whole pages."""


class BoardTiming(StrictModel):
    """What the cycle model knows of the board, see docs/timing.md."""

    flash: Flash
    """What flash costs beyond the core."""
    source: str
    """The manual and table that the numbers come from."""
    assumption: str = ""
    """What is taken for granted, for the report."""


_PerTick = Annotated[float, Field(gt=0)]


class QemuSettings(StrictModel):
    """How QEMU emulates the board."""

    machine: Line = Field(min_length=1)
    """QEMU's name of the machine."""
    instructions_per_tick: _PerTick
    """Instructions that one tick of the board's counter stands for."""
    serial: int = Field(0, ge=0, le=15)
    """Which of the machine's UARTs carries the protocol."""


class RenodeSettings(StrictModel):
    """How Renode emulates the board."""

    platform: str = Field(pattern=r"^(platforms/[A-Za-z0-9_./-]+|[A-Za-z0-9][A-Za-z0-9_.-]*)$")
    """A file of `renode/`, or one that Renode brings (`platforms/…`)."""
    uart: Name
    """The UART's name in the platform."""
    mips: int = Field(ge=1, le=1_000_000)
    """Instructions that a microsecond of the board's time takes."""
    counter_hz: int | None = Field(None, ge=1)
    """The rate of the board's counter in the platform, where that is not the core's clock."""
    instructions_per_tick: _PerTick
    """Instructions that one tick of the board's counter stands for."""
    cpu: Line = ""
    """Renode's name of the core, for platforms in `renode/`."""
    trustzone: bool = False
    """Whether the core starts in its secure state, for platforms in `renode/`."""

    @property
    def in_tree(self) -> bool:
        """Whether Renode brings the platform."""
        return self.platform.startswith(_IN_TREE)

    @model_validator(mode="after")
    def _check_cpu(self) -> Self:
        if bool(self.cpu) == self.in_tree:
            what = "goes with platforms in renode/, and with them only"
            complain([complaint("cpu", what, "name Renode's cpuType there, or use a platform that Renode brings")])
        return self


class Emulators(TypedDict):
    """The emulators that know the board, with their settings."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")  # type: ignore[misc]

    qemu: NotRequired[QemuSettings]
    renode: NotRequired[RenodeSettings]


def _no_emulators() -> Emulators:
    return cast(Emulators, {})


class Board(StrictModel):
    """What the pipeline knows of a board: its `board.yaml`."""

    name: Name
    """The name of its folder."""
    title: Line
    """The board's name, for people."""
    core: str
    """The core, such as `cortex-m4`."""
    flags: tuple[_Flag, ...] = Field(strict=False)
    """The compiler's options that choose the core."""
    clock_hz: int = Field(ge=1, lt=1 << 32)
    """The core's clock."""
    memory: BoardMemory
    """Where memories lie."""
    stack_bytes: int = Field(ge=256, multiple_of=8)
    """Bytes of the stack, below which the MPU guards."""
    uart: Uart
    """The UART that carries the protocol."""
    shared: tuple[Name, ...] = Field(strict=False)
    """Folders beside the board's, or beside the boards that come with the package, whose files it needs too."""
    timing: BoardTiming
    """What the cycle model knows of the board."""
    emulators: Emulators = Field(default_factory=_no_emulators)
    """What emulates the board; absent: nothing, and it is only built."""
    store: Store | None = None
    """The end of flash, which keeps names over a loss of power; absent: nothing does."""
    image: Literal["elf", "hex", "bin", "uf2"] = "elf"
    """The file that a real board is flashed with; the build makes it beside the ELF."""
    boot_offset: _Word32 = 0
    """Bytes of the chip's flash before `memory.flash`, which a boot loader has."""
    uf2_family: _Word32 | None = None
    """The number by which a boot loader knows that a .uf2 is for its chip."""
    program: Line = ""
    """A command that puts an image into a real board."""

    _folder: Path = PrivateAttr(default=BOARDS)

    @model_validator(mode="after")
    def _check(self) -> Self:
        complain(self._complaints())
        return self

    def _complaints(self) -> Iterator[Complaint]:
        if self.core not in CORES:
            known = ", ".join(CORES)
            yield complaint(
                "core", f"{self.core!r} is not known", f"use one of: {known}{did_you_mean(self.core, CORES)}"
            )
        if self.ram.origin % _GUARDED:
            what = f"starts at {self.ram.origin:#x}, which is no multiple of {_GUARDED:#x}"
            yield complaint("memory.ram", what, "the MPU guards the megabyte below the stack: move it up")
        if self.stack_bytes >= self.ram.size:
            what = f"{self.stack_bytes:,} does not fit below {self.ram.size:,}, all RAM"
            yield complaint("stack_bytes", what, "use a smaller stack")
        if self.boot_offset > self.flash.origin:
            what = f"{self.boot_offset:#x} bytes do not fit before the flash at {self.flash.origin:#x}"
            yield complaint("boot_offset", what, "`memory.flash` starts behind the boot loader")
        if self.flash.origin % _VECTORS_ALIGNED:
            what = f"starts at {self.flash.origin:#x}, which is no multiple of {_VECTORS_ALIGNED:#x}"
            yield complaint("memory.flash", what, "the core finds its vectors there: move it up")
        if (self.image == "uf2") != (self.uf2_family is not None):
            yield complaint("uf2_family", "goes with `image: uf2`, and with it only", "name the chip's family there")
        if self.store is not None:
            yield from self._store_complaints(self.store)
        renode = self.emulators.get("renode")
        if renode is not None:
            counter_hz = renode.counter_hz or self.clock_hz
            per_tick = renode.mips * 1e6 / counter_hz
            if abs(per_tick - renode.instructions_per_tick) > 1e-9 * renode.instructions_per_tick:
                what = f"{renode.mips} MIPS at {counter_hz:,} Hz are {per_tick:g} instructions a tick"
                what = f"is {renode.instructions_per_tick:g}, and {what}"
                yield complaint("emulators.renode.instructions_per_tick", what, "mend it, or `mips`")

    def _store_complaints(self, store: Store) -> Iterator[Complaint]:
        if store.slot_bytes % store.page_bytes:
            yield complaint(
                "store.slot_bytes", f"is {store.slot_bytes}, no whole pages of {store.page_bytes}", "write a multiple"
            )
        if (self.flash.origin + self.flash.size) % store.page_bytes:
            yield complaint("store.page_bytes", "no page ends where `memory.flash` ends", "end that with a page")
        if 2 * store.slot_bytes >= self.flash.size:
            what = f"is {store.slot_bytes:,}, and two of these leave nothing of {self.flash.size:,}"
            yield complaint("store.slot_bytes", what, "use smaller slots")

    @property
    def flash(self) -> MemoryRegion:
        """Where code and weights lie."""
        return self.memory.flash

    @property
    def image_flash(self) -> MemoryRegion:
        """What of flash an image may take where names are kept at its end."""
        kept = 0 if self.store is None else 2 * self.store.slot_bytes
        return self.flash.model_copy(update={"size": self.flash.size - kept})

    @property
    def ram(self) -> MemoryRegion:
        """Where the stack, activations and the KV cache lie."""
        return self.memory.ram

    @property
    def vectors(self) -> MemoryRegion | None:
        """Where the core looks for its first instructions; None: at the start of flash."""
        return self.memory.vectors

    @property
    def folder(self) -> Path:
        """The board's own folder."""
        return self._folder

    def instructions_per_tick(self, emulator: str) -> float:
        """Instructions that one tick of the board's counter stands for under an emulator that knows the board."""
        settings = {"qemu": self.emulators.get("qemu"), "renode": self.emulators.get("renode")}[emulator]
        assert settings is not None, f"{emulator} knows {self.name}"
        return settings.instructions_per_tick

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders with the board's files: its own, then the shared ones."""
        folders = [self.folder]
        for name in self.shared:
            beside = self.folder.parent / name
            folders.append(beside if beside.is_dir() else BOARDS / name)
        return tuple(folders)

    @property
    def digest(self) -> str:
        """SHA-256 over the board's files."""
        digest = hashlib.sha256()
        for folder in self.folders:
            for path in sorted(folder.iterdir()):
                if path.is_file():
                    digest.update(f"{path.name}\0".encode() + path.read_bytes())
        return digest.hexdigest()[:16]

    @property
    def packing(self) -> WeightLayout:
        """Layout of the weights in this board's flash."""
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
    """Every board, by name. One of THIMBLE_BOARDS that is wrong is left out, with a notice.

    Raises:
        ThimbleError: a `board.yaml` that comes with the package is wrong, or THIMBLE_BOARDS names no folder.
    """
    return _boards()[0]


def load_board(name: str) -> Board:
    """The board of that name.

    Raises:
        ThimbleError: there is none, or its `board.yaml` is wrong.
    """
    boards, wrong = _boards()
    for board in boards:
        if board.name == name:
            return board
    if name in wrong:
        raise wrong[name]
    known = ", ".join(board.name for board in boards)
    raise ThimbleError(f"no board is called {name!r}", f"use one of: {known} (`{command('boards')}`)")


def _boards() -> tuple[tuple[Board, ...], dict[str, ThimbleError]]:
    return _boards_in(BOARDS, os.environ.get("THIMBLE_BOARDS", ""))


@cache
def _boards_in(folder: Path, further: str) -> tuple[tuple[Board, ...], dict[str, ThimbleError]]:
    """The boards, and the errors of those of `further` that are wrong, by the names of their folders."""
    boards = {board.name: board for board in map(read_board, folder.glob("*/board.yaml"))}
    wrong: dict[str, ThimbleError] = {}
    if further and not os.path.isdir(further):
        raise ThimbleError(f"THIMBLE_BOARDS names no folder: {further}", "name the folder that holds your boards")
    for path in sorted(Path(further).resolve().glob("*/board.yaml")) if further else ():
        try:
            board = read_board(path)
            if board.name in boards:
                what = f"two boards are called {board.name}: {boards[board.name].folder} and {board.folder}"
                raise ThimbleError(what, "give yours another name")
            boards[board.name] = board
        except ThimbleError as error:
            wrong[path.parent.name] = error
            logging.getLogger("thimble").warning("notice: left out: %s\n  fix: %s", error.what, error.remedy)
    return tuple(sorted(boards.values(), key=lambda board: board.name)), wrong


def read_board(path: Path) -> Board:
    """Reads one `board.yaml`.

    Raises:
        ConfigError: keys that are missing, unknown, of the wrong kind, or say what no board can have; names them all.
    """
    try:
        data = read_yaml(path, "board", "compare it with firmware_templates/boards/mps2_an386/board.yaml")
    except FileNotFoundError:
        raise ThimbleError(f"no board at {path}", "docs/add-a-board.md says what a board's folder holds") from None
    board = validate(Board, data, path)
    board._folder = path.parent
    if problems := list(_folder_problems(board)):
        raise ConfigError(path, problems)
    return board


def _folder_problems(board: Board) -> Iterator[Problem]:
    """What the board's folder lacks."""
    if board.name != board.folder.name:
        what = f"`name` names the board {board.name!r}"
        yield Problem("name", what, f"call it {board.folder.name!r}, like its folder")
    missing = [name for name, folder in zip(board.shared, board.folders[1:], strict=True) if not folder.is_dir()]
    for name in missing:
        close = did_you_mean(name, [folder.name for folder in BOARDS.iterdir() if not (folder / "board.yaml").exists()])
        yield Problem("shared", f"`shared` names no folder {name!r}", f"the shared ones lie in {BOARDS}{close}")
    if not missing:
        files = {file.name for folder in board.folders for file in folder.iterdir()}
        for name, source in _NEEDED.items():
            if name not in files:
                what = f"no {name} is in the board's folder or in those of `shared`"
                yield Problem("shared", what, f"add {source}")


def serial_options(qemu: QemuSettings) -> str:
    """QEMU's options that put the UART of the protocol on its stdin and stdout; the UARTs before it go nowhere."""
    return "-serial null " * qemu.serial + "-serial stdio"
