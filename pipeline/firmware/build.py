"""A project built with CMake and the Arm compiler."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import tools
from pipeline.errors import MissingTool, ThimbleError
from pipeline.firmware.image import Sizes, read_record, read_sizes

__all__ = ["Firmware", "build_project"]

_MAX_LINES = 6
"""Of CMake's own error that are shown."""


@dataclass(frozen=True)
class Firmware:
    """A built image; `weights_crc` is the CRC-32 of its weights section and `build_id` the digest of all that it loads,
    as the device reports them."""

    elf: Path
    sizes: Sizes
    weights_crc: int
    build_id: str


def build_project(
    project: Path,
    build: Path,
    profile: bool = False,
    test_commands: bool = False,
    sampling: bool = True,
    names_bytes: int | None = None,
) -> Firmware:
    """Builds the project in the folder `build`.

    Args:
        project: what `write_project` wrote.
        build: the folder.
        profile: whether layers are counted.
        test_commands: whether there are the requests that provoke faults.
        sampling: whether tokens can be drawn.
        names_bytes: RAM for names that are added, of a model with answer tokens; None: the project's own.

    Raises:
        ThimbleError: a tool is missing, or the compiler or linker complains (its first error is in the text).
    """
    tools.require("arm-none-eabi-gcc")
    cmake, ninja = tools.require("cmake"), tools.require("ninja")
    options = [f"-DTHIMBLE_PROFILE={_on(profile)}", f"-DTHIMBLE_TEST_COMMANDS={_on(test_commands)}"]
    options += [f"-DTHIMBLE_SAMPLING={_on(sampling)}", f"-DPython3_EXECUTABLE={Path(sys.executable).as_posix()}"]
    if names_bytes is not None:
        options.append(f"-DTHIMBLE_NAMES_BYTES={names_bytes}")
    elf = build / "firmware.elf"
    with _plain_paths(project, build) as (source, target):
        configure: list[str | Path] = [
            cmake,
            "-G",
            "Ninja",
            f"-DCMAKE_MAKE_PROGRAM={ninja}",
            "-S",
            source,
            "-B",
            target,
        ]
        _run([*configure, "-Wno-dev", *options], "configure", project, target)
        _run([cmake, "--build", target], "build", project, target)
    record = read_record(elf)
    return Firmware(elf, read_sizes(elf), record.weights_crc, record.build_id)


def _on(value: bool) -> str:
    return "ON" if value else "OFF"


def _run(command: list[str | Path], what: str, project: Path, folder: Path) -> None:
    environment = {
        **tools.compiler_environment(),
        "PWD": str(folder),
    }  # as the compiler names it, also where it is a link
    result = subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if result.returncode:
        lines = (result.stdout + result.stderr).splitlines()
        too_large = _overflows(lines, project)
        if too_large:
            raise ThimbleError(f"the firmware does not fit: {too_large}", "choose a smaller model or a larger board")
        by_hand = f"run: {shlex.join(str(part) for part in command)}"
        if missing := _missing_library(result.stdout + result.stderr):
            raise MissingTool(
                f"the firmware does not {what}: the Arm compiler has no C library ({missing})",
                "install it: `apt install libnewlib-arm-none-eabi` (Debian, Ubuntu), "
                "`dnf install arm-none-eabi-newlib` (Fedora)",
            )
        if strange := sorted(set(str(project)) & set(_STRANGE)):
            by_hand = (
                f"the folder {project} has {' '.join(strange)} in its name: use --build with another; or {by_hand}"
            )
        raise ThimbleError(f"the firmware does not {what}: {_error_of(lines)}", by_hand)


_STRANGE = "[]*?$;\"'\\#<>|&()"
"""Letters of a folder's name that CMake, Ninja or the compiler may take for something else."""


def _missing_library(text: str) -> str:
    """What of the C library is not there; empty where nothing is missing."""
    library, specs = r"cannot find -l(?:c|g|m)(?:_nano)?\b", r"cannot read spec file 'nano\.specs'"
    header = r"\b(?:string|stdlib|math)\.h: No such file"
    match = re.search(rf"(?:{library}|{specs}|{header})[^\n]*", text)
    return match[0].strip() if match else ""


@contextlib.contextmanager
def _plain_paths(project: Path, build: Path) -> Iterator[tuple[Path, Path]]:
    """Names of the folders without letters that CMake, Ninja or the compiler take for something else: links to them,
    where their own have such."""
    if not set(f"{project.resolve()}{build.resolve()}") & set(_STRANGE):
        yield project, build
        return
    with tempfile.TemporaryDirectory(prefix="thimble-") as folder:
        links = Path(folder, "project"), Path(folder, "build")
        build.mkdir(parents=True, exist_ok=True)
        try:
            for link, place in zip(links, (project, build), strict=True):
                link.symlink_to(place.resolve(), target_is_directory=True)
        except OSError:  # Windows, without the right to make links
            links = project, build
        yield links


def _error_of(lines: Sequence[str]) -> str:
    """The first error in a build's output: CMake's own with what it says below, or the compiler's line."""
    for number, line in enumerate(lines):
        if line.startswith("CMake Error"):
            below = [part.strip() for part in lines[number + 1 : number + 20]]
            said = [part for part in below if part and not part.startswith(("--", "Call Stack"))]
            return " ".join([line.strip(), *said[:_MAX_LINES]])
        if "error:" in line.lower() or "undefined ref" in line or "ninja: error" in line:
            return line.strip()
    said = [line for line in lines if line.strip() and not line.startswith("--")]
    return (said or [*lines, "no output"])[-1 if said else 0].strip()


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
