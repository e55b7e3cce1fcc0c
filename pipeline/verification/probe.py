"""Whether an emulator's core can be trusted with an image: the probe is asked before anything is verified on it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline import tools
from pipeline.device.link import SerialLink
from pipeline.emulators.qemu import Qemu
from pipeline.emulators.select import Emulator
from pipeline.errors import ThimbleError
from pipeline.firmware.probe import build_probe, instructions_in
from pipeline.targets.boards import Board

__all__ = ["trusted_emulator", "wrong_instructions"]

_TIMEOUT = 120.0


def wrong_instructions(link: SerialLink) -> list[str]:
    """Which instructions the probe that boots behind the link finds computed wrong, or not known at all.

    Raises:
        ThimbleError: it does not run, or says what no probe says.
    """
    wrong: list[str] = []
    checked = ""
    while (line := link.read_line(_TIMEOUT)) != "END":
        match line.split():
            case ["CHECK", name]:
                checked = name
            case ["WRONG", name, *_]:
                wrong.append(name)
            case ["FAULT", *_] if checked:
                wrong.append(checked)
                break
            case ["RIGHT", *_] | []:
                pass
            case _:
                raise ThimbleError(f"the probe says {line!r}", "build it for the board that runs")
    return list(dict.fromkeys(wrong))


def trusted_emulator(emulator: Emulator, board: Board, elf: Path) -> tuple[Emulator, str]:
    """The emulator itself where it computes every instruction of the image right; QEMU where it has the board and the
    emulator does not; and what to say of that, empty where there is nothing to say.

    Args:
        emulator: knows the board.
        elf: the image to run.

    Raises:
        ThimbleError: the probe does not build or run.
    """
    folder = Path(tempfile.mkdtemp(prefix="thimble-probe-"))
    try:
        link = emulator.start(build_probe(board, folder), board)
        try:
            wrong = wrong_instructions(link)
        finally:
            link.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    used = instructions_in(elf, wrong, board) if wrong else []
    if not used:
        return emulator, ""
    says = f"{emulator.name.capitalize()} {emulator.version} computes {_listed(used)} wrong"
    if "qemu" in board.emulators and tools.find("qemu-system-arm") is not None:
        return Qemu(), f"{says}; verified on QEMU instead"
    return emulator, f"{says}, which this image uses, and no other emulator of {board.name} is at hand"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
