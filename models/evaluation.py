"""How often the whole action is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.tasks import Pair
from models.tokenizer import PAD, SEP, Tokenizer

__all__ = ["encode_pairs", "exact_match"]


def encode_pairs(tokenizer: Tokenizer, pairs: Sequence[Pair], context: int) -> list[list[int]]:
    """Token sequences of the pairs; those longer than the context are left out."""
    sequences = [tokenizer.encode_pair(pair.sentence, pair.action) for pair in pairs]
    return [sequence for sequence in sequences if len(sequence) <= context]


def exact_match(model: keras.Model, tokenizer: Tokenizer, pairs: Sequence[Pair], context: int) -> float:
    """Share of pairs whose action greedy decoding gives to the letter; a pair longer than the context is wrong.

    One pass over the true sequence decides it: decoding follows the true tokens exactly as long as each of them is the
    most likely one.
    """
    sequences = encode_pairs(tokenizer, pairs, context)
    forward = _forward(model)
    right = 0
    for begin in range(0, len(sequences), 64):
        part = sequences[begin : begin + 64]
        tokens = np.full((64, context), PAD, np.int32)
        for row, sequence in enumerate(part):
            tokens[row, : len(sequence)] = sequence
        best = forward(tf.constant(tokens)).numpy()[: len(part), :-1]
        tokens = tokens[: len(part)]
        answer = np.cumsum(tokens[:, :-1] == SEP, axis=1) > 0
        counted = answer & (tokens[:, 1:] != PAD)
        right += int(((best == tokens[:, 1:]) | ~counted).all(axis=1).sum())
    return right / max(len(pairs), 1)


def _forward(model: keras.Model) -> tf.types.experimental.GenericFunction:
    """The most likely next token at each position, compiled once a model."""
    if not hasattr(model, "thimble_forward"):
        model.thimble_forward = tf.function(lambda tokens: tf.argmax(model(tokens, training=False), axis=-1))
    return model.thimble_forward
