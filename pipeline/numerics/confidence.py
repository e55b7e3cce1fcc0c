"""How sure a model is of its answer, in the integers of the device: the product of its tokens' probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.numerics.sampler import powers

__all__ = ["CERTAIN", "joint", "probability"]

CERTAIN = 65536
"""1 in confidences."""


def probability(logits: NDArray[np.signedinteger], token: int, step: int, allowed: Sequence[int] | None = None) -> int:
    """The softmax of the logits that are allowed at a token, in 1/65536: 1 where no other token may follow.

    Args:
        logits: int8 or int16 [vocab].
        token: its id.
        step: `pipeline.numerics.sampler.logit_step` of the logits' scale.
        allowed: ids that may follow, the most likely of which is `token`; None: all.
    """
    values = (logits if allowed is None else logits[list(allowed)]).astype(np.int64)
    best = values.max()
    total = int(powers((best - values) * step + 128 >> 8).sum())
    weight = int(powers(np.asarray([(best - int(logits[token])) * step + 128 >> 8]))[0])
    return ((weight << 16) + total // 2) // total


def joint(confidence: int, probability: int) -> int:
    """The confidence of an answer with one more token; all in 1/65536."""
    return confidence * probability + CERTAIN // 2 >> 16
