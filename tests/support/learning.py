"""Models that know sequences by heart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["learn"]


def learn(model: Any, sequences: Sequence[Sequence[int]], context: int, steps: int) -> None:
    """Learns sequences by heart, some seconds.

    Args:
        model: of `pipeline.network.decoder.build_decoder`, without dropout.
        sequences: token ids, at most `context` each.
        context: of the model.
        steps: of Adam, over all sequences at once.
    """
    import tensorflow as tf
    import tf_keras as keras

    tokens = np.zeros((len(sequences), context), np.int32)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = sequence
    known = tf.cast(tokens[:, 1:] > 0, tf.float32)
    optimizer = keras.optimizers.Adam(0.01)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(
                tokens[:, 1:], model(tokens)[:, :-1], from_logits=True
            )
            loss = tf.reduce_sum(losses * known) / tf.reduce_sum(known)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for _ in range(steps):
        step()
