"""The stand-in model of `standin/`, computed here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.text.tokenizers.byte_bpe import Tokenizer

FOLDER = Path(__file__).parent / "standin"
VOCAB, CONTEXT = 300, 48
WEIGHTS = (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3)
# Multiply-accumulates of a step, as far as the least possible count goes.
MACS = 4 * VOCAB


class Standin:
    """A `StepEngine`."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.hash = 0
        self.position = 0

    def step(self, token: int) -> NDArray[np.int8]:
        value = (self.hash + token * 2654435761 + self.position) % 2**32
        logits = np.zeros(VOCAB, np.int8)
        for i in range(4 * VOCAB):
            value = (value * 1664525 + 1013904223 + WEIGHTS[i % 16]) % 2**32
            logits[i % VOCAB] = (value >> 25) - 64
        logits[3 if value % 6 == 0 else value % VOCAB] = 127
        self.hash = value
        self.position += 1
        return logits


def standin_tokenizer() -> Tokenizer:
    """300 ids."""
    texts = ["turn on the kitchen lights", "HassTurnOn area=kitchen domain=light", "schalte das große licht aus"]
    tokenizer = Tokenizer.train(texts * 3, VOCAB, alphabet=25)
    assert tokenizer.vocab_size == VOCAB
    return tokenizer
