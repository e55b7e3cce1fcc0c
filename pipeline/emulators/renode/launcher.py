"""Renode, run without a window: its monitor is on its stdin and stdout, the UART a pseudo-terminal in a folder of this
user's own. Nothing of it can be reached over the network, except the UART on Windows, which has no such terminals."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import warnings
from functools import cached_property
from pathlib import Path

from pipeline.device.link import SerialLink
from pipeline.emulators.process import ProcessLink, spawn
from pipeline.emulators.renode import release
from pipeline.emulators.renode.files import FOLDER, entry_of
from pipeline.errors import MissingTool, ThimbleError
from pipeline.program import command
from pipeline.targets.boards import Board

__all__ = ["Renode", "find_renode", "private_folder", "stage_renode_files"]

PORTABLE = release.FOLDER
BOOT_SECONDS = 60.0
_TERMINAL = "uart"


def find_renode() -> Path | None:
    """RENODE in the environment (the program, or the folder that holds it), `renode` on the PATH, or the portable
    release in `build/renode`; None where there is none."""
    named = os.environ.get("RENODE")
    if named:
        path = Path(named)
        return path / "renode" if path.is_dir() else path
    program = shutil.which("renode")
    if program:
        return Path(program)
    return release.installed(PORTABLE)


def private_folder() -> Path:
    """A new folder of this user's own, whose path has no space: the monitor's paths end at one.

    Raises:
        ThimbleError: there is no place for it.
    """
    candidates = [tempfile.gettempdir(), "/tmp", "/var/tmp", os.environ.get("PUBLIC", "")]
    for folder in candidates:
        if folder and not re.search(r"\s", folder) and os.path.isdir(folder) and os.access(folder, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="thimble-", dir=folder))
    raise ThimbleError(
        f"Renode needs a folder without a space in its path, and {candidates[0]} has one", "set TMPDIR to another"
    )


def stage_renode_files(folder: Path, board: Board) -> None:
    """Copies the board's script and platform into the folder, whose path has no space: the monitor's paths end at one.

    Raises:
        ThimbleError: Renode does not emulate the board.
    """
    entry = entry_of(board)
    for name in [f"{board.name}.resc", *([] if entry.in_tree else [entry.platform])]:
        shutil.copyfile(FOLDER / name, folder / name)


class Renode:
    """Renode 1.15 or newer."""

    name = "renode"

    @classmethod
    def installed(cls) -> Renode:
        """The installed Renode.

        Raises:
            ThimbleError: none is.
        """
        renode = cls()
        renode.program.stat()  # looks for it
        return renode

    @cached_property
    def program(self) -> Path:
        """Path of the program.

        Raises:
            ThimbleError: nowhere, or RENODE names what is not there.
        """
        program = find_renode()
        if program is None or not program.is_file():
            raise MissingTool(
                f"no Renode at {program}" if program else "Renode is not installed",
                f"`{command('renode fetch')}` fetches it; or set RENODE to the program, put it on the PATH, or use "
                "--emulator qemu",
            )
        return program

    @cached_property
    def version(self) -> str:
        text = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=False).stdout
        match = re.search(r"v(\d+(?:\.\d+)+)", text)
        return match[1] if match else "?"

    def command(self, folder: Path, board: Board, port: int | None = None) -> list[str]:
        """The command line that runs `firmware.elf` with the board's script, both in the folder.

        Args:
            port: where the UART listens; None: it is the pseudo-terminal `uart` in the folder.
        """
        terminal = (
            f'CreateUartPtyTerminal "serial" "{folder}/{_TERMINAL}" true'
            if port is None
            else f'CreateServerSocketTerminal {port} "serial" false'
        )
        orders = (
            f"$elf=@{folder}/firmware.elf",
            f"include @{folder}/{board.name}.resc",
            f"emulation {terminal}",
            f"connector Connect sysbus.{entry_of(board).uart} serial",
            "start",
        )
        # With `--port` Renode's monitor would take anybody's orders: it listens on all interfaces.
        options = ["--plain", "--disable-gui", "--hide-log", "--console"]
        return [str(self.program), *options, *(part for order in orders for part in ("-e", order))]

    def start(self, elf: Path, board: Board) -> SerialLink:
        if "renode" not in board.emulators:
            raise ThimbleError(f"Renode does not emulate {board.name}", "use --emulator qemu")
        if not elf.exists():
            raise ThimbleError(f"no image at {elf}", "run the `firmware` stage")
        self.program  # noqa: B018 - says that it is missing before anything is copied
        folder = private_folder()
        try:
            shutil.copyfile(elf, folder / "firmware.elf")
            stage_renode_files(folder, board)
            return _Link(self._connect(folder, board), folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _connect(self, folder: Path, board: Board) -> ProcessLink:
        name = f"Renode {self.version}"
        if os.name != "nt":
            process = spawn(name, self.command(folder, board))
            return ProcessLink.on_terminal(name, process, folder / _TERMINAL, BOOT_SECONDS)
        port = _free_port()
        warnings.warn(f"while it runs, Renode's UART is open to the network at port {port}", stacklevel=2)
        process = spawn(name, self.command(folder, board, port))
        return ProcessLink.on_socket(name, process, port, BOOT_SECONDS)


class _Link:
    """The link, and the folder that goes with it."""

    def __init__(self, link: ProcessLink, folder: Path) -> None:
        self._link = link
        self._folder = folder

    def send_line(self, line: str) -> None:
        self._link.send_line(line)

    def send_bytes(self, data: bytes) -> None:
        self._link.send_bytes(data)

    def read_line(self, timeout: float) -> str:
        return self._link.read_line(timeout)

    def close(self) -> None:
        self._link.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
