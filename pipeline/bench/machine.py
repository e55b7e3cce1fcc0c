"""Builds a program for an emulated core, runs it with instruction counting, and reads what it prints."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.bench.cores import Core
from pipeline.errors import ThimbleError
from pipeline.firmware.image import section_sizes
from pipeline.resources import ROOT
from pipeline.targets.boards import Board, all_boards
from pipeline.tools import require

__all__ = ["DEVICE", "Counted", "build", "code_bytes", "emulated_board", "link_script", "run"]

DEVICE = ROOT / "firmware_templates" / "bench"
SECONDS = 300
_ROW = re.compile(r"ROW (\S+) (\d+) (\d+) (\d+)")
_LINK = """\
MEMORY {{
    VECTORS (rx) : ORIGIN = {vectors:#x}, LENGTH = 0x200
    CODE (rx) : ORIGIN = {code:#x}, LENGTH = {code_size:#x}
    RAM (rwx) : ORIGIN = {ram:#x}, LENGTH = {ram_size:#x}
}}
SECTIONS
{{
    .vectors : {{ KEEP(*(.vectors)) }} > VECTORS
    .text : ALIGN(4) {{ *(.text .text.*) }} > CODE
    .tables : ALIGN(4) {{ *(.rodata .rodata.* .srodata .srodata.*) }} > CODE
    .ARM.exidx : {{ *(.ARM.exidx*) }} > CODE
    .data : {{ *(.data .data.* .sdata .sdata.*) }} > RAM
    .bss (NOLOAD) : ALIGN(16) {{ bss_start = .; *(.bss .bss.* .sbss .sbss.* COMMON) . = ALIGN(4); bss_end = .; }} > RAM
    .stack (NOLOAD) : ALIGN(16) {{ . += 0x4000; stack_top = .; end = .; }} > RAM
    /DISCARD/ : {{ *(.comment) }}
}}
"""


@dataclass(frozen=True)
class Counted:
    """One line of a program: what was counted, its two parameters, and the instructions."""

    name: str
    first: int
    second: int
    instructions: int


def build(
    core: Core,
    sources: Sequence[Path],
    includes: Sequence[Path],
    folder: Path,
    options: Sequence[str] = ("-O2",),
    libraries: Sequence[str] = (),
) -> Path:
    """Compiles and links a program with its start-up code.

    Returns:
        The ELF file in `folder`.

    Raises:
        ThimbleError: no compiler for the core, or it complains.
    """
    compiler = require(core.compiler)
    folder.mkdir(parents=True, exist_ok=True)
    script, image = link_script(core, folder), folder / "program.elf"
    flags = [*core.compile_flags, "-std=c11", "-ffunction-sections", "-fdata-sections", *options]
    link = [*core.link_flags, "-Wl,--gc-sections", f"-T{script}"]
    command = [
        *(str(compiler), *flags, *link, *(f"-I{path}" for path in (*includes, DEVICE))),
        *(str(source) for source in (*sources, DEVICE / "start.c")),
        *(f"-l{library}" for library in (*libraries, *core.libraries)),
        *("-o", str(image)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        marks = ("error:", "undefined", "overflow")
        first = next((line for line in done.stderr.splitlines() if any(mark in line for mark in marks)), done.stderr)
        raise ThimbleError(f"the benchmark for {core.name} does not build: {first}", "see pipeline/bench/machine.py")
    return image


def link_script(core: Core, folder: Path) -> Path:
    """Writes the core's linker script."""
    script = folder / "link.ld"
    sizes = {"code_size": 0x200000 if core.key == "m55" else 0x3FF000, "ram_size": 0x400000}
    text = _LINK.format(vectors=core.vectors, code=core.code, ram=core.ram, **sizes)
    script.write_text(text, encoding="utf-8")
    return script


def run(core: Core, image: Path) -> list[Counted]:
    """Runs the program; returns its counts.

    Raises:
        ThimbleError: no QEMU, the program faulted, or it took too long.
    """
    firmware = () if core.is_arm else ("-bios", "none")
    command = [
        *(str(require(core.emulator)), "-M", core.machine, *firmware),
        *("-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=0,sleep=off"),
        *("-semihosting-config", "enable=on,target=native", "-kernel", str(image)),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise ThimbleError(
            f"the benchmark on {core.name} did not end in {SECONDS} s", "measure less: --quick"
        ) from None
    lines = (done.stdout + done.stderr).splitlines()
    rows = [_ROW.fullmatch(line) for line in lines]
    if lines[-1:] != ["END"]:
        words = [line for line, row in zip(lines, rows, strict=True) if not row and line.strip()]
        raise ThimbleError(
            f"the benchmark on {core.name} failed: {'; '.join(words[-3:]) or 'it printed nothing'}",
            f"run: {' '.join(command)}",
        )
    return [Counted(row[1], int(row[2]), int(row[3]), int(row[4])) for row in rows if row]


def code_bytes(image: Path) -> int:
    """Bytes of code in the image, start-up code included."""
    return section_sizes(image).get(".text", 0)


def emulated_board(core: Core) -> Board | None:
    """The board that QEMU has with the core; None where it has none."""
    return next((board for board in all_boards() if board.core == core.mcpu and "qemu" in board.emulators), None)
