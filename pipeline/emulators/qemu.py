"""QEMU with instruction counting: one instruction is one nanosecond of the board's time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from pipeline import tools
from pipeline.device.link import SerialLink
from pipeline.emulators.process import ProcessLink
from pipeline.errors import ThimbleError
from pipeline.targets.boards import Board, serial_options

__all__ = ["Listener", "Qemu"]

Listener = Callable[[IO[bytes]], None]


class Qemu:
    """`qemu-system-arm`; deterministic, the UART on its stdin and stdout."""

    name = "qemu"

    @property
    def version(self) -> str:
        return tools.version("qemu-system-arm")

    def command(self, elf: Path, board: Board) -> list[str]:
        """The command line that runs the image."""
        if "qemu" not in board.emulators:
            raise ThimbleError(f"QEMU does not emulate {board.name}", "use --emulator renode")
        settings = board.emulators["qemu"]
        machine = str(settings["machine"])
        program = str(tools.require("qemu-system-arm"))
        screen = ["-display", "none", "-monitor", "none", *serial_options(settings).split()]
        return [program, "-M", machine, *screen, "-icount", "shift=0,sleep=off", "-kernel", str(elf)]

    def start(self, elf: Path, board: Board) -> SerialLink:
        return self._start(elf, self.command(elf, board), None)

    def start_logging(self, elf: Path, board: Board, options: Sequence[str], listen: Listener) -> SerialLink:
        """As `start`, with QEMU's log on its stderr.

        Args:
            options: such as `-d`, `exec`.
        listen: reads the log to its end, in a thread of its own.
        """
        return self._start(elf, [*self.command(elf, board), *options], listen)

    def _start(self, elf: Path, command: list[str], listen: Listener | None) -> SerialLink:
        if not elf.exists():
            raise ThimbleError(f"no image at {elf}", "run the `firmware` stage")
        return ProcessLink.on_pipes(f"QEMU {self.version}", command, listen)
