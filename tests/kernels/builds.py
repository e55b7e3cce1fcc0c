"""The library built in many ways: the targets and options of `nox -s matrix`, and what a build of them computes.

A build compiles the whole library (`firmware_templates/runtime`) as others might, links it with the programs of
`on_board`, and runs these. Each kernel is compared with its plain C body, which the same target's GCC compiles with
-O2; and the digest of all that was written must be the same everywhere.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.bench.machine import DEVICE
from pipeline.verification.host_engine import RUNTIME

__all__ = [
    "BUILDS",
    "LINK_SCRIPT",
    "PROGRAMS",
    "TARGETS",
    "Build",
    "BuildFailed",
    "Target",
    "link_command",
    "missing_tools",
    "outcome",
    "plain_names",
    "reference",
    "with_constants",
]

ON_BOARD = Path(__file__).parent / "on_board"
PROGRAMS = (
    *("fully_connected", "fully_connected_rows", "blocks", "nibbles", "picked"),
    *("attention", "embedding", "int16", "elementwise"),
)
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
LINK_SCRIPT = """\
SECTIONS
{{
    . = {code:#x};
    .text : {{ KEEP(*(.vectors)) *(.text*) *(.rodata*) }}
    .got : {{ global_offsets = .; *(.got.plt) *(.got) }}
    .ARM.exidx : {{ *(.ARM.exidx*) }}
    . = {ram:#x};
    .data : {{ *(.data*) }}
    .bss : {{ *(.bss*) *(COMMON) }}
}}
"""
_STACK_OFFSET = 1 << 18
_HARD = "-mfloat-abi=hard"


class BuildFailed(Exception):
    """The first line of what a compiler, a linker or a program said."""


@dataclass(frozen=True)
class Target:
    """What a program runs on: the compilers' options for it, and an emulated machine with where code and RAM lie.

    Without a machine a program runs as one of Linux: here, or under `emulator`.
    """

    gcc: str
    flags: tuple[str, ...]
    clang_flags: tuple[str, ...]
    machine: str = ""
    code: int = 0
    ram: int = 0x20000000
    emulator: str = ""
    link_flags: tuple[str, ...] = ("-lm",)

    @property
    def is_arm(self) -> bool:
        """Whether it is a Cortex-M core."""
        return bool(self.machine)

    @property
    def is_bare(self) -> bool:
        """Whether there is no operating system with libraries of its own."""
        return self.is_arm or bool(self.emulator)

    @property
    def lld_flags(self) -> tuple[str, ...]:
        """What LLVM's linker must be told: where a program starts, and how the code that it makes passes floats."""
        start = ("--entry=reset",) if self.is_arm else ()
        return (*start, "-mllvm", "-float-abi=hard") if _HARD in self.flags else start


def _cortex(cpu: str, machine: str, *float_flags: str, code: int = 0, ram: int = 0x20000000) -> Target:
    flags = (f"-mcpu=cortex-{cpu}", "-mthumb", *float_flags)
    clang = ("--target=arm-none-eabi", "-fshort-enums", *flags, "-isystem", "/usr/lib/arm-none-eabi/include")
    return Target("arm-none-eabi-gcc", flags, clang, machine, code, ram)


_RV32 = ("-march=rv32imac", "-mabi=ilp32")
_PICOLIBC = "/usr/lib/picolibc/riscv64-unknown-elf"
TARGETS = {
    # QEMU has a Cortex-M0 with 16 KB of RAM only; a Cortex-M3 runs its instructions too.
    "m0+": _cortex("m0plus", "mps2-an385"),
    "m3": _cortex("m3", "mps2-an385"),
    "m4f": _cortex("m4", "mps2-an386", _HARD, "-mfpu=fpv4-sp-d16"),
    "m7": _cortex("m7", "mps2-an500", _HARD, "-mfpu=fpv5-sp-d16"),
    "m33": _cortex("m33", "mps2-an505", _HARD, "-mfpu=fpv5-sp-d16", code=0x10000000, ram=0x38000000),
    "m55": _cortex("m55", "mps3-an547", _HARD, code=0x10000000, ram=0x30000000),
    "rv32": Target(
        "riscv64-unknown-elf-gcc",
        (*_RV32, "-mno-relax", "-isystem", f"{_PICOLIBC}/include"),
        ("--target=riscv32-unknown-elf", *_RV32, "-mno-relax", "-isystem", f"{_PICOLIBC}/include"),
        emulator="qemu-riscv32",
        # Of picolibc only functions: its start and its layout of memory are for boards.
        link_flags=(
            "-nostdlib",
            "-static",
            "-Wl,--no-warn-rwx-segments",
            f"-L{_PICOLIBC}/lib/rv32imac/ilp32",
            "-lm",
            "-lc",
            "-lgcc",
        ),
    ),
    "x86-64": Target("gcc", (), ()),
}


@dataclass(frozen=True)
class Build:
    """Options for the library: beside the warnings and, where they say none, -O2 and C99."""

    flags: tuple[str, ...] = ()
    clang: bool = False
    arm_only: bool = False

    @property
    def keeps_r9(self) -> bool:
        """Whether r9 is not the compiler's to use."""
        return "-ffixed-r9" in self.flags or "-msingle-pic-base" in self.flags

    @property
    def with_lto(self) -> bool:
        """Whether the linker does the last of the compiler's work."""
        return "-flto" in self.flags


_SAME_FOR_BOTH = {
    "-O0": Build(("-O0",)),
    "-Og": Build(("-Og",)),
    "-O1": Build(("-O1",)),
    "-Os": Build(("-Os",)),
    "-O2": Build(("-O2",)),
    "-O3": Build(("-O3",)),
    "-fno-omit-frame-pointer": Build(("-fno-omit-frame-pointer",)),
    "-ffixed-r9 -DTHIMBLE_PLAIN_C": Build(("-ffixed-r9", "-DTHIMBLE_PLAIN_C"), arm_only=True),
    "-fstack-protector-all": Build(("-fstack-protector-all",)),
    "-funroll-loops": Build(("-funroll-loops",)),
    "-finstrument-functions": Build(("-finstrument-functions",)),
    "-std=c11": Build(("-std=c11",)),
    "-std=c17": Build(("-std=c17",)),
}
BUILDS = {
    **{f"gcc {name}": build for name, build in _SAME_FOR_BOTH.items()},
    "gcc -Os -fno-omit-frame-pointer": Build(("-Os", "-fno-omit-frame-pointer")),
    "gcc -fPIC -msingle-pic-base": Build(
        ("-fPIC", "-msingle-pic-base", "-mno-pic-data-is-text-relative"), arm_only=True
    ),
    "gcc -flto": Build(("-flto",)),
    "gcc -O3 -flto": Build(("-O3", "-flto")),
    "gcc -Og -ffixed-r9 -DTHIMBLE_PLAIN_C": Build(("-Og", "-ffixed-r9", "-DTHIMBLE_PLAIN_C"), arm_only=True),
    **{f"clang {name}": Build(build.flags, True, build.arm_only) for name, build in _SAME_FOR_BOTH.items()},
    "clang -fPIC": Build(("-fPIC",), clang=True, arm_only=True),
    "clang -flto": Build(("-flto",), clang=True),
    "clang -O3 -flto": Build(("-O3", "-flto"), clang=True),
}
"""By name; one of GCC and one of clang for each way of compiling."""


def missing_tools(target: Target, build: Build) -> list[str]:
    """Programs of the system that a build would need and that are not there."""
    wanted = [target.gcc, *(["clang"] if build.clang else []), *([target.emulator] if target.emulator else [])]
    wanted += ["ld.lld"] if build.clang and build.with_lto else []
    return [name for name in (*wanted, *(["qemu-system-arm"] if target.is_arm else [])) if not shutil.which(name)]


def plain_names() -> list[str]:
    """Options that give every function of the kernels' headers the name of its plain body."""
    headers = (
        header.read_text(encoding="utf-8") for header in sorted((RUNTIME / "kernels").glob("thimble_kernels*.h"))
    )
    names = [name for text in headers for name in re.findall(r"^void (thimble_\w+)\(", text, re.MULTILINE)]
    return [f"-D{name}=plain_{name}" for name in names]


def outcome(name: str, build: Build, folder: Path) -> dict[str, tuple[int, str]]:
    """Builds the library for a target and runs all programs.

    Args:
        name: the target's, of TARGETS.
        build: what to compile with.
        folder: for what is made; builds of the same target share objects there.

    Returns:
        Of each program how many comparisons there were, and the digest of what the kernels wrote.

    Raises:
        BuildFailed: something warns, does not link, or computes something else.
    """
    target = TARGETS[name]
    library = _library(target, build, folder / f"{name}-{'clang' if build.clang else 'gcc'}{''.join(build.flags)}")
    plain = _plain(name, folder)
    return {program: _run(name, build, program, [*library, *plain], folder) for program in PROGRAMS}


@cache
def reference(folder: Path) -> dict[str, tuple[int, str]]:
    """The outcome that every build must have: that of plain C on this machine."""
    return outcome("x86-64", BUILDS["gcc -O2"], folder)


def _library(target: Target, build: Build, folder: Path) -> list[Path]:
    compiler, flags = ("clang", target.clang_flags) if build.clang else (target.gcc, target.flags)
    options = [*flags, "-std=c99", "-O2", *WARNINGS, "-ffunction-sections", *build.flags, *_includes()]
    sources = [*sorted((RUNTIME / "kernels").glob("*.c")), *sorted(RUNTIME.glob("*.c"))]
    return _compiled(compiler, options, sources, folder)


@cache
def _plain(name: str, folder: Path) -> list[Path]:
    target = TARGETS[name]
    options = [*target.flags, "-std=c99", "-O2", "-ffunction-sections", *_includes()]
    options += ["-DTHIMBLE_PLAIN_C", *plain_names()]
    return _compiled(target.gcc, options, sorted((RUNTIME / "kernels").glob("*.c")), folder / f"{name}-plain")


def _run(name: str, build: Build, program: str, objects: Sequence[Path], folder: Path) -> tuple[int, str]:
    target = TARGETS[name]
    # The programs are built for the target as ever: GCC, -O2, and r9 left alone where the library wants that.
    kept = ["-ffixed-r9", "-DKEEP_R9"] if build.keeps_r9 else []
    options = [*target.flags, *kept, *_program_options(target)]
    sources = [ON_BOARD / "harness.c", ON_BOARD / f"{program}.c"]
    own = _compiled(target.gcc, options, sources, folder / f"{name}-{program}{''.join(kept)}")
    image = folder / f"{name}-{program}.elf"
    _call(link_command(name, build, [*own, *objects], image))
    return _printed(target, image)


def with_constants(name: str, offset: int, shift: int, folder: Path) -> tuple[int, str]:
    """Builds `constants.c`, whose calls have constant arguments, and the kernels by clang with LTO, and runs it.

    Args:
        name: the target's, of TARGETS.
        offset: what offsets and zero points are.
        shift: what right shifts less one are.
        folder: for what is made.

    Returns:
        As `outcome`, of this program.

    Raises:
        BuildFailed: as `outcome`.
    """
    target, build = TARGETS[name], BUILDS["clang -flto"]
    options = [*target.clang_flags, *build.flags, *_program_options(target), f"-DOFFSET={offset}", f"-DSHIFT={shift}"]
    sources = [ON_BOARD / "harness.c", ON_BOARD / "constants.c", *sorted((RUNTIME / "kernels").glob("*.c"))]
    own = _compiled("clang", options, sources, folder / f"{name}-constants {offset} {shift}")
    image = folder / f"{name}-constants.elf"
    _call(link_command(name, build, [*own, *_plain(name, folder)], image))
    return _printed(target, image)


def _program_options(target: Target) -> list[str]:
    """What the programs of `on_board` are compiled with besides what is the target's."""
    options = ["-std=gnu11", "-O2", "-ffunction-sections", *_includes(), f"-I{DEVICE}"]
    return [*options, "-DINSTRUCTIONS_PER_TICK=1", f"-DSTACK_TOP={target.ram + _STACK_OFFSET}"]


def link_command(name: str, build: Build, objects: Sequence[Path], image: Path) -> list[str | Path]:
    """What links a program of `on_board` for a target; its linker script is written beside the image.

    Args:
        name: the target's, of TARGETS.
        build: how the objects were compiled.
        objects: the program's.
        image: what is made.
    """
    target = TARGETS[name]
    script = image.parent / f"{name}.ld"
    if target.is_arm:
        script.write_text(LINK_SCRIPT.format(code=target.code, ram=target.ram), encoding="utf-8")
    layout = [f"-T{script}"] if target.is_arm else []
    if build.clang and build.with_lto:
        # The objects are LLVM's own code, which only LLVM's linker takes; for a bare target it is called alone.
        if not target.is_bare:
            options = ["-fuse-ld=lld", *build.flags, "-Wl,--gc-sections"]
            return ["clang", *options, *objects, *target.link_flags, "-o", image]
        options = ["--lto-O3" if "-O3" in build.flags else "--lto-O2", *target.lld_flags, "--gc-sections", *layout]
        return ["ld.lld", *options, *objects, *_libraries(target), "-o", image]
    flags = [*target.flags, "-O2", *(["-flto"] if build.with_lto else []), "-Wl,--gc-sections"]
    if target.is_arm:
        flags += ["-nostartfiles", "--specs=nano.specs", "-Wl,--no-warn-execstack"]
    return [target.gcc, *flags, *layout, *objects, *target.link_flags, "-o", image]


def _libraries(target: Target) -> list[str]:
    """The options and files of a bare target's libraries, for a linker that GCC does not call."""
    if not target.is_arm:
        kept = [flag for flag in target.link_flags if flag.startswith(("-L", "-lm", "-lc"))]
        return [*kept, _file_of_gcc(target, "libgcc.a")]
    return [_file_of_gcc(target, name) for name in ("libm.a", "libc_nano.a", "libgcc.a")]


def _file_of_gcc(target: Target, name: str) -> str:
    command = [target.gcc, *target.flags, f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _printed(target: Target, image: Path) -> tuple[int, str]:
    command: list[str | Path] = [*([target.emulator] if target.emulator else []), image]
    if target.is_arm:
        command = ["qemu-system-arm", "-M", target.machine, "-nographic", "-monitor", "none", "-serial", "none"]
        command += ["-semihosting-config", "enable=on,target=native", "-kernel", image]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, stdin=subprocess.DEVNULL)
    lines = (done.stdout + done.stderr).splitlines()
    if lines[-1:] != ["END"] or "R9 LOST" in lines:
        raise BuildFailed(" ".join(lines[-2:]) or f"status {done.returncode}")
    cases = 0
    for match in re.finditer(r"KERNEL (\w+) cases (\d+) different (\d+)", done.stdout + done.stderr):
        if int(match[3]):
            raise BuildFailed(f"{match[1]}: {match[3]} of {match[2]} cases differ")
        cases += int(match[2])
    (digest,) = (line.removeprefix("DIGEST ") for line in lines if line.startswith("DIGEST "))
    return cases, digest


def _includes() -> list[str]:
    return [f"-I{RUNTIME}", f"-I{RUNTIME / 'kernels'}"]


def _compiled(compiler: str, options: Sequence[str], sources: Sequence[Path], folder: Path) -> list[Path]:
    objects = [folder / f"{source.stem}.o" for source in sources]
    if not all(path.exists() for path in objects):
        folder.mkdir(parents=True, exist_ok=True)
        _call([compiler, *options, "-c", *sources], folder)
    return objects


def _call(command: Sequence[str | Path], folder: Path | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode or done.stderr.strip():
        lines = [
            line for line in done.stderr.splitlines() if "error" in line or "warning" in line
        ] or done.stderr.splitlines()
        raise BuildFailed(lines[0] if lines else f"{command[0]} ended with {done.returncode}")
