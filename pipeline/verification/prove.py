"""The generated C against TensorFlow Lite Micro, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.errors import VerificationFailed
from pipeline.verification.host_engine import HostEngine
from pipeline.verification.oracle import Oracle

__all__ = ["prove", "random_sequences"]

_LONGEST = 256


def prove(engine: HostEngine, oracle: Oracle, sequences: Mapping[str, Sequence[int]]) -> int:
    """Feeds token sequences, by name, to both engines; returns the number of steps compared.

    Raises:
        ThimbleError: a step's logits differ.
    """
    steps = 0
    for name, sequence in sequences.items():
        engine.reset()
        oracle.reset()
        for token in sequence:
            ours, theirs = engine.step(token), oracle.step(token)
            steps += 1
            if not np.array_equal(ours, theirs):
                raise VerificationFailed(
                    f"step {oracle.position - 1} of {name}: {int((ours != theirs).sum())} logits differ "
                    "from TensorFlow Lite Micro's",
                    "this is a fault of the compiler: report it with the .tflite",
                )
    return steps


def random_sequences(oracle: Oracle, count: int = 4) -> dict[str, list[int]]:
    """Token sequences for `prove`: each fills the context, of a window without end twice, up to 256 tokens."""
    random = np.random.default_rng(1)
    length = min(2 * oracle.context if oracle.unbounded else oracle.context, _LONGEST)
    return {f"random tokens {number}": random.integers(0, oracle.vocab, length).tolist() for number in range(count)}
