"""Installs what the tests of the forms need from Debian, as root or with passwordless sudo."""

from __future__ import annotations

import shutil
import subprocess
import sys

from pipeline.commands.command import print_error
from pipeline.errors import ThimbleError
from pipeline.tools import install_packages

PACKAGES = {
    "picolibc-arm-none-eabi": "start-up, memory and console of programs for Arm",
    "arduino-builder": "builds sketches as the Arduino IDE does",
    "arduino-ctags": "finds the functions of sketches",
    "gcc-riscv64-unknown-elf": "the compiler for RISC-V",
    "picolibc-riscv64-unknown-elf": "the C library for RISC-V",
    "qemu-user": "runs programs for RISC-V",
    "gcc-xtensa-lx106": "the compiler for Xtensa",
    "libxml2-utils": "xmllint",
    "cargo": "builds crates of Rust",
    "librust-cc-dev": "the crate cc, which compiles C",
    "g++": "the host's compiler of C++",
}


def is_installed(package: str) -> bool:
    """Whether dpkg knows the package as installed."""
    query = ["dpkg-query", "-W", "-f", "${Status}", package]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout.endswith(" installed")


def main() -> int:
    """Installs what is missing, each by itself where not all are to be had; tests say what they miss then."""
    if shutil.which("dpkg-query") is None:
        print("no Debian: install what docs/exports.md lists; what is missing is skipped")
        return 0
    missing = [package for package in PACKAGES if not is_installed(package)]
    for package in missing:
        try:
            install_packages([package], f"{package} ({PACKAGES[package]})", f"sudo apt-get install {package}")
        except ThimbleError as error:
            print_error(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
