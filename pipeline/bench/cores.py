"""The emulated cores."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.targets.cores import WeightLayout, packing_of_core
from pipeline.tools import find

__all__ = ["CORES", "Core"]


@dataclass(frozen=True)
class Core:
    """A core in one of QEMU's machines: compiler flags, and where vectors, code and RAM lie.

    Attributes:
        key: that the command line takes.
        name: in tables.
        mcpu: as the compiler of models knows it.
        machine: of QEMU.
        flags: for GCC, beside those that choose the core.
        vectors: address of the vectors; of RISC-V where execution begins.
        code: address of code and constants.
        ram: address of data.
    """

    key: str
    name: str
    mcpu: str
    machine: str
    flags: tuple[str, ...]
    vectors: int
    code: int
    ram: int

    @property
    def packing(self) -> WeightLayout:
        """How the compiler packs weights for it."""
        return packing_of_core(self.mcpu)

    @property
    def is_arm(self) -> bool:
        """Whether it is a Cortex-M; otherwise it is RISC-V."""
        return self.mcpu.startswith("cortex-")

    @property
    def compiler(self) -> str:
        """GCC for it."""
        return "arm-none-eabi-gcc" if self.is_arm else "riscv64-unknown-elf-gcc"

    @property
    def emulator(self) -> str:
        """QEMU for it."""
        return "qemu-system-arm" if self.is_arm else "qemu-system-riscv32"

    @property
    def is_here(self) -> bool:
        """Whether its tools are installed, or asked for where they are missing, as Arm's are."""
        return self.is_arm or None not in (find(self.compiler), find(self.emulator))

    @property
    def compile_flags(self) -> tuple[str, ...]:
        """What chooses the core for the compiler."""
        if self.is_arm:
            return (f"-mcpu={self.mcpu}", "-mthumb", *self.flags)
        return ("-march=rv32imac", "-mabi=ilp32", "-isystem", f"{_PICOLIBC}/include", *self.flags)

    @property
    def link_flags(self) -> tuple[str, ...]:
        """The C library without its start-up code."""
        if self.is_arm:
            return ("-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs")
        return ("-nostdlib", "-static", "-Wl,--no-warn-rwx-segments", f"-L{_PICOLIBC}/lib/rv32imac/ilp32")

    @property
    def libraries(self) -> tuple[str, ...]:
        """What is linked last."""
        return () if self.is_arm else ("c", "gcc")


_PICOLIBC = "/usr/lib/picolibc/riscv64-unknown-elf"
_HARD = "-mfloat-abi=hard"
CORES = {
    core.key: core
    for core in (
        Core("m3", "Cortex-M3", "cortex-m3", "mps2-an385", (), 0x0, 0x200, 0x20000000),
        Core("m4f", "Cortex-M4F", "cortex-m4", "mps2-an386", (_HARD, "-mfpu=fpv4-sp-d16"), 0x0, 0x200, 0x20000000),
        Core("m7", "Cortex-M7", "cortex-m7", "mps2-an500", (_HARD, "-mfpu=fpv5-sp-d16"), 0x0, 0x200, 0x20000000),
        # Secure aliases: both machines start in the secure state.
        Core(
            "m33",
            "Cortex-M33",
            "cortex-m33",
            "mps2-an505",
            (_HARD, "-mfpu=fpv5-sp-d16"),
            0x10000000,
            0x10000200,
            0x38000000,
        ),
        Core("m55", "Cortex-M55", "cortex-m55", "mps3-an547", (_HARD,), 0x10000000, 0x11000000, 0x31000000),
        # RV32IMAC, as an ESP32-C6 has it; an ESP32-C3 has no atomic instructions, of which none is used.
        Core("rv32", "RV32IMAC", "riscv32", "virt", (), 0x80000000, 0x80000200, 0x81000000),
    )
}
"""By the key that the command line takes. On the AN547 code and weights lie in the 2 MB of SRAM."""
