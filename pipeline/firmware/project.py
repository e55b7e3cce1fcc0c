"""The firmware project: a folder that builds by itself with CMake and the Arm compiler.

    CMakeLists.txt  README.md  cmake/  src/ (application)  model/ (generated)  runtime/ (kernels, tokenizer)  board/

Nothing in it points back into this repository.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.firmware.tables import write_tokenizer
from pipeline.firmware.tflm_library import KERNELS, arch_of
from pipeline.resources import ROOT
from pipeline.targets.boards import Board, serial_options
from pipeline.targets.cores import WeightLayout
from pipeline.text.prompt import PromptTokenizer

__all__ = [
    "Firmware",
    "Sizes",
    "build_project",
    "read_sizes",
    "section_sizes",
    "sizes_as_dict",
    "weights_of",
    "write_project",
]

_FOLDERS = ("src", "model", "runtime", "interpreter", "board", "cmake", "CMakeLists.txt")
_SOURCES = (".c", ".cc", ".h", ".ld", ".cmake", ".txt")
_OF_KERNELS = ("thimble_turn.c", "thimble_kernels.h", "thimble_kernels_compressed_s8.h", "thimble_kernels_s16.h")
"""What is needed of the kernels where TensorFlow Lite Micro brings its own: angles of positions without end."""
KERNEL_OPTIMIZATION = {
    WeightLayout.INTERLEAVED_2: "-Os",
    WeightLayout.INTERLEAVED_4: "-O2;-fmove-loop-invariants",
    WeightLayout.ROW_MAJOR: "-O2;-fmove-loop-invariants",
}
"""What wins, as CMake's list. With the DSP extension loops are in assembler; -O2 around them saves 1 % of a step, for
10 % of code."""
_COMPILER_VARIABLES = ("CFLAGS", "CXXFLAGS", "LDFLAGS", "CC", "CXX")
"""Of the environment; meant for the host's compiler."""
_OWN = """| `model/` | the model as C, the tokenizer's tables, what the device says of itself |
| `runtime/` | the kernels, the context and the cache, the tokenizer |"""
_INTERPRETED = """| `model/` | the .tflite as an array, its operators, the tokenizer's tables, the image's facts |
| `runtime/` | the context and the cache, the tokenizer |
| `interpreter/` | TensorFlow Lite Micro's interpreter as the model; the library itself is `TFLM_DIR`'s |"""
TEMPLATES = ROOT / "firmware_templates"


@dataclass(frozen=True)
class Sizes:
    """Bytes of the image, from its sections: code, weights and tables lie in flash (as do `data`'s initial values);
    `model_memory` (KV cache and activations), `static` (the application's variables) and `stack` lie in RAM."""

    code: int
    weights: int
    tables: int
    data: int
    model_memory: int
    static: int
    stack: int

    @property
    def flash(self) -> int:
        """All that lies in flash."""
        return self.code + self.weights + self.tables + self.data

    @property
    def ram(self) -> int:
        """All that lies in RAM, the whole stack included."""
        return self.model_memory + self.static + self.stack


@dataclass(frozen=True)
class Firmware:
    """A built image; `weights_crc` is the CRC-32 of its weights section, as the device reports it."""

    elf: Path
    sizes: Sizes
    weights_crc: int
    build_id: str


def write_project(
    model_dir: Path, tokenizer: PromptTokenizer, board: Board, name: str, out: Path, kernels: str | None = None
) -> None:
    """Writes the project's sources.

    Args:
        model_dir: what `compile_model` or `write_interpreted` wrote. name: the model's name, which the device tells.
        out: a folder that does not exist or is empty.
        kernels: those of TensorFlow Lite Micro, a key of `pipeline.firmware.tflm_library.KERNELS`; None: our engine.
    """
    for part in ("src", "model", "runtime", "board", "cmake"):
        (out / part).mkdir(parents=True, exist_ok=True)
    _copy(TEMPLATES / "app", out / "src")
    _copy(TEMPLATES / "runtime", out / "runtime")
    if kernels is not None:
        _interpret(out, board, kernels)
    _copy(model_dir, out / "model")
    for folder in reversed(board.folders):  # a board's own file goes before a shared one
        _copy(folder, out / "board")
    (out / "board" / "board_facts.h").write_text(_facts(board), encoding="ascii")
    (out / "board" / "memory.ld").write_text(_memory(board), encoding="ascii")
    _copy(TEMPLATES / "cmake", out / "cmake")
    write_tokenizer(tokenizer, out / "model")
    qemu = board.emulators.get("qemu")
    values = {
        "TITLE": name,
        "BOARD": board.name,
        "BOARD_TITLE": board.title,
        "FLAGS": " ".join(board.flags),
        "KERNELS": KERNEL_OPTIMIZATION[board.packing],
        "ENGINE": "" if kernels is None else "include(cmake/tflm.cmake)\n",
        "LAYOUT": _OWN if kernels is None else _INTERPRETED,
        "RUN": f"qemu-system-arm -M {qemu.machine} -display none -monitor none {serial_options(qemu)} "
        "-icount shift=0,sleep=off -kernel build/firmware.elf"
        if qemu
        else board.program or "load build/firmware.elf with your probe's program",
        "REAL": _real(board),
    }
    for template, target in (("CMakeLists.txt.in", "CMakeLists.txt"), ("README.md.in", "README.md")):
        text = (TEMPLATES / "cmake" / template).read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        (out / target).write_text(text, encoding="utf-8")
    _write_build_header(out, name, 0)


def _interpret(out: Path, board: Board, kernels: str) -> None:
    """Puts TensorFlow Lite Micro in the place of our kernels."""
    for path in (out / "runtime" / "kernels").iterdir():
        if path.name not in _OF_KERNELS:
            path.unlink()
    (out / "interpreter").mkdir()
    _copy(TEMPLATES / "tflm", out / "interpreter")
    (out / "interpreter" / "tflm.cmake").unlink()
    text = (TEMPLATES / "tflm" / "tflm.cmake").read_text(encoding="utf-8")
    for key, value in {
        "ARCH": arch_of(board.core),
        "SUFFIX": f"_{kernels}" if kernels else "",
        "KERNELS": KERNELS[kernels],
        "OPTIMIZED": f"OPTIMIZED_KERNEL_DIR={kernels} " if kernels else "",
    }.items():
        text = text.replace(f"@{key}@", value)
    (out / "cmake" / "tflm.cmake").write_text(text, encoding="utf-8")


def _facts(board: Board) -> str:
    return (
        "/* The board's facts; generated from its board.yaml. */\n#ifndef BOARD_FACTS_H\n#define BOARD_FACTS_H\n\n"
        f'#define BOARD_NAME "{board.name}"\n'
        f"#define BOARD_CLOCK_HZ {board.clock_hz}u\n"
        f"#define BOARD_UART_ADDRESS 0x{board.uart.address:08X}u\n"
        f"#define BOARD_UART_RX_IRQ {board.uart.rx_irq}u\n"
        f"#define BOARD_BAUD {board.uart.baud}u\n\n#endif\n"
    )


def _memory(board: Board) -> str:
    regions = {"FLASH (rx)": board.flash, "RAM (rwx)": board.ram}
    if board.vectors:
        regions["VECTORS (rx)"] = board.vectors
    lines = [f"    {name} : ORIGIN = 0x{r.origin:08X}, LENGTH = 0x{r.size:X}" for name, r in regions.items()]
    alias = "" if board.vectors else 'REGION_ALIAS("VECTORS", FLASH);\n'
    head = "/* The board's memory; generated from its board.yaml. */\nMEMORY\n{\n"
    return head + "\n".join(lines) + f"\n}}\n{alias}STACK_SIZE = {board.stack_bytes};\n"


def _real(board: Board) -> str:
    """How to put the image into a real board, for the project's README."""
    if not board.program:
        return "This board is an FPGA image for prototyping; load `build/firmware.elf` as its documents tell."
    where = f"\nThe protocol is on {board.uart.where}, {board.uart.baud} baud, 8N1." if board.uart.where else ""
    return f"On a real board:\n\n    {board.program}\n{where}"


def build_project(
    project: Path, build: Path, profile: bool = False, test_commands: bool = False, sampling: bool = True
) -> Firmware:
    """Builds the project in the folder `build`, and puts the checksum of the weights into its `model/build.h`.

    Raises:
        ThimbleError: a tool is missing, or the compiler or linker complains (its first error is in the text).
    """
    tools.require("arm-none-eabi-gcc")
    cmake, ninja = tools.require("cmake"), tools.require("ninja")
    options = [f"-DTHIMBLE_PROFILE={_on(profile)}", f"-DTHIMBLE_TEST_COMMANDS={_on(test_commands)}"]
    options.append(f"-DTHIMBLE_SAMPLING={_on(sampling)}")
    _run(
        [cmake, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", "-S", project, "-B", build, "-Wno-dev", *options],
        "configure",
        project,
    )
    _run([cmake, "--build", build], "build", project)
    elf = build / "firmware.elf"
    crc = zlib.crc32(weights_of(elf))
    if _write_build_header(project, None, crc):
        _run([cmake, "--build", build], "build", project)
    return Firmware(elf, read_sizes(elf), crc, _build_id(project))


def read_sizes(elf: Path) -> Sizes:
    """The sizes of an image's sections.

    Raises:
        ThimbleError: no such file, or no ELF file.
    """
    sizes = section_sizes(elf)
    named = {
        "code": (".vectors", ".text"),
        "weights": (".weights",),
        "tables": (".tables", ".ARM.exidx"),
        "data": (".data",),
        "model_memory": (".model_memory",),
        "stack": (".stack",),
    }
    section_bytes = {key: sum(sizes.get(name, 0) for name in names) for key, names in named.items()}
    return Sizes(**section_bytes, static=sizes.get(".data", 0) + sizes.get(".bss", 0))


def section_sizes(elf: Path) -> dict[str, int]:
    """Bytes of each section that takes memory, by name.

    Raises:
        ThimbleError: no such file, or no ELF file.
    """
    return {name: size for name, size, _ in _sections(elf)}


def weights_of(elf: Path) -> bytes:
    """The bytes of the weights section."""
    return next((data for name, _, data in _sections(elf) if name == ".weights"), b"")


def _sections(elf: Path) -> list[tuple[str, int, bytes]]:
    """Name, size and content of the sections that take memory."""
    try:
        with elf.open("rb") as file:
            return [
                (section.name, int(section["sh_size"]), b"" if section["sh_type"] == "SHT_NOBITS" else section.data())
                for section in ELFFile(file).iter_sections()
                if section["sh_flags"] & 2
            ]
    except (OSError, ELFError) as error:
        raise ThimbleError(f"cannot read the image {elf}: {error}", "run the `firmware` stage with --force") from None


def _copy(source: Path, target: Path) -> None:
    """Copies C sources, headers, linker scripts and CMake files, with their folders."""
    for path in sorted(source.rglob("*")):
        if path.suffix in _SOURCES:
            destination = target / path.relative_to(source)
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, destination)


def _write_build_header(project: Path, name: str | None, crc: int) -> bool:
    """Writes `model/build.h`; true if that changed it. `name` None keeps the name that is there."""
    path = project / "model" / "build.h"
    if name is None:
        quoted = path.read_text(encoding="ascii").split('BUILD_MODEL_NAME "')[1].split('"')[0]
    else:
        quoted = quote(name)  # as INFO tells it
    text = (
        "/* What the device says of itself; generated. */\n#ifndef BUILD_H\n#define BUILD_H\n\n"
        f'#define BUILD_MODEL_NAME "{quoted}"\n'
        f'#define BUILD_ID "{_build_id(project)}"\n'
        f"/* CRC-32 of the image's weights section, checked when the device starts. */\n"
        f"#define BUILD_WEIGHTS_CRC32 0x{crc:08x}u\n\n#endif\n"
    )
    if path.exists() and path.read_text(encoding="ascii") == text:
        return False
    path.write_text(text, encoding="ascii")
    return True


def _build_id(project: Path) -> str:
    """A digest of the project's sources."""
    digest = hashlib.sha256()
    for path in sorted(project.rglob("*")):
        if path.suffix in _SOURCES and path.name != "build.h" and path.relative_to(project).parts[0] in _FOLDERS:
            digest.update(f"{path.relative_to(project).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _on(value: bool) -> str:
    return "ON" if value else "OFF"


def _run(command: list[str | Path], what: str, project: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in _COMPILER_VARIABLES}
    result = subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        lines = (result.stdout + result.stderr).splitlines()
        too_large = _overflows(lines, project)
        if too_large:
            raise ThimbleError(f"the firmware does not fit: {too_large}", "choose a smaller model or a larger board")
        errors = [line for line in lines if "error:" in line.lower() or "undefined ref" in line]
        raise ThimbleError(
            f"the firmware does not {what}: {(errors or lines or ['no output'])[0].strip()}",
            f"run: {' '.join(str(p) for p in command)}",
        )


def _overflows(lines: Sequence[str], project: Path) -> str:
    """What the linker says of memories that are too small, with the figures: needed, there, too much."""
    memory = (project / "board" / "memory.ld").read_text(encoding="ascii")
    sizes = {name: int(size, 16) for name, size in re.findall(r"(\w+) \(\w+\) .* LENGTH = 0x(\w+)", memory)}
    excess = {
        name: int(count) for name, count in re.findall(r"region `(\w+)' overflowed by (\d+) byte", "\n".join(lines))
    }
    parts = []
    for name, over in sorted(excess.items()):
        region = "flash" if name == "FLASH" else name
        parts.append(
            f"it needs {sizes[name] + over:,} bytes of {region}, the board has {sizes[name]:,} ({over:,} too few)"
        )
    return "; ".join(parts)


def sizes_as_dict(sizes: Sizes) -> dict[str, int]:
    """Plain data, sums included."""
    return {**dataclasses.asdict(sizes), "flash": sizes.flash, "ram": sizes.ram}
