"""What changes the weights by their gradients: AdamW, and Muon for matrices. Part of a compiled step; all weights are
one vector here, so that an update is a few operations on it and not dozens on each matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pipeline.recipes.schema import TrainConfig

__all__ = ["AdamW", "Muon", "flat", "optimizer_of"]

_BETA_FIRST, _BETA_SECOND, _EPSILON = 0.9, 0.98, 1e-8
_MOMENTUM = 0.95  # Muon's
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_UPDATE_RMS = 0.2  # what AdamW's updates have, so that one learning rate serves both (Liu et al. 2025, section 2.2)


class AdamW:
    """Adam with decoupled weight decay on the matrices that are no embeddings (Loshchilov and Hutter 2019).

    Args:
        weights: What is trained.
        config: Its weight decay.
    """

    def __init__(self, weights: Sequence[tf.Variable], config: TrainConfig) -> None:
        self.shapes = [tuple(weight.shape) for weight in weights]
        self.sizes = [int(weight.shape.num_elements()) for weight in weights]
        self.first, self.second = (tf.Variable(tf.zeros(sum(self.sizes)), trainable=False) for _ in range(2))
        decays = [len(weight.shape) == 2 and "embed" not in weight.name for weight in weights]
        decayed = np.repeat(np.array(decays, np.float32), self.sizes) * np.float32(config.weight_decay)
        self._decay = tf.Variable(decayed, trainable=False)  # no constant: XLA would fold it

    @property
    def state(self) -> list[tf.Variable]:
        """What an update changes besides the weights."""
        return [self.first, self.second]

    def updated(self, before: tf.Tensor, gradient: tf.Tensor, number: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        """The weights after a step; changes the state.

        Args:
            before: The weights, float32 [N].
            gradient: Of the mean loss, float32 [N].
            number: The step, from 1.
            rate: The learning rate.
        """
        first = self.first.assign(_BETA_FIRST * self.first + (1 - _BETA_FIRST) * gradient)
        return before - self._adam(first, gradient, number, rate) - rate * self._decay * before

    def _adam(self, first: tf.Tensor, gradient: tf.Tensor, number: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        second = self.second.assign(_BETA_SECOND * self.second + (1 - _BETA_SECOND) * tf.square(gradient))
        scale = rate * tf.sqrt(1 - _BETA_SECOND**number) / (1 - _BETA_FIRST**number)
        return scale * first / (tf.sqrt(second) + _EPSILON)


class Muon(AdamW):
    """Momentum made orthogonal for the matrices inside of layers (Jordan et al. 2024, "Muon: an optimizer for hidden
    layers"), scaled to the size of AdamW's updates (Liu et al. 2025, "Muon is scalable for LLM training"); AdamW for
    embeddings, the head and gains. What it brings here stands in docs/recipes.md.
    """

    def __init__(self, weights: Sequence[tf.Variable], config: TrainConfig) -> None:
        super().__init__(weights, config)
        inside = [len(weight.shape) == 2 and weight.name.startswith("layer") for weight in weights]
        self._inside = inside
        momentum = np.where(inside, np.float32(_MOMENTUM), np.float32(_BETA_FIRST))
        self._momentum = tf.Variable(np.repeat(momentum, self.sizes), trainable=False)

    def updated(self, before: tf.Tensor, gradient: tf.Tensor, number: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        """The weights after a step; changes the state. Arguments as `AdamW.updated`."""
        momentum = self._momentum
        first = self.first.assign(momentum * self.first + (1 - momentum) * gradient)
        ahead = momentum * first + (1 - momentum) * gradient  # Nesterov's
        adam = self._adam(first, gradient, number, rate)
        changes = [
            rate * tf.reshape(_orthogonal(tf.reshape(part, shape)), [-1]) if inside else change
            for part, change, shape, inside in zip(
                tf.split(ahead, self.sizes), tf.split(adam, self.sizes), self.shapes, self._inside, strict=True
            )
        ]
        return before - tf.concat(changes, 0) - rate * self._decay * before


def optimizer_of(weights: Sequence[tf.Variable], config: TrainConfig) -> AdamW:
    """The optimizer that the configuration names."""
    return (Muon if config.optimizer == "muon" else AdamW)(weights, config)


def flat(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """The tensors as one vector; an embedding that is not the head as well has a sparse gradient, made dense here."""
    return tf.concat([tf.reshape(tf.convert_to_tensor(tensor), [-1]) for tensor in tensors], 0)


def _orthogonal(matrix: tf.Tensor) -> tf.Tensor:
    """About the nearest matrix whose singular values are alike (0.7 to 1.2), by Newton and Schulz' iteration with the
    coefficients of Jordan et al., scaled to entries of 0.2 in the root mean square."""
    rows, columns = matrix.shape
    x = tf.transpose(matrix) if rows > columns else matrix
    x = x / (tf.norm(x) + 1e-12)
    a, b, c = _NEWTON_SCHULZ
    for _ in range(_ITERATIONS):
        gram = tf.matmul(x, x, transpose_b=True)
        x = a * x + tf.matmul(b * gram + c * tf.matmul(gram, gram), x)
    x = x * (_UPDATE_RMS * math.sqrt(max(rows, columns)))
    return tf.transpose(x) if rows > columns else x
