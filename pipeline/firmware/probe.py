"""The probe: an image without a model that compares a core's instructions with plain C (`renode/probe`).

An emulator that computes one wrong gives wrong logits; the probe says which instruction it is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from elftools.elf.elffile import ELFFile

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.firmware.project import TEMPLATES, write_board
from pipeline.resources import ROOT
from pipeline.targets.boards import Board

__all__ = ["PROBE", "build_probe", "encoding", "instructions_in"]

PROBE = ROOT / "renode" / "probe"
_FLAGS = (
    *("-Os", "-g", "-std=gnu11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fno-tree-vectorize"),
    *("-fno-tree-slp-vectorize", "-fno-tree-loop-distribute-patterns", "-ffunction-sections", "-fdata-sections"),
    *("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", "-Wl,--build-id=none"),
)
"""What the plain C stands on must be the simplest instructions: nothing is made into vectors."""
# Registers for the operands of a form; together they change every bit that says a register.
_GENERAL = ("0123", "1032", "2301", "4567", "89ab", "3210")
_EVEN = ("0", "2", "4", "8", "6", "0")
_VECTORS = ("012", "103", "230", "456", "321", "012")


def build_probe(board: Board, folder: Path) -> Path:
    """Builds the probe for a board.

    Args:
        folder: receives the sources and the image; it exists.

    Returns:
        the image.

    Raises:
        ThimbleError: the compiler is missing, or complains.
    """
    shutil.copytree(PROBE, folder / "src", dirs_exist_ok=True)
    for name in ("board.h", "serial.h", "serial.c"):
        shutil.copyfile(TEMPLATES / "app" / name, folder / "src" / name)
    for name in ("thimble_crc32.h", "thimble_crc32.c"):  # which serial.c calls
        shutil.copyfile(TEMPLATES / "runtime" / name, folder / "src" / name)
    (folder / "board").mkdir()
    write_board(board, folder / "board", board.stack_bytes)
    sources = [str(path) for part in ("src", "board") for path in sorted((folder / part).glob("*.c"))]
    elf = folder / "probe.elf"
    places = ["-I", str(folder / "src"), "-I", str(folder / "board"), "-L", str(folder / "board")]
    _compile([*board.flags, *_FLAGS, *places, *sources, "-T", str(folder / "board" / "link.ld"), "-o", str(elf)])
    return elf


def instructions_in(elf: Path, names: Iterable[str], board: Board) -> list[str]:
    """Which of the probe's instructions an image for the board has in its code, in their order."""
    words = set(_words_of(elf))
    encodings = {name: encoding(name, board.flags) for name in names}
    return [name for name, (mask, code) in encodings.items() if any(word & mask == code for word in words)]


@cache
def encoding(instruction: str, flags: tuple[str, ...]) -> tuple[int, int]:
    """The bits that are the same in all forms of one of the probe's instructions, and their values there.

    Raises:
        ThimbleError: the core that the compiler's options choose does not have it.
    """
    known: dict[str, list[str]] = yaml.safe_load((PROBE / "instructions.yaml").read_text(encoding="utf-8"))
    lines = [_with_registers(form, variant) for form in known[instruction] for variant in range(len(_GENERAL))]
    with TemporaryDirectory(prefix="thimble-probe-") as folder:
        source, compiled = Path(folder) / "forms.s", Path(folder) / "forms.o"
        source.write_text("\n".join([".syntax unified", ".thumb", ".text", *lines, ""]), encoding="ascii")
        _compile([*flags, "-c", str(source), "-o", str(compiled)])
        words = list(_words_of(compiled))
    mask = 0xFFFFFFFF
    for word in words:
        mask &= ~(word ^ words[0])
    return mask, words[0] & mask


def _words_of(elf: Path) -> Iterator[int]:
    """Instructions of 32 bits in the section .text, first halfword high; each pair of halfwords that may be one."""
    with elf.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".text")
        data = section.data() if section is not None else b""
    halves = [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data) - 1, 2)]
    at = 0
    while at < len(halves) - 1:
        wide = halves[at] >> 11 in (0b11101, 0b11110, 0b11111)
        if wide:
            yield halves[at] << 16 | halves[at + 1]
        at += 1 + wide


def _with_registers(form: str, variant: int) -> str:
    at = {"r": 0, "q": 0}

    def register(match: re.Match[str]) -> str:
        kind = match[1]
        if kind == "e":
            return f"r{_EVEN[variant]}"
        digit = {"r": _GENERAL, "q": _VECTORS}[kind][variant][at[kind]]
        at[kind] += 1
        return f"{kind}{int(digit, 16)}"

    return re.sub(r"\{([req])\}", register, form)


def _compile(options: list[str]) -> None:
    command = [str(tools.require("arm-none-eabi-gcc")), *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if "error" in line.lower()]
        first = (errors or ["the compiler says nothing"])[0]
        raise ThimbleError(f"the probe does not build: {first}", "use the Arm compiler that docs/install.md names")
