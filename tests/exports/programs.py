"""Programs around an export, how they are built and run, and what they must print."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.exports.library import ExportedModel
from pipeline.verification.oracle import Oracle

__all__ = [
    "TOKENS",
    "cmake",
    "crcs",
    "logits_program",
    "picolibc",
    "picolibc_flags",
    "qemu",
    "require",
    "run",
    "rv32",
    "ticks_program",
]

TOKENS = (1, 20, 33, 7, 250, 2)
"""Ids of any model here."""


def crcs(model: ExportedModel, tokens: Sequence[int]) -> list[str]:
    """CRC-32 of the logits that TensorFlow Lite Micro gives at each step, eight hexadecimal digits."""
    oracle = Oracle(model.tflite)
    return [f"{zlib.crc32(oracle.step(token).tobytes()):08x}" for token in tokens]


def logits_program(model: ExportedModel, tokens: Sequence[int]) -> str:
    """A program, C and C++, that prints the same of an exported model."""
    macro = f"THIMBLE_{model.identifier.upper()}"
    return f"""\
#include "{model.identifier}.h"
#include <stdio.h>

static int32_t memory[({macro}_MEMORY_BYTES + 3) / 4];
static const int32_t tokens[] = {{{", ".join(map(str, tokens))}}};

static unsigned crc32(const unsigned char *bytes, int count)
{{
    unsigned crc = 0xffffffffu;
    for (int i = 0; i < 8 * count; i++) {{
        crc ^= i % 8 ? 0u : bytes[i / 8];
        crc = crc >> 1 ^ (crc & 1u ? 0xedb88320u : 0u);
    }}
    return ~crc;
}}

int main(void)
{{
    thimble_context context;
    if (thimble_init(&context, &thimble_the_{model.identifier}, memory, sizeof memory) != THIMBLE_OK) {{
        return 1;
    }}
    for (unsigned i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {{
        const void *logits;
        if (thimble_step(&context, tokens[i], &logits) != THIMBLE_OK) {{
            return 2;
        }}
        printf("%08x\\n", crc32((const unsigned char *)logits, {macro}_VOCAB * {macro}_LOGIT_BYTES));
    }}
    return 0;
}}
"""


TOOLS = "THIMBLE_EXPORT_TOOLS"
"""Names the folder of programs that `nox -s exports` has installed with pip."""


def ticks_program(model: ExportedModel, tokens: Sequence[int]) -> str:
    """A program for Cortex-M that prints, instead of CRCs, how many ticks of its SysTick each step takes."""
    text = logits_program(model, tokens)
    text = text.replace("int main(void)\n{", "int main(void)\n{\n    SYSTICK[1] = 0xffffff;\n    SYSTICK[0] = 5;")
    text = text.replace(
        "        const void *logits;", "        const void *logits;\n        const uint32_t started = SYSTICK[2];"
    )
    a, b = text.index('        printf("%08x'), text.index("    }\n    return 0;")
    counted = '        printf("%lu\\n", (unsigned long)((started - SYSTICK[2]) & 0xffffff));\n'
    head = "#include <stdio.h>\n\n#define SYSTICK ((volatile uint32_t *)0xe000e010)\n"
    return (
        (text[:a] + counted + text[b:])
        .replace("#include <stdio.h>\n", head)
        .replace("static unsigned", "static inline unsigned")
    )


def require(*programs: str) -> list[Path]:
    """Paths of programs, on the PATH or among those of `nox -s exports`; skips the test where one is missing."""
    places = os.pathsep.join(filter(None, (os.environ.get("PATH"), os.environ.get(TOOLS))))
    paths = [shutil.which(program, path=places) for program in programs]
    for program, path in zip(programs, paths, strict=True):
        if path is None:
            pytest.skip(f"{program} is not installed; docs/exports.md says what brings it")
    return [Path(str(path)) for path in paths]


def python_with(module: str) -> Path:
    """A Python that has a module; skips the test where there is none."""
    for folder in (os.environ.get(TOOLS), Path(sys.executable).parent):
        python = Path(str(folder)) / "python"
        if (
            folder
            and not subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode
        ):
            return python
    pytest.skip(f"the Python package {module} is not installed; docs/exports.md says what brings it")


def run(
    command: Sequence[str | Path],
    environment: Mapping[str, str] | None = None,
    timeout: int = 300,
    cwd: Path | None = None,
) -> str:
    """What a program prints, which must end well; `environment` is added to the user's."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**tools.compiler_environment(), **(environment or {})},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def cmake(source: Path, build: Path, *options: str, target: str | None = None) -> Path:
    """Configures and builds; the folder of what was built."""
    program, ninja = tools.require("cmake"), tools.require("ninja")
    configure: list[str | Path] = [
        program,
        "-G",
        "Ninja",
        f"-DCMAKE_MAKE_PROGRAM={ninja}",
        "-S",
        source,
        "-B",
        build,
        *options,
    ]
    run(configure)
    run([program, "--build", build, *(("--target", target) if target else ())])
    return build


_ARM = {
    "cortex-m3": ("-mcpu=cortex-m3 -mthumb", "mps2-an385"),
    "cortex-m4": ("-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16", "mps2-an386"),
    "cortex-m7": ("-mcpu=cortex-m7 -mthumb -mfloat-abi=softfp -mfpu=fpv5-sp-d16", "mps2-an500"),
}
_MEMORY = {"flash": 0, "flash_size": 4 << 20, "ram": 0x20000000, "ram_size": 4 << 20, "stack_size": 8 << 10}
_PICOLIBC = "--specs=picolibc.specs"
_LINK = "--crt0=semihost --oslib=semihost -Wl," + ",".join(
    f"--defsym=__{name}={value:#x}" for name, value in _MEMORY.items()
)


def picolibc_flags(core: str) -> list[str]:
    """Options of GCC for picolibc, whose start-up and console serve QEMU's boards; skips where it is missing."""
    require("arm-none-eabi-gcc", "qemu-system-arm")
    probe = ["arm-none-eabi-gcc", _PICOLIBC, "-E", "-xc", "/dev/null"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("picolibc-arm-none-eabi is not installed")
    return [*_ARM[core][0].split(), _PICOLIBC, *_LINK.split()]


def picolibc(core: str, file: Path) -> Path:
    """The same as a user's toolchain file for CMake."""
    picolibc_flags(core)
    file.write_text(
        "set(CMAKE_SYSTEM_NAME Generic)\nset(CMAKE_SYSTEM_PROCESSOR arm)\nset(CMAKE_C_COMPILER arm-none-eabi-gcc)\n"
        f'set(CMAKE_C_FLAGS_INIT "{_ARM[core][0]} {_PICOLIBC}")\nset(CMAKE_EXE_LINKER_FLAGS_INIT "{_LINK}")\n'
    )
    return file


def qemu(core: str, image: Path) -> str:
    """What an image prints that ends by semihosting; an instruction takes a nanosecond."""
    semihosting = "enable=on,target=native,chardev=out,arg="
    command = ["qemu-system-arm", "-M", _ARM[core][1], "-display", "none", "-monitor", "none"]
    command += ["-icount", "shift=0,sleep=off", "-chardev", "stdio,id=out"]
    return run([*command, "-semihosting-config", semihosting, "-kernel", image], timeout=120)


def rv32(file: Path) -> Path:
    """A toolchain file for programs of qemu-riscv32 with rv32_start.c; skips where a tool is missing."""
    require("riscv64-unknown-elf-gcc", "qemu-riscv32")
    library = Path("/usr/lib/picolibc/riscv64-unknown-elf")
    if not library.is_dir():
        pytest.skip("picolibc-riscv64-unknown-elf is not installed")
    flags = f"-march=rv32imac -mabi=ilp32 -mno-relax -isystem {library}/include"
    link = f"-nostdlib -static -Wl,--no-warn-rwx-segments -L{library}/lib/rv32imac/ilp32"
    file.write_text(
        "set(CMAKE_SYSTEM_NAME Generic)\nset(CMAKE_SYSTEM_PROCESSOR riscv32)\n"
        "set(CMAKE_C_COMPILER riscv64-unknown-elf-gcc)\nset(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)\n"
        f'set(CMAKE_C_FLAGS_INIT "{flags}")\nset(CMAKE_EXE_LINKER_FLAGS_INIT "{link}")\n'
        'set(CMAKE_C_STANDARD_LIBRARIES "-lc -lgcc")\n'
    )
    return file
