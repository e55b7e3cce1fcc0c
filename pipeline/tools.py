"""The programs that are not Python: the Arm compiler, CMake and Ninja, the emulator.

`thimble tools` lists them; with `--install` it installs what is missing through apt where root or passwordless sudo
allows it.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.errors import MissingTool, ThimbleError

__all__ = [
    "TOOLS",
    "Tool",
    "compiler_environment",
    "configure_tensorflow",
    "find",
    "install_missing",
    "install_packages",
    "missing",
    "require",
    "version",
]


@dataclass(frozen=True)
class Tool:
    """A program, its purpose, and the packages that provide it."""

    program: str
    purpose: str
    debian: tuple[str, ...]
    fedora: tuple[str, ...]
    macos: tuple[str, ...]
    windows: tuple[str, ...]
    package: str | None = None  # the Python package that brings it, for CMake and Ninja
    alternatives: tuple[str, ...] = ()  # programs that do as well
    is_optional: bool = False  # not needed for the main job: only what uses it asks for it


TOOLS = {
    tool.program: tool
    for tool in (
        Tool(
            "arm-none-eabi-gcc",
            "the Arm compiler",
            ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi"),
            ("arm-none-eabi-gcc-cs", "arm-none-eabi-newlib"),
            ("--cask gcc-arm-embedded",),
            ("Arm.GnuArmEmbeddedToolchain",),
        ),
        Tool(
            "qemu-system-arm",
            "the emulator QEMU",
            ("qemu-system-arm",),
            ("qemu-system-arm",),
            ("qemu",),
            ("SoftwareFreedomConservancy.QEMU",),
        ),
        Tool("cmake", "CMake", ("cmake",), ("cmake",), ("cmake",), ("Kitware.CMake",), "cmake"),
        Tool("ninja", "Ninja", ("ninja-build",), ("ninja-build",), ("ninja",), ("Ninja-build.Ninja",), "ninja"),
        Tool(
            "gcc",
            "the host's C compiler",
            ("gcc", "libc6-dev"),
            ("gcc",),
            ("gcc",),
            ("BrechtSanders.WinLibs.POSIX.UCRT",),
            alternatives=("cc", "clang"),
        ),
        Tool(
            "clang",
            "the compiler of the playground",
            ("clang", "lld"),
            ("clang", "lld"),
            ("llvm", "lld"),
            ("LLVM.LLVM",),
            is_optional=True,
        ),
        Tool(
            "wasm-ld",
            "the linker of the playground",
            ("lld",),
            ("lld",),
            ("lld",),
            ("LLVM.LLVM",),
            is_optional=True,
        ),
        Tool(
            "riscv64-unknown-elf-gcc",
            "the RISC-V compiler of the benchmark",
            ("gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf"),
            (),
            (),
            (),
            is_optional=True,
        ),
        Tool(
            "qemu-system-riscv32",
            "the emulator QEMU for RISC-V",
            ("qemu-system-misc",),
            ("qemu-system-riscv",),
            ("qemu",),
            ("SoftwareFreedomConservancy.QEMU",),
            is_optional=True,
        ),
    )
}


_OF_COMPILERS = re.compile(
    r"(AR|AS|ASM|C|CC|CPP|CXX|LD|NM|OBJC|OBJCOPY|RANLIB|RC|STRIP)(FLAGS)?"
    r"|(C|CPLUS|OBJC|OBJCPLUS)_INCLUDE_PATH|CPATH|COMPILER_PATH|LIBRARY_PATH|LD_RUN_PATH|LDEMULATION"
    r"|GNUTARGET|GCC_.*|COLLECT_.*|CCC_.*|DEPENDENCIES_OUTPUT|SUNPRO_DEPENDENCIES|SOURCE_DATE_EPOCH|SYSROOT|SDKROOT"
    r"|CMAKE_.*|CTEST_.*|NINJA.*|MAKE|MAKEFLAGS|MAKELEVEL|MFLAGS|DESTDIR|VERBOSE|LANGUAGE|LC_.*|LANG"
)
"""Variables of the environment from which compilers, CMake and Ninja take options, folders and languages."""


def compiler_environment() -> dict[str, str]:
    """The environment for a compiler or a build: the user's, without what would change what is built or in which
    language errors are."""
    kept = {name: value for name, value in os.environ.items() if not _OF_COMPILERS.fullmatch(name)}
    return {**kept, "LC_ALL": "C.UTF-8"}


def configure_tensorflow() -> None:
    """Sets what TensorFlow reads from the environment when it is imported, where the user has not: Keras 2, no native
    log, and no oneDNN, whose sums differ from machine to machine. Imports nothing."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def find(program: str) -> Path | None:
    """Path of a program of TOOLS: on the PATH, or from its Python package; None if missing."""
    tool = TOOLS[program]
    path = next(filter(None, map(shutil.which, (program, *tool.alternatives))), None)
    if path:
        return Path(path)
    package = tool.package
    if package:
        beside = shutil.which(program, path=str(Path(sys.executable).parent))
        if beside:
            return Path(beside)
        try:
            folder = Path(importlib.import_module(package).__file__ or "").parent
        except ImportError:
            return None
        for bin_folder in (folder / "data" / "bin", folder / "bin"):
            inside = shutil.which(program, path=str(bin_folder))
            if inside:
                return Path(inside)
    return None


def require(program: str) -> Path:
    """Path of the program.

    Raises:
        ThimbleError: it is missing; says how to install it on Debian, Fedora, macOS and Windows.
    """
    path = find(program)
    if path is None:
        raise MissingTool(f"{program} ({TOOLS[program].purpose}) is not installed", _commands([TOOLS[program]]))
    return path


@cache
def version(program: str) -> str:
    """The program's version, such as `12.2.1`; `?` if it prints none."""
    text = subprocess.run([require(program), "--version"], capture_output=True, text=True, check=False).stdout
    numbers = re.findall(r"\d+\.\d+(?:\.\d+)*", text.partition("\n")[0])
    return numbers[-1] if program.endswith("gcc") and numbers else numbers[0] if numbers else "?"


def missing() -> list[Tool]:
    """Missing tools of the main job. QEMU is optional where Renode is set by RENODE or on the PATH."""
    renode = bool(os.environ.get("RENODE") or shutil.which("renode"))
    return [
        tool
        for tool in TOOLS.values()
        if not tool.is_optional and find(tool.program) is None and not (renode and tool.program == "qemu-system-arm")
    ]


def install_missing() -> list[str]:
    """Installs what is missing through apt, as root or with passwordless sudo; the names of what it installed.

    Raises:
        ThimbleError: it cannot; gives the commands for Debian, Fedora, macOS and Windows.
    """
    tools = missing()
    if not tools:
        return []
    names = ", ".join(tool.program for tool in tools)
    install_packages([package for tool in tools for package in tool.debian], names, _commands(tools))
    left = [tool for tool in tools if find(tool.program) is None]
    if left:
        raise ThimbleError(f"{', '.join(tool.program for tool in left)} still missing after apt-get", _commands(left))
    return [tool.program for tool in tools]


def install_packages(packages: Sequence[str], names: str, remedy: str) -> None:
    """Installs Debian's packages, as root or with passwordless sudo.

    Args:
        packages: that are missing.
        names: of what they bring, for errors.
        remedy: what to do where they cannot be installed.

    Raises:
        ThimbleError: they cannot.
    """
    apt = shutil.which("apt-get")
    prefix = _root_prefix()
    if apt is None or prefix is None:
        reason = "there is no apt-get here" if apt is None else "neither root nor passwordless sudo is at hand"
        raise ThimbleError(f"{names} missing, and {reason}", remedy)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        result = subprocess.run(
            [*prefix, apt, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        if result.returncode and arguments[0] == "install":
            lines = (result.stderr or result.stdout).strip().splitlines()
            if any("/lock" in line for line in lines):
                raise ThimbleError(
                    f"apt-get could not install {names}: another program holds its lock",
                    "wait until it is done, and run this again",
                )
            raise ThimbleError(f"apt-get could not install {names}: {'; '.join(lines[-2:])}", remedy)


def _root_prefix() -> list[str] | None:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def _commands(tools: Sequence[Tool]) -> str:
    debian = " ".join(package for tool in tools for package in tool.debian)
    fedora = " ".join(package for tool in tools for package in tool.fedora)
    macos = "; ".join(f"brew install {package}" for tool in tools for package in tool.macos)
    windows = "; ".join(f"winget install {package}" for tool in tools for package in tool.windows)
    ways = (
        f"Debian, Ubuntu: sudo apt-get install {debian}",
        f"Fedora: sudo dnf install {fedora}" if fedora else "",
        f"macOS: {macos}" if macos else "",
        f"Windows: {windows}" if windows else "",
    )
    return "\n       ".join(filter(None, ways))
