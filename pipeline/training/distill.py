"""Knowledge distillation: a larger model's distributions teach a smaller one (Hinton et al. 2015)."""

from __future__ import annotations

import zlib
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.recipes.schema import DistillConfig, TrainConfig
from pipeline.text.tokenizers.byte_bpe import BOS, PAD, SEP
from pipeline.training.batches import Batch, split_batch
from pipeline.training.loop import Hooks, Loss, Progress, TrainingData, answer_logits, fit, limit_threads

__all__ = ["corrupt_tokens", "distill"]


def distill(
    student: keras.Model,
    teacher: keras.Model,
    config: DistillConfig,
    train_config: TrainConfig,
    training_data: TrainingData,
    out: Path,
    progress: Progress,
) -> list[dict[str, float]]:
    """Trains the student, in place, on the teacher's distributions and the true tokens; both have the same vocabulary.

    The loss of a token of the action is alpha · T² · KL(teacher, student), both softened by the temperature T, plus
    (1 − alpha) times the cross-entropy with the true token. Corrupted sentences have the teacher's loss alone.

    Returns:
        The history, as `pipeline.training.loop.fit` returns it.
    """
    limit_threads()
    keras.utils.set_random_seed(train_config.seed)
    settings = train_config.replace(steps=config.steps)
    hooks = Hooks(
        _loss(student, teacher, config), partial(_prepared, config.spoiled), settings=config.fingerprint_data()
    )
    return fit(student, settings, training_data, out, progress, hooks)


def _prepared(share: float, tokens: np.ndarray, parts: int, granules: int) -> list[Batch]:
    """A batch in parts, its first rows corrupted."""
    if not share:
        return split_batch(tokens, parts, granules)
    corrupted, altered = corrupt_tokens(tokens, share)
    return split_batch(corrupted, parts, granules, altered)


def _loss(student: keras.Model, teacher: keras.Model, config: DistillConfig) -> Loss:
    heat = config.temperature
    said, taught_by = answer_logits(student, training=True), answer_logits(teacher, training=False)

    def loss(batch: Batch) -> tf.Tensor:
        logits = said(batch)
        taught = tf.stop_gradient(taught_by(batch))
        probabilities = tf.nn.softmax(taught / heat)
        likeness = tf.nn.softmax_cross_entropy_with_logits(probabilities, logits / heat)
        likeness -= tf.nn.softmax_cross_entropy_with_logits(probabilities, taught / heat)  # its entropy: 0 at best
        true = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.targets, logits)
        losses = config.alpha * heat**2 * likeness + (1 - config.alpha) * true * batch.trusted
        return tf.reduce_sum(tf.where(batch.targets != PAD, losses, 0.0))

    return loss


def corrupt_tokens(tokens: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Corrupts the sentences of the first `share` of the rows: a token deleted, replaced, or swapped with its
    neighbour, up to three times; what follows `<sep>` stays. A function of its arguments alone.

    Returns:
        int32 tokens as wide as given, and float32 [B], 1 where a sentence is altered.
    """
    rng = np.random.default_rng(zlib.crc32(tokens.tobytes()))
    altered, marks = tokens.copy(), np.zeros(len(tokens), np.float32)
    words = tokens[(tokens != PAD) & (tokens != BOS) & (np.cumsum(tokens == SEP, axis=1) == 0)]
    for row in range(round(share * len(tokens))):
        end = int(np.argmax(tokens[row] == SEP))
        sentence, rest = tokens[row, 1:end].tolist(), tokens[row, end:]
        for _ in range(rng.integers(1, 4)):
            if len(sentence) < 2:
                break
            index, kind = int(rng.integers(len(sentence) - 1)), rng.integers(3)
            if kind == 0:
                del sentence[index]
            elif kind == 1:
                sentence[index], sentence[index + 1] = sentence[index + 1], sentence[index]
            else:
                sentence[index] = int(rng.choice(words))
        used = rest[rest != PAD]
        line = np.concatenate([tokens[row, :1], np.array(sentence, np.int32), used])
        altered[row] = PAD
        altered[row, : len(line)] = line
        marks[row] = 1.0
    return altered, marks
