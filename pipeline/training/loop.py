"""Training: the compiled step, and a loop that gives the same weights with and without a stop on the way.

A step is compiled by XLA. That is faster, and it is what makes weights reproducible: TensorFlow's own graph optimizer
(the arithmetic one of grappler) walks hash tables whose order differs from process to process, and so adds the
gradients of residual branches in another order each time; dropout between them kept it from doing so. A batch is
computed in two halves on two threads, on any machine, so that the sums do not depend on the number of cores.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.errors import ThimbleError
from pipeline.network.checkpoint import StartWeights, start_from
from pipeline.network.decoder import Attention, Dropout, build_decoder, dropout_bits
from pipeline.recipes.schema import ModelConfig, TrainConfig
from pipeline.tasks.task import Pair, TrainingText
from pipeline.text.codec import Codec
from pipeline.text.tokenizers.byte_bpe import PAD, SEP
from pipeline.training.batches import Batch, batches, split_batch
from pipeline.training.checkpointing import CHECKPOINT, Checkpoint, interruptible, write_history
from pipeline.training.evaluation import encode_pairs
from pipeline.training.optimizers import flat, optimizer_of
from pipeline.training.stream import SequenceStream

__all__ = [
    "Hooks",
    "Loss",
    "Progress",
    "Schedule",
    "TrainingData",
    "TrainingStep",
    "answer_logits",
    "answer_loss",
    "fine_tune",
    "fit",
    "limit_threads",
    "train",
    "training_sequences",
]

Progress = Callable[[int, int, dict[str, float]], None]
"""Called with (step done, steps in all, figures so far)."""

Loss = Callable[[Batch], tf.Tensor]
"""The sum of the losses of a batch's targets in nats, a scalar; padding counts nothing."""

Prepare = Callable[[np.ndarray, int, int], list[Batch]]
"""Makes the parts of a batch that the step computes, see `split_batch`: (tokens [B, T + 1], parts, granules)."""

_EVALUATE_EVERY = 500  # steps
_RECORD_EVERY = 20  # steps a row of the curve
_HALVES = 2
_MAX_BUCKETS = 6  # each width is compiled, which takes about as long as 60 steps and saves less and less
_STEPS_PER_BUCKET = 300
_DEV_ROWS = 64


def limit_threads() -> None:
    """Limits TensorFlow to one thread per operation: faster on small matrices, and sums keep one order."""
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


def training_sequences(codec: Codec, pairs: Sequence[Pair], context: int) -> list[list[int]]:
    """The pairs as token sequences, those left out that are longer than the context.

    Raises:
        ThimbleError: none is short enough.
    """
    sequences = encode_pairs(codec, pairs, context)
    if not sequences:
        raise ThimbleError(
            f"none of the {len(pairs)} training sentences with its action fits into {context} tokens",
            "raise `model.context` or `tokenizer.vocab_size`",
        )
    return sequences


@dataclass(frozen=True)
class TrainingData:
    """What a model is trained on: pairs, token sequences, a stream of these that are drawn while it trains, or text.

    Attributes:
        codec: makes token sequences of pairs.
        pairs: to train on; none where there are token sequences or text.
        dev: pairs to watch the training with; none where there is text.
        context: tokens that the model sees.
        stream: token sequences by epoch.
        drawn: token sequences that are the same in every epoch.
        text: token sequences of which all tokens count.
    """

    codec: Codec
    pairs: Sequence[Pair]
    dev: Sequence[Pair]
    context: int
    stream: SequenceStream | None = None
    drawn: Sequence[Sequence[int]] = ()
    text: TrainingText | None = None

    def first(self, count: int) -> TrainingData:
        """The first `count` training sentences alone; those of a stream are drawn at once."""
        if self.stream is None:
            return dataclasses.replace(self, pairs=self.pairs[:count], drawn=self.drawn[:count])
        return dataclasses.replace(self, stream=None, drawn=[tokens for _, tokens in self.stream.lessons(count)])

    @property
    def size(self) -> int:
        """The number of sentences or of windows of text; 0 for a stream, which has no end."""
        return len(self.pairs) + len(self.drawn) + (len(self.text.train) if self.text is not None else 0)

    @cached_property
    def sequences(self) -> Sequence[Sequence[int]]:
        """The training pairs as tokens, see `training_sequences`; those of a stream's first epoch; or the text."""
        if self.text is not None:
            return self.text.train
        if self.drawn:
            return self.drawn
        if self.stream is not None:
            return self.stream.epoch(0)
        return training_sequences(self.codec, self.pairs, self.context)

    @cached_property
    def dev_sequences(self) -> Sequence[Sequence[int]]:
        """What watches the training as tokens; pairs that are longer than the context are left out."""
        return encode_pairs(self.codec, self.dev, self.context) if self.text is None else self.text.dev

    def batches(self, batch_size: int, seed: int, start: int = 0, max_buckets: int = 1) -> Iterator[np.ndarray]:
        """Endless batches of the training data, see `pipeline.training.batches.batches`."""
        epoch = self.stream.epoch if self.stream is not None else None
        return batches(self.sequences, batch_size, seed, self.context, start, max_buckets, epoch)


class _Dev:
    """Loss and exact match of a model on the dev pairs, loss on dev text; encoded and compiled once."""

    def __init__(self, model: keras.Model, training_data: TrainingData) -> None:
        sequences = training_data.dev_sequences
        rows = -(-len(sequences) // _DEV_ROWS) * _DEV_ROWS
        self._tokens = np.full((rows, training_data.context), PAD, np.int32)
        for row, sequence in enumerate(sequences):
            self._tokens[row, : len(sequence)] = sequence
        self._sequences, self._pairs = len(sequences), len(training_data.dev)
        self._has_answers = training_data.text is None

        @tf.function(jit_compile=True, autograph=False)
        def forward(tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            logits, following = model(tokens, training=False)[:, :-1], tokens[:, 1:]
            separators = tf.cast(tokens[:, :-1] == SEP, tf.int32)  # as `counted_positions`
            after = (tf.cumsum(separators, axis=1) > 0) | (tf.reduce_sum(separators, axis=1, keepdims=True) == 0)
            counted = after & (following != PAD)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(following, logits)
            best = tf.argmax(logits, axis=-1, output_type=tf.int32)
            total = tf.reduce_sum(tf.where(counted, losses, 0.0))
            return total, tf.reduce_sum(tf.cast(counted, tf.float32)), tf.reduce_all((best == following) | ~counted, 1)

        self._forward = forward

    def figures(self) -> dict[str, float]:
        """`dev_loss` in nats a token of the actions, or of the text; and of pairs `dev_exact_match`, the share of those
        whose action's tokens are each the most likely one after the true tokens before it; a pair longer than the
        context is wrong."""
        found = [
            [value.numpy() for value in self._forward(tf.constant(self._tokens[begin : begin + _DEV_ROWS]))]
            for begin in range(0, len(self._tokens), _DEV_ROWS)
        ]
        losses, tokens = (float(sum(part[column] for part in found)) for column in range(2))
        figures = {"dev_loss": losses / max(tokens, 1.0)}
        if self._has_answers:
            right = sum(int(rows.sum()) for _, _, rows in found) - (len(self._tokens) - self._sequences)  # no padding
            figures["dev_exact_match"] = right / max(self._pairs, 1)
        return figures


def answer_logits(model: keras.Model, training: bool) -> Callable[[Batch], tf.Tensor]:
    """The model's logits at the positions of a batch that count, [N, vocab].

    What follows the last attention works position by position, so it sees only these.
    """
    attention = next(layer for layer in reversed(model.layers) if isinstance(layer, Attention))
    stream = model.get_layer(attention.name.replace("_attention", "_add_attention")).input[0]
    trunk = keras.Model(model.inputs, [stream, attention.output])
    tail = keras.Model([stream, attention.output], model.output)

    def logits(batch: Batch) -> tf.Tensor:
        chosen = [
            tf.gather(tf.reshape(rows, (1, -1, rows.shape[-1])), batch.positions, axis=1)
            for rows in trunk(batch.tokens, training=training)
        ]
        return tf.squeeze(tail(chosen, training=training), 0)

    return logits


def answer_loss(model: keras.Model) -> Loss:
    """Cross-entropy of the tokens that count."""
    logits = answer_logits(model, training=True)

    def loss(batch: Batch) -> tf.Tensor:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.targets, logits(batch))
        return tf.reduce_sum(tf.where(batch.targets != PAD, losses, 0.0))

    return loss


class TrainingStep:
    """The optimizer over all trainable weights, gradients clipped to norm 1, weights averaged.

    Args:
        model: Whose trainable weights change.
        config: Its optimizer, weight decay and seed.
        loss: `answer_loss` where none is given.
        halves: How many parts of a batch are computed side by side; their sum does not depend on the cores. With 1
            the loss may change variables.
        prepare: Makes the parts of a batch, `split_batch` where none is given.
    """

    def __init__(
        self,
        model: keras.Model,
        config: TrainConfig,
        loss: Loss | None = None,
        halves: int = _HALVES,
        prepare: Prepare = split_batch,
    ) -> None:
        self._model, self._seed, self._halves, self._prepare = model, config.seed, halves, prepare
        dropouts = [layer for layer in model.layers if isinstance(layer, Dropout)]
        self._dropouts = len(dropouts) if dropouts[0].rate else 0
        self._width = int(dropouts[0].output.shape[-1])
        weights = list(model.trainable_variables)
        optimizer = optimizer_of(weights, config)
        self.averaged = tf.Variable(flat(weights), trainable=False)
        total_loss = loss or answer_loss(model)
        matrix, vector = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)
        batch_form = Batch(matrix, vector, vector, tf.TensorSpec([None], tf.float32))
        whole, scalar = tf.TensorSpec([sum(optimizer.sizes)], tf.float32), tf.TensorSpec([], tf.float32)

        @tf.function(
            jit_compile=True, autograph=False, input_signature=[batch_form, tf.TensorSpec([None, None], tf.uint16)]
        )
        def gradient(batch: Batch, bits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with dropout_bits(bits), tf.GradientTape() as tape:
                total = total_loss(batch)
            found = tape.gradient(total, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return total, flat(found)

        @tf.function(
            jit_compile=True, autograph=False, input_signature=[[whole] * halves, scalar, scalar, scalar, scalar]
        )
        def update(
            gradients: list[tf.Tensor], targets: tf.Tensor, number: tf.Tensor, rate: tf.Tensor, ema: tf.Tensor
        ) -> None:
            mean = tf.add_n(gradients) / targets
            mean *= tf.minimum(1.0, 1.0 / (tf.norm(mean) + 1e-12))
            after = optimizer.updated(flat(weights), mean, number, rate)
            for weight, part in zip(weights, tf.split(after, optimizer.sizes), strict=True):
                weight.assign(tf.reshape(part, weight.shape))
            self.averaged.assign(ema * self.averaged + (1 - ema) * after)

        self._gradient, self._update, self._weights, self._optimizer = gradient, update, weights, optimizer
        self._pool = ThreadPoolExecutor(halves)

    @property
    def state(self) -> list[tf.Variable]:
        """All that a step changes."""
        return [*self._weights, *self._optimizer.state, self.averaged]

    @property
    def is_finite(self) -> bool:
        """Whether all that a step changes are finite numbers."""
        return all(bool(np.isfinite(variable.numpy()).all()) for variable in self.state)

    def prepared(self, tokens: np.ndarray, granules: int = 1) -> list[Batch]:
        """A batch as `begin` takes it, see `split_batch`."""
        return self._prepare(tokens, self._halves, granules)

    def begin(self, parts: Sequence[Batch], number: int) -> list[Future[tuple[tf.Tensor, tf.Tensor]]]:
        """Starts to compute the gradients of a step, of which 0 is the first, and returns at once."""

        def work(part: Batch, index: int) -> tuple[tf.Tensor, tf.Tensor]:
            bits = self._bits(part, (self._seed, number, index))
            total, vector = self._gradient(Batch(*map(tf.constant, part)), tf.constant(bits))
            return total, vector

        return [self._pool.submit(work, part, index) for index, part in enumerate(parts)]

    def _bits(self, part: Batch, seed: tuple[int, int, int]) -> np.ndarray:
        """For `dropout_bits`; none where the model has no dropout. The seed is that of one part of one step."""
        shape = (self._dropouts, part.tokens.size * self._width if self._dropouts else 0)
        return np.random.default_rng(seed).integers(0, 1 << 16, shape, np.uint16)

    def end(
        self,
        parts: Sequence[Batch],
        begun: Sequence[Future[tuple[tf.Tensor, tf.Tensor]]],
        number: int,
        rate: float,
        ema: float = 0.0,
    ) -> float:
        """Waits for the gradients and changes the weights by them.

        Returns:
            The loss before, in nats a target.
        """
        found = [future.result() for future in begun]
        gradients = [gradient for _, gradient in found]
        gradients += [tf.zeros_like(gradients[0])] * (self._halves - len(gradients))
        targets = float(sum(int((part.targets != PAD).sum()) for part in parts))
        self._update(gradients, *(tf.constant(value, tf.float32) for value in (targets, number + 1, rate, ema)))
        return sum(float(total) for total, _ in found) / targets

    def run(self, tokens: np.ndarray, number: int, rate: float) -> float:
        """One whole step; the loss before it, in nats a target. tokens: int32 [B, T + 1]."""
        parts = self.prepared(tokens)
        return self.end(parts, self.begin(parts, number), number, rate)

    def with_averaged(self, work: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Runs the work with the averaged weights in the model, and puts the model's own back."""
        own = [weight.numpy() for weight in self._weights]
        self.assign(self.averaged)
        try:
            return work()
        finally:
            for weight, value in zip(self._weights, own, strict=True):
                weight.assign(value)

    def assign(self, vector: tf.Variable) -> None:
        """Puts a vector of all weights into the model."""
        for weight, part in zip(self._weights, tf.split(vector, self._optimizer.sizes), strict=True):
            weight.assign(tf.reshape(part, weight.shape))

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()


def train(
    model_config: ModelConfig,
    config: TrainConfig,
    training_data: TrainingData,
    out: Path,
    progress: Progress,
    start: StartWeights | None = None,
) -> tuple[keras.Model, list[dict[str, float]]]:
    """Trains from the configuration's seed or the weights in `start`, or resumes from the checkpoint in `out`.

    Returns:
        The model with averaged weights, and the history, see `fit`.
    """
    limit_threads()
    keras.utils.set_random_seed(config.seed)
    model = build_decoder(model_config, config.dropout)
    hooks = Hooks()
    if start is not None:
        start_from(start, model, model_config)
        hooks = Hooks(settings=start.digest())
    return model, fit(model, config, training_data, out, progress, hooks)


@dataclass(frozen=True)
class Hooks:
    """What a way of training adds to the loop.

    Attributes:
        loss: Instead of `answer_loss`.
        prepare: Makes the parts of a batch, instead of `split_batch`.
        before: Called before each step with its number from 0.
        after: Called after each step with its number from 0.
        state: Variables that these change, or that the loss changes; they are part of a checkpoint.
        halves: Parts of a batch that are computed side by side; 1 where the loss changes variables.
        average: Whether the weights become the averaged ones, which are then what is evaluated too.
        settings: More of what the result depends on: a checkpoint of others is not taken.
    """

    loss: Loss | None = None
    prepare: Prepare = split_batch
    before: Callable[[int], None] = lambda number: None
    after: Callable[[int], None] = lambda number: None
    state: Sequence[tf.Variable] = ()
    halves: int = _HALVES
    average: bool = True
    settings: object = None


def fit(
    model: keras.Model,
    config: TrainConfig,
    training_data: TrainingData,
    out: Path,
    progress: Progress,
    hooks: Hooks | None = None,
) -> list[dict[str, float]]:
    """Trains a model in place as `config` says, or goes on from the checkpoint in `out`.

    The state is saved once a minute, at the end, and when Ctrl-C or SIGTERM asks to stop; the caller discards it when
    the weights are kept. The curve goes to `log/history.csv` in `out`. With `early_stopping` the weights become those
    of the evaluation with the least loss on dev.

    Returns:
        The history: `step`, `loss` since the entry before, `dev_loss`, and `dev_exact_match` of pairs, every 500 steps
        and at the end.

    Raises:
        ThimbleError: a loss or a weight is no finite number; the last state that was saved stays.
        KeyboardInterrupt: Ctrl-C came; the state is saved.
        SystemExit: SIGTERM came; the state is saved.
    """
    hooks = hooks or Hooks()
    step = TrainingStep(model, config, hooks.loss, hooks.halves, hooks.prepare)
    try:
        return _Loop(model, step, config, training_data, out, progress, hooks).run()
    finally:
        step.close()


class _Loop:
    """One training from its first step, or its checkpoint, to its last."""

    def __init__(
        self,
        model: keras.Model,
        step: TrainingStep,
        config: TrainConfig,
        training_data: TrainingData,
        out: Path,
        progress: Progress,
        hooks: Hooks,
    ) -> None:
        self._step, self._config, self._data, self._hooks = step, config, training_data, hooks
        self._out, self._progress = out, progress
        self._dev = _Dev(model, training_data)
        best = [tf.Variable(step.averaged, trainable=False)] if config.early_stopping else []
        self._best = best[0] if best else step.averaged
        settings = {"train": vars(config), "sentences": training_data.size, "more": hooks.settings}
        self._checkpoint = Checkpoint(out / CHECKPOINT, [*step.state, *best, *hooks.state], settings)
        self._history: list[dict[str, float]] = []
        self._rows: list[dict[str, float]] = []
        self._losses: list[float] = []
        self._done = 0
        self._stalled = 0  # evaluations in a row that were not the best
        self._seconds = 0.0
        facts = self._checkpoint.load()
        if facts is not None:
            self._history, self._rows, self._losses = facts["history"], facts["rows"], facts["losses"]
            self._done, self._stalled, self._seconds = facts["step"], facts["stalled"], facts["seconds"]
        self._began = time.monotonic() - self._seconds

    def run(self) -> list[dict[str, float]]:
        config, hooks, step = self._config, self._hooks, self._step
        schedule = Schedule(config.learning_rate, config.warmup, config.steps)
        began_at = self._done
        if self._done < config.steps and not self._finished():
            buckets = min(1 + config.steps // _STEPS_PER_BUCKET, _MAX_BUCKETS)
            source = self._data.batches(config.batch_size, config.seed, self._done, buckets)
            parts = step.prepared(next(source), buckets)
            with interruptible(self._save) as checkpoint:
                while self._done < config.steps and not self._finished():
                    number = self._done
                    hooks.before(number)
                    begun = step.begin(parts, number)
                    following = step.prepared(next(source), buckets)  # drawn while the threads compute
                    ema = min(config.ema, (1 + number) / (10 + number)) if hooks.average else 0.0
                    rate = schedule(number)
                    loss = step.end(parts, begun, number, rate, ema)
                    if not math.isfinite(loss):
                        raise self._diverged(f"the loss of step {number + 1} is {loss}")
                    self._losses.append(loss)
                    parts = following
                    hooks.after(number)
                    self._done += 1
                    self._record(rate)
                    checkpoint()
        if self._done > began_at:
            self._save()
        if config.early_stopping and self._history:
            step.assign(self._best)
        elif hooks.average:
            step.assign(step.averaged)
        return self._history

    def _finished(self) -> bool:
        return bool(self._config.early_stopping) and self._stalled >= self._config.early_stopping

    def _record(self, rate: float) -> None:
        """Evaluates, adds to the curve and tells of it, where the step is one for that."""
        last = self._done == self._config.steps
        evaluated = self._done % _EVALUATE_EVERY == 0 or last
        if not evaluated and self._done % _RECORD_EVERY:
            return
        row = {"step": self._done, "loss": float(np.mean(self._losses[-_RECORD_EVERY:])), "learning_rate": rate}
        shown = {"loss": float(np.mean(self._losses)), "learning_rate": rate}
        if evaluated:
            dev = self._step.with_averaged(self._dev.figures) if self._hooks.average else self._dev.figures()
            self._history.append({"step": self._done, "loss": shown["loss"], **dev})
            self._losses = []
            row |= dev
            self._follow_best()
        self._rows.append({**row, "seconds": round(time.monotonic() - self._began, 2)})
        if evaluated:
            write_history(self._out, self._rows)
        self._progress(self._done, self._config.steps, {**(self._history[-1] if self._history else {}), **shown})

    def _follow_best(self) -> None:
        if not self._config.early_stopping:
            return
        losses = [entry["dev_loss"] for entry in self._history]
        if losses[-1] <= min(losses):
            self._best.assign(self._step.averaged)
            self._stalled = 0
        else:
            self._stalled += 1

    def _diverged(self, how: str) -> ThimbleError:
        kept = self._checkpoint.step_of_file()
        rest = f"the state of step {kept:,} stays in {self._out / CHECKPOINT}" if kept else "no state was kept"
        return ThimbleError(
            f"the training has diverged: {how}",
            f"lower the section's `learning_rate` (it began with {self._config.learning_rate:g}) or raise "
            f"`train.warmup` ({self._config.warmup} steps); {rest}",
        )

    def _save(self) -> None:
        """Keeps the state, unless a weight is no number any more: the state before then stays.

        Raises:
            ThimbleError: a weight, or what the optimizer knows of it, is not finite.
        """
        if not self._step.is_finite:
            raise self._diverged(f"after step {self._done:,} there are weights that are no finite numbers")
        self._seconds = time.monotonic() - self._began
        facts: dict[str, Any] = {
            "history": self._history,
            "rows": self._rows,
            "losses": self._losses,
            "step": self._done,
            "stalled": self._stalled,
            "seconds": self._seconds,
        }
        self._checkpoint.save(facts)
        write_history(self._out, self._rows)


def fine_tune(
    model: keras.Model, config: TrainConfig, training_data: TrainingData, out: Path, progress: Progress, hooks: Hooks
) -> list[dict[str, float]]:
    """Trains a model a little further in place: AdamW, a short warm-up, other batches than `train` had, nothing
    averaged, and no early stopping, since what is done to the weights on the way takes all steps.

    Returns:
        The history, see `fit`.
    """
    settings = config.replace(
        warmup=min(100, config.steps // 10 + 1), seed=config.seed + 1, early_stopping=0, optimizer="adamw"
    )
    needed = dataclasses.replace(training_data, pairs=training_data.pairs[: config.steps * config.batch_size])
    return fit(model, settings, needed, out, progress, dataclasses.replace(hooks, average=False))
