"""A project built with CMake and the Arm compiler.

The image checks its weights when it starts, by a CRC-32 that lies in its code: it is linked once without, and again
with the checksum of what was linked.
"""

from __future__ import annotations

import os
import re
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.firmware.image import Sizes, read_sizes, weights_of
from pipeline.firmware.project import build_id, set_weights_crc

__all__ = ["Firmware", "build_project"]

_COMPILER_VARIABLES = ("CFLAGS", "CXXFLAGS", "LDFLAGS", "CC", "CXX")
"""Of the environment; meant for the host's compiler."""


@dataclass(frozen=True)
class Firmware:
    """A built image; `weights_crc` is the CRC-32 of its weights section, as the device reports it."""

    elf: Path
    sizes: Sizes
    weights_crc: int
    build_id: str


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
    if set_weights_crc(project, crc):
        _run([cmake, "--build", build], "build", project)
    return Firmware(elf, read_sizes(elf), crc, build_id(project))


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
    """Describes the memories that the linker reports as too small: bytes needed, available and in excess."""
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
