"""Emulators run a board's image and give its UART as lines of text."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pipeline.boards import Board
from pipeline.errors import ThimbleError

__all__ = ["Emulator", "SerialLink", "pick"]


class SerialLink(Protocol):
    """The board's UART, and the emulation behind it."""

    def send_line(self, line: str) -> None:
        """Sends a request; the line end is added."""

    def send_bytes(self, data: bytes) -> None:
        """Sends bytes as they are."""

    def read_line(self, timeout: float) -> str:
        """The next line from the board, without its end.

        Args:
            timeout: seconds on this machine's clock.

        Raises:
            ThimbleError: no line came in that time, or the emulator ended; says what came last.
        """

    def close(self) -> None:
        """Ends the emulation. May be called again."""


class Emulator(Protocol):
    """A program that runs images of the boards that it knows."""

    name: str

    @property
    def version(self) -> str:
        """What the program says of itself."""

    def start(self, elf: Path, board: Board) -> SerialLink:
        """Boots the image.

        Raises:
            ThimbleError: the emulator is missing or does not start.
        """


def pick(board: Board, wanted: str | None = None) -> Emulator:
    """The wanted emulator, or the first that is present: Renode, then QEMU.

    Raises:
        ThimbleError: the board is not known to it, or none is installed.
    """
    from pipeline import toolchain
    from pipeline.emulators.qemu import Qemu
    from pipeline.emulators.renode import Renode, find_renode

    if wanted is not None and wanted not in board.emulators:
        known = ", ".join(board.emulators) or "none"
        raise ThimbleError(f"{wanted} does not emulate {board.name}", f"use one of: {known}")
    if wanted == "renode" or (wanted is None and "renode" in board.emulators and find_renode()):
        return Renode.installed()
    if wanted == "qemu" or "qemu" in board.emulators:
        toolchain.require("qemu-system-arm")
        return Qemu()
    raise ThimbleError(
        f"no emulator for {board.name} is installed",
        "`nox -s renode` fetches Renode; or put `renode` on the PATH, or set RENODE",
    )
