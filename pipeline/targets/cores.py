"""The Arm cores: which form of weights suits a core's multiply instructions."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["CORES", "Packing", "packing_of_core"]

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


class Packing(StrEnum):
    """How weights lie in flash, and K and V in the cache: what suits the core's multiply instructions.

    PAIRS: two rows in a halfword, for SMLAD (cores with the DSP extension: Cortex-M4, M7, M33).
    QUADS: four rows in a word, for MLA (Cortex-M3).
    ROWS: plain int8 rows, for Helium (Cortex-M55) and as the form that holds any weights on every core.
    """

    PAIRS = "pairs"
    QUADS = "quads"
    ROWS = "rows"


_OF_CORE = {
    "cortex-m3": Packing.QUADS,
    "cortex-m4": Packing.PAIRS,
    "cortex-m7": Packing.PAIRS,
    "cortex-m33": Packing.PAIRS,
}


def packing_of_core(core: str) -> Packing:
    """The packing for a core as board.yaml names it (`cortex-m4`)."""
    return _OF_CORE.get(core, Packing.ROWS)
