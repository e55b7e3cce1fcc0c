"""What a core cannot do better: instructions that any int8 matrix-vector product needs, by its instruction set."""

from __future__ import annotations

from pipeline.targets.cores import WeightLayout

__all__ = ["min_instructions_per_mac"]

_WORDS_PER_LOAD = 8
"""Words that one LDM may bring: of the 14 registers some hold sums, inputs and addresses."""


def min_instructions_per_mac(packing: WeightLayout, rows_at_once: int = 4) -> float:
    """Multiplications and loads alone, without unpacking, loops or requantization.

    INTERLEAVED_2: SMLAD does 2 MACs, 0.5; each int8 weight is loaded once, 4 a word and `_WORDS_PER_LOAD` words an
    instruction; widened inputs, 2 a word, are loaded once for `rows_at_once` rows.
    INTERLEAVED_4: SMLAL does 2 MACs with weights 24 bits apart; the same loads.
    ROW_MAJOR: Helium's VMLADAVA does 16 MACs, and 16 weights are one load; the inputs stay in registers: 2 in 16.
    """
    if packing is WeightLayout.ROW_MAJOR:
        return 2 / 16
    weights = 1 / (4 * _WORDS_PER_LOAD)
    inputs = 1 / (2 * _WORDS_PER_LOAD * rows_at_once)
    return 0.5 + weights + inputs
