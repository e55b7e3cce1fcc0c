"""The emulated cores."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.targets.cores import WeightLayout, packing_of_core

__all__ = ["CORES", "Core"]


@dataclass(frozen=True)
class Core:
    """A core in one of QEMU's machines: compiler flags, and where vectors, code and RAM lie."""

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
    def compile_flags(self) -> tuple[str, ...]:
        """What chooses the core for the Arm compiler."""
        return (f"-mcpu={self.mcpu}", "-mthumb", *self.flags)


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
    )
}
"""By the key that the command line takes. On the AN547 code and weights lie in the 2 MB of SRAM."""
