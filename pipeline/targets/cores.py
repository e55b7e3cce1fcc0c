"""The cores: which form of weights suits a core's multiply instructions."""

from __future__ import annotations

from enum import StrEnum

from pipeline.errors import ThimbleError

__all__ = ["ALL_CORES", "CORES", "WeightLayout", "packing_of_core"]

CORES = (
    "cortex-m0",
    "cortex-m0plus",
    "cortex-m3",
    "cortex-m4",
    "cortex-m7",
    "cortex-m33",
    "cortex-m55",
)
"""The cores that a board may name."""
ALL_CORES = (*CORES, "riscv32", "xtensa", "generic")
"""Those that a model compiles for."""


class WeightLayout(StrEnum):
    """Layout of weights in flash, and of K and V in the cache, for the core's multiply instructions.

    INTERLEAVED_2: two rows in a halfword, for SMLAD (cores with the DSP extension: Cortex-M4, M7, M33).
    INTERLEAVED_4: four rows in a word, for cores that multiply words (Cortex-M3, RV32, Xtensa).
    ROW_MAJOR: plain int8 rows, for Helium (Cortex-M55) and as the form that holds any weights on every core.
    """

    INTERLEAVED_2 = "pairs"
    INTERLEAVED_4 = "quads"
    ROW_MAJOR = "rows"


_OF_CORE = {
    "cortex-m3": WeightLayout.INTERLEAVED_4,
    "cortex-m4": WeightLayout.INTERLEAVED_2,
    "cortex-m7": WeightLayout.INTERLEAVED_2,
    "cortex-m33": WeightLayout.INTERLEAVED_2,
    "riscv32": WeightLayout.INTERLEAVED_4,
    "xtensa": WeightLayout.INTERLEAVED_4,
}


def packing_of_core(core: str) -> WeightLayout:
    """The packing for a core as board.yaml names it (`cortex-m4`), or another one of `ALL_CORES`.

    Raises:
        ThimbleError: a core that is not known.
    """
    if core not in ALL_CORES:
        raise ThimbleError(f"the core {core!r} is not known", f"use one of: {', '.join(ALL_CORES)}")
    return _OF_CORE.get(core, WeightLayout.ROW_MAJOR)
