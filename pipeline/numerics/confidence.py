"""How sure a model is of its answer, in the integers of the device: the product of its tokens' probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.sampler import powers

__all__ = ["CERTAIN", "joint", "probability"]

CERTAIN = 65536
"""1 in confidences."""


def probability(logits: NDArray[np.signedinteger], token: int, step: int) -> int:
    """The softmax of all logits at a token, in 1/65536.

    Args:
        logits: int8 or int16 [vocab].
        token: its id.
        step: `pipeline.numerics.sampler.logit_step` of the logits' scale.
    """
    values = logits.astype(np.int64)
    weights = powers((values.max() - values) * step + 128 >> 8)
    total = int(weights.sum())
    return ((int(weights[token]) << 16) + total // 2) // total


def joint(confidence: int, probability: int) -> int:
    """The confidence of an answer with one more token; all in 1/65536."""
    return confidence * probability + CERTAIN // 2 >> 16
