"""Training: batches of pairs, the step, and a loop that can be interrupted and gone on with."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.errors import ThimbleError
from pipeline.network.checkpoint import start_from
from pipeline.network.decoder import build_decoder
from pipeline.recipes.schema import ModelConfig, TrainConfig
from pipeline.tasks.task import Pair
from pipeline.text.tokenizers.byte_bpe import PAD, SEP, Tokenizer
from pipeline.training.evaluation import encode_pairs, teacher_forced_match

__all__ = [
    "Progress",
    "Schedule",
    "TrainingData",
    "answer_loss",
    "answer_mask",
    "batches",
    "fine_tune",
    "fit",
    "limit_threads",
    "make_step",
    "save_weights",
    "train",
    "training_sequences",
]

Progress = Callable[[int, int, dict[str, float]], None]
"""Called with (step done, steps in all, figures so far)."""

_EVALUATE_EVERY = 500
_CHECKPOINT_EVERY = 500


def limit_threads() -> None:
    """One thread an operation: on small matrices more cost more than they bring, and sums stay in one order."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # TensorFlow is already at work in this process


@dataclass(frozen=True)
class Schedule:
    """Learning rate by step: linear warm-up, then half a cosine down to a hundredth."""

    peak: float
    warmup: int
    steps: int

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        share = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return self.peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def batches(
    sequences: Sequence[Sequence[int]], batch_size: int, seed: int, context: int, start: int = 0
) -> Iterator[np.ndarray]:
    """Endless batches of sequences of like length, int32 [batch_size, T], padded; T is a multiple of 16 or the context.

    The order is a function of the seed and the batch's number alone, so that a run can go on from `start`.
    """
    lengths = np.array([len(sequence) for sequence in sequences])
    widths = np.minimum((lengths + 15) // 16 * 16, context)
    per_epoch = max(len(sequences) // batch_size, 1)
    number = start
    while True:
        epoch, first_batch = divmod(number, per_epoch)
        rng = np.random.default_rng((seed, epoch))
        order = rng.permutation(len(sequences))
        order = order[np.argsort(widths[order], kind="stable")]
        starts = rng.permutation(per_epoch) * batch_size
        for begin in starts[first_batch:]:
            chosen = order[begin : begin + batch_size]
            chosen = np.resize(chosen, batch_size)
            batch = np.full((batch_size, int(widths[chosen].max())), PAD, np.int32)
            for row, index in enumerate(chosen):
                batch[row, : lengths[index]] = sequences[int(index)]
            yield batch
            number += 1


def training_sequences(tokenizer: Tokenizer, pairs: Sequence[Pair], context: int) -> list[list[int]]:
    """The pairs as token sequences, those left out that are longer than the context.

    Raises:
        ThimbleError: none is short enough.
    """
    sequences = encode_pairs(tokenizer, pairs, context)
    if not sequences:
        raise ThimbleError(
            f"none of the {len(pairs)} training sentences with its action fits into {context} tokens",
            "raise `model.context` or `tokenizer.vocab_size`",
        )
    return sequences


@dataclass(frozen=True)
class TrainingData:
    """What a model learns from and is tried on."""

    tokenizer: Tokenizer
    pairs: Sequence[Pair]
    dev: Sequence[Pair]
    context: int

    @cached_property
    def sequences(self) -> list[list[int]]:
        """The training pairs as tokens, see `training_sequences`."""
        return training_sequences(self.tokenizer, self.pairs, self.context)

    def batches(self, batch_size: int, seed: int, start: int = 0) -> Iterator[np.ndarray]:
        """Endless batches of the training pairs, see the function `batches`."""
        return batches(self.sequences, batch_size, seed, self.context, start)

    def dev_accuracy(self, model: keras.Model) -> float:
        """The share of the dev pairs that the model gets right."""
        return teacher_forced_match(model, self.tokenizer, self.dev, self.context)


def answer_mask(tokens: tf.Tensor) -> tf.Tensor:
    """float32 [B, T − 1]: 1 where the next token is of the action, that is, after `<sep>`. tokens: int32 [B, T]."""
    after = tf.cumsum(tf.cast(tokens[:, :-1] == SEP, tf.float32), axis=1)
    return tf.minimum(after, 1.0) * tf.cast(tokens[:, 1:] != PAD, tf.float32)


def answer_loss(logits: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    """Cross-entropy in nats a token of the action. logits: [B, T − 1, vocab], tokens: int32 [B, T]."""
    mask = answer_mask(tokens)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], logits)
    return tf.reduce_sum(losses * mask) / tf.reduce_sum(mask)


def make_step(
    model: keras.Model, config: TrainConfig, loss: Callable[[tf.Tensor], tf.Tensor] | None = None
) -> tuple[Callable[[np.ndarray, float], float], list[tf.Variable]]:
    """The compiled training step: (tokens [B, T], learning rate) → loss in nats a token, and its state variables.

    AdamW (decay on matrices only), gradients clipped to norm 1. The loss of tokens is `answer_loss` where none is
    given.
    """
    weights = list(model.trainable_variables)
    first = [tf.Variable(tf.zeros_like(weight), trainable=False) for weight in weights]
    second = [tf.Variable(tf.zeros_like(weight), trainable=False) for weight in weights]
    count = tf.Variable(0.0, trainable=False)
    decays = [len(weight.shape) == 2 and "embed" not in weight.name for weight in weights]
    loss_of = loss or (lambda tokens: answer_loss(model(tokens[:, :-1], training=True), tokens))

    @tf.function(reduce_retracing=True)
    def step(tokens: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(tokens)
        # An embedding that is not the head as well has a sparse gradient.
        dense = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, weights)]
        gradients, _ = tf.clip_by_global_norm(dense, 1.0)
        count.assign_add(1.0)
        scale = rate * tf.sqrt(1 - 0.98**count) / (1 - 0.9**count)
        for weight, gradient, m, v, decay in zip(weights, gradients, first, second, decays, strict=True):
            m.assign(0.9 * m + 0.1 * gradient)
            v.assign(0.98 * v + 0.02 * tf.square(gradient))
            update = scale * m / (tf.sqrt(v) + 1e-8)
            if decay:
                update += rate * config.weight_decay * weight
            weight.assign_sub(update)
        return loss

    def run(tokens: np.ndarray, rate: float) -> float:
        return float(step(tf.constant(tokens), tf.constant(rate, tf.float32)))

    return run, [count, *first, *second]


def train(
    model_config: ModelConfig,
    config: TrainConfig,
    training_data: TrainingData,
    out: Path,
    progress: Progress,
    start: Path | None = None,
) -> tuple[keras.Model, list[dict[str, float]]]:
    """Trains from the configuration's seed or the weights in `start`, or goes on from the checkpoint in `out`.

    Returns:
        The model with averaged weights, and the history: `step`, `loss`, `dev_exact_match` every 500 steps.
    """
    limit_threads()
    keras.utils.set_random_seed(config.seed)
    model = build_decoder(model_config, config.dropout)
    if start is not None:
        start_from(start, model, model_config)
    return model, fit(model, config, training_data, out, progress)


def fit(
    model: keras.Model,
    config: TrainConfig,
    training_data: TrainingData,
    out: Path,
    progress: Progress,
    loss: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> list[dict[str, float]]:
    """Trains a model as `config` says, or goes on from the checkpoint in `out`; its weights become the averaged ones.

    Returns:
        The history: `step`, `loss`, `dev_exact_match` every 500 steps.
    """
    step, state = make_step(model, config, loss)
    averaged = [tf.Variable(weight, trainable=False) for weight in model.trainable_variables]
    everything = [*model.trainable_variables, *state, *averaged]
    checkpoint = out / "checkpoint.npz"
    history, begin = _resume(checkpoint, everything)
    schedule = Schedule(config.learning_rate, config.warmup, config.steps)

    @tf.function
    def average(decay: tf.Tensor) -> None:
        for mean, weight in zip(averaged, model.trainable_variables, strict=True):
            mean.assign(decay * mean + (1 - decay) * weight)

    losses: list[float] = []
    source = training_data.batches(config.batch_size, config.seed, begin)
    for number in range(begin, config.steps):
        losses.append(step(next(source), schedule(number)))
        average(tf.constant(min(config.ema, (1 + number) / (10 + number)), tf.float32))
        done = number + 1
        if done % _EVALUATE_EVERY == 0 or done == config.steps:
            dev_accuracy = _with_weights(model, averaged, lambda: training_data.dev_accuracy(model))
            history.append({"step": done, "loss": float(np.mean(losses)), "dev_exact_match": dev_accuracy})
            losses = []
        if done % _CHECKPOINT_EVERY == 0 and done < config.steps:
            _save_state(checkpoint, everything, history, done)
        if done % 20 == 0 or done == config.steps:
            figures = {"loss": float(np.mean(losses))} if losses else {}
            progress(done, config.steps, {**(history[-1] if history else {}), **figures})
    for weight, mean in zip(model.trainable_variables, averaged, strict=True):
        weight.assign(mean)
    checkpoint.unlink(missing_ok=True)
    return history


def fine_tune(
    model: keras.Model,
    config: TrainConfig,
    training_data: TrainingData,
    progress: Progress,
    before: Callable[[int], None] = lambda number: None,
    after: Callable[[int], None] = lambda number: None,
    loss: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> list[dict[str, float]]:
    """Trains a model a little further, `before` and `after` called around each step with its number from 0. No weights
    are averaged, and no checkpoint is kept. The loss of tokens is `answer_loss` where none is given.

    Returns:
        The history: `step`, `loss`, `dev_exact_match` at the end and every 500 steps.
    """
    rate = Schedule(config.learning_rate, min(100, config.steps // 10 + 1), config.steps)
    step, _ = make_step(model, config, loss)
    needed = dataclasses.replace(training_data, pairs=training_data.pairs[: config.steps * config.batch_size])
    source = needed.batches(config.batch_size, config.seed + 1)
    history: list[dict[str, float]] = []
    losses: list[float] = []
    for number in range(config.steps):
        before(number)
        losses.append(step(next(source), rate(number)))
        after(number)
        done = number + 1
        if done % _EVALUATE_EVERY == 0 or done == config.steps:
            history.append(
                {"step": done, "loss": float(np.mean(losses)), "dev_exact_match": training_data.dev_accuracy(model)}
            )
            losses = []
        if done % 20 == 0 or done == config.steps:
            figures = {"loss": float(np.mean(losses))} if losses else {}
            progress(done, config.steps, {**(history[-1] if history else {}), **figures})
    return history


def _with_weights(model: keras.Model, values: Sequence[tf.Variable], work: Callable[[], float]) -> float:
    """Runs the work with other weights in the model, and puts the model's own back."""
    own = [weight.numpy() for weight in model.trainable_variables]
    for weight, value in zip(model.trainable_variables, values, strict=True):
        weight.assign(value)
    try:
        return work()
    finally:
        for weight, value in zip(model.trainable_variables, own, strict=True):
            weight.assign(value)


def save_weights(path: Path, arrays: dict[str, Any]) -> None:
    """Writes arrays beside the path and renames them into place."""
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(beside, path)


def _save_state(path: Path, variables: Sequence[tf.Variable], history: list[dict[str, float]], step: int) -> None:
    arrays = {f"v{index}": variable.numpy() for index, variable in enumerate(variables)}
    save_weights(path, {**arrays, "history": np.array(json.dumps(history)), "step": np.array(step)})


def _resume(path: Path, variables: Sequence[tf.Variable]) -> tuple[list[dict[str, float]], int]:
    """Puts a checkpoint's state into the variables; a missing or unreadable one means to start anew."""
    try:
        with np.load(path) as data:
            values = [data[f"v{index}"] for index in range(len(variables))]
            history, step = json.loads(str(data["history"])), int(data["step"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return [], 0
    if any(value.shape != tuple(variable.shape) for value, variable in zip(values, variables, strict=True)):
        return [], 0
    for value, variable in zip(values, variables, strict=True):
        variable.assign(value)
    return history, step
