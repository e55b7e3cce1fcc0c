"""An imported model's weights made to suit integers, and to compute the same in float.

A transformer with RMSNorm and rotary positions can be written in many ways: its residual stream may be rotated
(Ashkboos et al. 2024), a pair of a head's q scaled and turned against that pair of its k (which commutes with rotary
positions), a head's v mixed and its output's weights unmixed, a channel of the feed-forward part scaled up and down.
In float all are one function. In integers they are not: one large channel makes the steps of all others coarse. So the
way is learned in which the model in integers gives the float model's distribution of the next token best (by the
Kullback-Leibler divergence, on text that it wrote itself; Liu et al. 2024 do so for rotations). All tensors are rounded
as the .tflite rounds them; a rounding passes the gradient on, and hands a share to its range's two ends, which are
learned with the rest (Esser et al. 2020): seldom values are cut off where that makes the steps of all others finer.
Keys are less their mean (`pipeline.network.key_centering`), which is measured on the way.

Then the weights themselves learn, a tenth as fast, to make good what is left; the model in float so changes a little.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.network.decoder import TappedLayer, build_decoder
from pipeline.network.key_centering import rope_offset
from pipeline.quantize.ranges import fitted_floor
from pipeline.recipes.schema import ModelConfig, QatConfig
from pipeline.training.checkpointing import CHECKPOINT, Checkpoint, interruptible
from pipeline.training.loop import Progress, limit_threads
from pipeline.training.qat import SHARES, fold_gains

__all__ = ["Fit", "Reparameterization", "fit_reparameterization", "write"]

_TOKENS = 1_536  # of a batch
_REPORT_EVERY = 25
_OF_FORM = 0.25  # of the steps
_RANGE_LEARNING_RATE = 0.01  # in which the logarithm of a range's end learns
_CUT_OFF = 1e-4  # share of a tensor's values beyond each end, at first
_AS_OTHERS = ("scores",)
"""Rounded as `masked`, in whose steps they are; scores here hold what no token sees, too."""
_CONSTANT = ("table", "rotation")
_TURNS = (-128 / 127, 1.0)  # so that 1 is an integer
_MEAN_MOMENTUM = 0.1  # in which the keys' means follow those of a batch
_TINY = 1e-6

Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Fit:
    """Result of the fit: the history every 25 steps, `step`, `loss` (the divergence in nats a token) and `agreement`
    (the share of tokens where integers and float find the same one most likely); with int8 activations the `ranges` by
    the names of `pipeline.network.decoder.TappedLayer` and the `key_means` by layer, as the decode step has them."""

    history: list[dict[str, float]]
    ranges: Ranges
    key_means: dict[str, np.ndarray]


def fit_reparameterization(
    model: keras.Model,
    config: ModelConfig,
    tuning: QatConfig,
    activations: str,
    text: np.ndarray,
    seed: int,
    out: Path,
    progress: Progress,
) -> Fit:
    """Rewrites the model, in place, for int8 weights and `int8` or `int16` activations, or goes on from the checkpoint
    in `out`.

    A quarter of the steps fits the reparameterization, which does not change the float function, the others the
    weights. The state is saved once a minute, at the end, and when Ctrl-C or SIGTERM asks to stop; the caller discards
    it when the weights are kept.

    Args:
        config: RMSNorm, rotary positions, a gated feed-forward part, a head of its own.
        text: int32 [texts, length], of the model itself.

    Raises:
        KeyboardInterrupt: Ctrl-C came; the state is saved.
        SystemExit: SIGTERM came; the state is saved.
    """
    limit_threads()
    with _one_order_of_sums():
        return _Fitting(model, config, tuning, activations, text, seed, out, progress).run()


@contextmanager
def _one_order_of_sums() -> Iterator[None]:
    """Graphs that are compiled meanwhile add gradients in an order that is the same in every process, see
    `pipeline.training.loop`. XLA would do so too, but takes longer to compile these than it saves in 1,000 steps."""
    options = tf.config.optimizer
    before = options.get_experimental_options().get("arithmetic_optimization", True)
    options.set_experimental_options({"arithmetic_optimization": False})
    try:
        yield
    finally:
        options.set_experimental_options({"arithmetic_optimization": before})


class _Fitting:
    """One fit from its first step, or its checkpoint, to its last."""

    def __init__(
        self,
        model: keras.Model,
        config: ModelConfig,
        tuning: QatConfig,
        activations: str,
        text: np.ndarray,
        seed: int,
        out: Path,
        progress: Progress,
    ) -> None:
        self._settings = {
            "fit": vars(tuning),
            "activations": activations,
            "seed": seed,
            "text": zlib.crc32(np.ascontiguousarray(text).tobytes()),
            "weights": zlib.crc32(b"".join(weight.numpy().tobytes() for weight in model.weights)),
        }
        self._model, self._tuning, self._text, self._progress = model, tuning, text, progress
        self._path = out / CHECKPOINT
        self._teacher = build_decoder(config)
        self._teacher.set_weights(model.get_weights())
        fold_gains(model, config)
        self._size = min(max(1, _TOKENS // text.shape[1]), len(text))
        self._levels = _Levels(activations, config)
        self._form, self._weights = Reparameterization(config, seed), _Weights(model)
        self._rng = np.random.default_rng(seed)
        self._history: list[dict[str, float]] = []
        self._results: list[tuple[float, float]] = []  # since the history's last entry
        self._done = 0

    def run(self) -> Fit:
        self._observe(self._form)
        of_form = round(self._tuning.steps * _OF_FORM)
        fit_form = self._trainer(self._form)
        fit_weights = self._trainer(self._weights)
        variables = [*self._model.weights, *self._form.variables, *self._weights.state, *self._levels.state]
        variables += [*fit_form.state, *fit_weights.state]
        self._checkpoint = Checkpoint(self._path, variables, self._settings)
        facts = self._checkpoint.load()
        if facts is not None:
            self._done, self._history, self._results = facts["step"], facts["history"], facts["results"]
            self._rng.bit_generator.state = facts["random"]
        began_at = self._done
        with interruptible(self._save) as checkpoint:
            self._steps(fit_form, 0, of_form, checkpoint)
            if self._done == of_form:
                write(self._model, self._form)
                self._weights.measure(self._model)
                self._observe(self._weights)
            self._steps(fit_weights, of_form, self._tuning.steps, checkpoint)
        if self._done > began_at:
            self._save()
        write(self._model, self._weights)
        return Fit(self._history, self._levels.ranges(), self._levels.key_means())

    def _observe(self, trainable: Reparameterization | _Weights) -> None:
        self._levels.observe(self._model, trainable, self._text[: 2 * self._size, :-1])

    def _trainer(self, trainable: Reparameterization | _Weights) -> _Trainer:
        return _Trainer(self._model, self._teacher, self._levels, trainable)

    def _steps(self, trainer: _Trainer, first: int, last: int, checkpoint: Callable[[], None]) -> None:
        """The steps of one phase that are not done yet."""
        steps, rate = last - first, self._tuning.learning_rate * trainer.learning_rate_factor
        with trainer.rounding():
            while self._done < last:
                number = self._done - first
                rate_factor = min(1.0, (number + 1) / 10) * (1 + np.cos(np.pi * number / steps)) / 2
                batch = self._text[self._rng.choice(len(self._text), self._size, replace=False), :-1]
                self._results.append(trainer.step(batch, rate * rate_factor, _RANGE_LEARNING_RATE * rate_factor))
                self._done += 1
                if self._done % _REPORT_EVERY == 0 or self._done == self._tuning.steps:
                    loss, agreement = np.mean(self._results, axis=0)
                    self._history.append({"step": self._done, "loss": float(loss), "agreement": float(agreement)})
                if self._done % _REPORT_EVERY == 0 or self._done == last:
                    self._results = []
                self._progress(self._done, self._tuning.steps, self._history[-1] if self._history else {})
                checkpoint()

    def _save(self) -> None:
        self._checkpoint.save(
            {
                "step": self._done,
                "history": self._history,
                "results": self._results,
                "random": self._rng.bit_generator.state,
            }
        )


def write(model: keras.Model, trainable: Reparameterization | _Weights) -> None:
    """Writes the reparameterized weights into the model."""
    for name, weight in _tapped_weights(model):
        weight.assign(trainable.written(name, weight))


def _tapped_weights(model: keras.Model) -> Iterator[tuple[str, tf.Variable]]:
    """The embedding's table and the kernels, by the names under which their layers tap them."""
    for layer in _tapped_layers(model):
        for kind in ("table", "kernel"):
            weight = getattr(layer, kind, None)
            if weight is not None:
                yield f"{layer.name}/{kind}", weight


def _tapped_layers(model: keras.Model) -> list[TappedLayer]:
    return [layer for layer in model.layers if isinstance(layer, TappedLayer)]


class _Trainer:
    """The training step of one phase, with Adam."""

    def __init__(
        self,
        model: keras.Model,
        teacher: keras.Model,
        levels: _Levels,
        trainable: Reparameterization | _Weights,
    ) -> None:
        self._model, self._levels, self._trainable = model, levels, trainable
        self.learning_rate_factor = trainable.learning_rate_factor
        groups = [
            (variables, keras.optimizers.Adam(beta_2=0.98))
            for variables in (trainable.variables, levels.variables)
            if variables
        ]
        for variables, optimizer in groups:
            optimizer.build(variables)

        @tf.function(reduce_retracing=True, autograph=False)
        def step(tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            teacher_log_probs = tf.nn.log_softmax(teacher(tokens, training=False))
            with tf.GradientTape() as tape:
                student_log_probs = tf.nn.log_softmax(model(tokens, training=False))
                loss = tf.reduce_mean(
                    tf.reduce_sum(tf.exp(teacher_log_probs) * (teacher_log_probs - student_log_probs), axis=-1)
                )
            slopes = tape.gradient(loss, [variables for variables, _ in groups])
            for (variables, optimizer), of_group in zip(groups, slopes, strict=True):
                gradients, _ = tf.clip_by_global_norm(of_group, 1.0)
                optimizer.apply_gradients(zip(gradients, variables, strict=True))
            agreed = tf.argmax(student_log_probs, axis=-1) == tf.argmax(teacher_log_probs, axis=-1)
            return loss, tf.reduce_mean(tf.cast(agreed, tf.float32))

        self._groups, self._step = groups, step

    @property
    def state(self) -> list[tf.Variable]:
        """Adam's variables."""
        return [variable for _, optimizer in self._groups for variable in optimizer.variables]

    def rounding(self) -> AbstractContextManager[None]:
        """The model computes in integers, its weights in the form that is trained."""
        return self._levels.rounding(self._model, self._trainable)

    def step(self, tokens: np.ndarray, *rates: float) -> tuple[float, float]:
        """Takes tokens [B, T], the learning rate and that of the ranges' ends; returns the divergence in nats a token,
        and the agreement. The model must be `rounding`."""
        for (_, optimizer), rate in zip(self._groups, rates, strict=False):
            optimizer.learning_rate = rate
        loss, agreement = self._step(tf.constant(tokens))
        return float(loss), float(agreement)


class Reparameterization:
    """Function-preserving reparameterization of the weights, by the names of `pipeline.network.decoder.TappedLayer`.

    `variables` are zero where only the residual stream is turned.
    """

    learning_rate_factor = 1.0

    def __init__(self, config: ModelConfig, seed: int) -> None:
        self._config = config
        square, triangle = np.linalg.qr(np.random.default_rng(seed).normal(size=(config.d_model, config.d_model)))
        self._start = tf.constant(square * np.sign(np.diag(triangle)), tf.float32)
        layers, heads, width = config.weight_layers, config.kv_heads, config.head_dim
        shapes = {
            "turn": (config.d_model, config.d_model),
            "pair_size": (layers, heads, width // 2),
            "pair_turn": (layers, heads, width // 2),
            "mix": (layers, heads, width, width),
            "channel": (layers, config.ffn_dim),
        }
        self._of = {name: tf.Variable(tf.zeros(shape), name=name) for name, shape in shapes.items()}

    @property
    def variables(self) -> list[tf.Variable]:
        """Trainable variables."""
        return list(self._of.values())

    def written(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """The embedding's table [vocab, d_model] or a kernel [in, out] in this form."""
        layer, _, what = name.rpartition("/")
        turn = self._turn()
        if what == "table":
            return x @ turn
        if layer == "head":
            return tf.transpose(turn) @ x
        number, kind = layer.removeprefix("layer").split("_")
        i = int(number)
        if kind == "down":
            return (tf.exp(self._of["channel"][i])[:, None] * x) @ turn
        if kind == "o":
            return self._unmixed(i, x) @ turn
        x = tf.transpose(turn) @ x
        if kind == "up":
            return x * tf.exp(-self._of["channel"][i])
        if kind == "v":
            heads = tf.reshape(x, (-1, self._config.kv_heads, self._config.head_dim))
            return tf.reshape(tf.einsum("nhd,hde->nhe", heads, self._mix(i)), x.shape)
        return self._paired(i, x, 1.0 if kind == "q" else -1.0) if kind in ("q", "k") else x

    def _turn(self) -> tf.Tensor:
        """A rotation: the first one, and Cayley's of what was learned."""
        skew = (self._of["turn"] - tf.transpose(self._of["turn"])) / 2
        identity = tf.eye(self._config.d_model)
        return self._start @ tf.linalg.solve(identity - skew, identity + skew)

    def _mix(self, i: int) -> tf.Tensor:
        return tf.eye(self._config.head_dim) + self._of["mix"][i]

    def _unmixed(self, i: int, x: tf.Tensor) -> tf.Tensor:
        group = self._config.heads // self._config.kv_heads
        rows = tf.reshape(x, (self._config.kv_heads, group, self._config.head_dim, -1))
        return tf.reshape(tf.einsum("hde,hgen->hgdn", tf.linalg.inv(self._mix(i)), rows), x.shape)

    def _paired(self, i: int, x: tf.Tensor, sign: float) -> tf.Tensor:
        """Each pair's columns scaled (q one way, k the other) and turned (both the same way)."""
        pairs = tf.reshape(x, (tf.shape(x)[0], self._config.kv_heads, -1, 2, self._config.head_dim // 2))
        size = tf.exp(sign * self._of["pair_size"][i])[:, None]
        cos, sin = (function(self._of["pair_turn"][i])[:, None] * size for function in (tf.cos, tf.sin))
        first, second = pairs[..., 0, :], pairs[..., 1, :]
        turned = tf.stack([first * cos - second * sin, first * sin + second * cos], axis=-2)
        return tf.reshape(turned, x.shape)


class _Weights:
    """The weights themselves, each in steps of the mean magnitude of its matrix."""

    learning_rate_factor = 0.1

    def __init__(self, model: keras.Model) -> None:
        self._of = {
            name: (tf.Variable(tf.zeros_like(weight), name=name.replace("/", "_")), tf.Variable(0.0, trainable=False))
            for name, weight in _tapped_weights(model)
        }

    @property
    def variables(self) -> list[tf.Variable]:
        """Trainable variables."""
        return [change for change, _ in self._of.values()]

    @property
    def state(self) -> list[tf.Variable]:
        """All variables."""
        return [variable for both in self._of.values() for variable in both]

    def measure(self, model: keras.Model) -> None:
        """Takes the magnitudes of the model's weights."""
        for name, weight in _tapped_weights(model):
            self._of[name][1].assign(tf.reduce_mean(tf.abs(weight)))

    def written(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """The embedding's table or a kernel, as it is by now."""
        change, size = self._of[name]
        return x + size * change


class _Levels:
    """Rounds the network's tensors, by the names of `pipeline.network.decoder.TappedLayer`, its weights as a form
    writes them."""

    def __init__(self, activations: str, config: ModelConfig) -> None:
        self._activations, self._config = activations, config
        self._rope_offset = rope_offset(config.context, config.rope_frequencies)
        self._means: dict[str, tf.Variable] = {}  # [kv_heads, 2, head_dim / 2]
        self._ends: dict[str, tuple[tf.Variable | None, tf.Variable]] = {}  # logarithms; none below 0: it begins there
        self._form: Reparameterization | _Weights

    def observe(self, model: keras.Model, trainable: Reparameterization | _Weights, tokens: np.ndarray) -> None:
        """Takes the ranges of tensors that have none yet, and the keys' means, from tokens [B, T]."""
        with self._hooked(model, trainable, self._observe):
            model(tf.constant(tokens))

    def rounding(self, model: keras.Model, trainable: Reparameterization | _Weights) -> AbstractContextManager[None]:
        """The model computes in integers, its weights written in a form."""
        return self._hooked(model, trainable, self._round)

    @contextmanager
    def _hooked(
        self, model: keras.Model, trainable: Reparameterization | _Weights, hook: Callable[[str, tf.Tensor], tf.Tensor]
    ) -> Iterator[None]:
        self._form = trainable
        try:
            for layer in _tapped_layers(model):
                layer.hook = hook
            yield
        finally:
            for layer in _tapped_layers(model):
                layer.hook = None

    @property
    def variables(self) -> list[tf.Variable]:
        """The ranges' ends."""
        return [end for ends in self._ends.values() for end in ends if end is not None]

    @property
    def state(self) -> list[tf.Variable]:
        """The ranges' ends and the keys' means."""
        return [*self.variables, *self._means.values()]

    def key_means(self) -> dict[str, np.ndarray]:
        """What keys are less, by layer; over the drift's factor it is an integer of the product that makes the keys."""
        ranges = self.ranges()
        means: dict[str, np.ndarray] = {}
        for layer, mean in self._means.items():
            low, high = ranges[f"{layer}_k/out"]
            step = (high - low) / 255
            integers = np.clip(
                np.round(mean.numpy() / self._rope_offset.factor / step), np.ceil(low / step), high // step
            )
            means[layer] = np.float32(step) * integers * self._rope_offset.factor
        return means

    def ranges(self) -> Ranges:
        """Range of each tensor; the decode step has the attention's 1/√head_dim in the query."""
        ranges: Ranges = {"rotation": _TURNS} if self._ends else {}
        for name, ends in self._ends.items():
            low, high = (float(end) for end in _range(*ends))
            what = name.rpartition("/")[2]
            query = what.startswith("q") or name.endswith("_q/out")
            scale = self._config.head_dim**-0.5 if query else 1.0
            ranges[name] = low * scale, high * scale
        return ranges

    def _observe(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """Takes the tensor's range, where it has none yet. Not for graphs."""
        x, kind = self._smoothed(name, x), name.rpartition("/")[2]
        if kind in ("kernel", "table"):
            return self._form.written(name, x)
        fixed = kind in (*SHARES, *_AS_OTHERS, *_CONSTANT)
        if self._activations == "int8" and name not in self._ends and not fixed:
            values = x.numpy()
            if kind == "masked" or name == "head/out":
                rows = values.reshape(-1, x.shape[-1])
                high = float(values.max())
                low = fitted_floor(rows[:: max(1, len(rows) // 2_000)], high)
            else:
                low, high = (float(end) for end in np.quantile(values, (_CUT_OFF, 1 - _CUT_OFF)))
            begins_at_0 = values.min() >= 0
            self._ends[name] = (
                None if begins_at_0 else tf.Variable(np.log(max(-low, _TINY)), dtype=tf.float32),
                tf.Variable(np.log(max(high, _TINY)), dtype=tf.float32),
            )
        return x

    def _smoothed(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """Keys, before and after they are turned, less their mean; other tensors as they are."""
        if self._activations == "int16" or self._config.unbounded:
            return x
        layer = name.partition("_")[0]
        if name == f"{layer}_k/out":
            heads, pairs = self._config.kv_heads, self._config.head_dim // 2
            keys = tf.reshape(x, (*tf.unstack(tf.shape(x)[:2]), heads, 2, pairs))
            mean = tf.stop_gradient(tf.reduce_mean(keys, axis=(0, 1))) * self._rope_offset.slow
            if layer not in self._means:
                self._means[layer] = tf.Variable(mean, trainable=False)
            self._means[layer].assign_add(_MEAN_MOMENTUM * (mean - self._means[layer]))
            return tf.reshape(keys - self._means[layer], tf.shape(x))
        if name == f"{layer}_attention/k":
            moved = tf.constant(self._rope_offset.matrices)[: tf.shape(x)[1]]
            means = tf.constant(1 / self._rope_offset.factor) * self._means[layer]
            return x + tf.reshape(tf.einsum("hap,tpaj->thjp", means, moved), tf.shape(x)[1:])
        return x

    def _round(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """The tensor in steps of its integers, as a number."""
        x, kind = self._smoothed(name, x), name.rpartition("/")[2]
        if kind in ("kernel", "table"):
            x = self._form.written(name, x)
        if kind == "kernel":
            max_abs = tf.reduce_max(tf.abs(x), axis=0, keepdims=True)
            return _rounded(x, tf.maximum(max_abs, _TINY) / 127)
        if self._activations == "int16" or kind in _AS_OTHERS:
            return x
        if kind in SHARES:
            return tf.minimum(_rounded(x, tf.constant(1 / 256)), 255 / 256)
        if kind == "rotation":
            low, high = (tf.constant(end, tf.float32) for end in _TURNS)
        elif kind in _CONSTANT:
            low, high = tf.minimum(tf.reduce_min(x), 0.0), tf.maximum(tf.reduce_max(x), _TINY)
        else:
            low, high = _range(*self._ends[name])
        scale = (high - low) / 255
        zero = tf.round(-128 - low / scale)
        low, high = _value(low, (-128 - zero) * scale), _value(high, (127 - zero) * scale)
        return _rounded(tf.minimum(tf.maximum(x, low), high), scale)


def _range(low: tf.Variable | None, high: tf.Variable) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.constant(0.0) if low is None else -tf.exp(low), tf.exp(high)


def _value(x: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """The value, with the gradient of `x`."""
    return x + tf.stop_gradient(value - x)


def _rounded(x: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    return _value(x / scale, tf.round(x / scale)) * scale
