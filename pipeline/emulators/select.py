"""Which emulator runs a board's image."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pipeline.device.link import SerialLink
from pipeline.errors import MissingTool, ThimbleError
from pipeline.program import command
from pipeline.targets.boards import Board

__all__ = ["Emulator", "pick"]


class Emulator(Protocol):
    """A program that runs images of the boards that it knows."""

    name: str

    @property
    def version(self) -> str:
        """The program's version."""

    def start(self, elf: Path, board: Board) -> SerialLink:
        """Boots the image.

        Raises:
            ThimbleError: the emulator is missing or does not start.
        """


def pick(board: Board, name: str | None = None) -> Emulator:
    """The named emulator, or the first that is installed: Renode, then QEMU.

    Raises:
        ThimbleError: the board is not known to it, or none is installed.
    """
    from pipeline import tools
    from pipeline.emulators.qemu import Qemu
    from pipeline.emulators.renode.launcher import Renode, find_renode

    if name is not None and name not in board.emulators:
        known = ", ".join(board.emulators) or "none"
        raise ThimbleError(f"{name} does not emulate {board.name}", f"use one of: {known}")
    if name == "renode" or (name is None and "renode" in board.emulators and find_renode()):
        return Renode.installed()
    if name == "qemu" or "qemu" in board.emulators:
        tools.require("qemu-system-arm")
        return Qemu()
    raise MissingTool(
        f"no emulator for {board.name} is installed",
        f"`{command('renode fetch')}` fetches Renode; or put `renode` on the PATH, or set RENODE",
    )
