"""An imported model's weights made to suit integers, and to compute the same in float.

A transformer with RMSNorm and rotary positions can be written in many ways: its residual stream may be rotated
(Ashkboos et al. 2024), a pair of a head's q scaled and turned against that pair of its k (which commutes with rotary
positions), a head's v mixed and its output's weights unmixed, a channel of the feed-forward part scaled up and down.
In float all are one function. In integers they are not: one large channel makes the steps of all others coarse. So the
way is learned in which the model in integers gives the float model's distribution of the next token best (by the
Kullback-Leibler divergence, on text that it wrote itself; Liu et al. 2024 do so for rotations). All tensors are rounded
as the .tflite rounds them; a rounding passes the gradient on, and hands a share to the range, which so learns to be
small (Esser et al. 2020).

Then the weights themselves learn for as many steps, a tenth as fast, to make good what is left; the model in float so
changes a little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig, QatConfig
from models.decoder import Hooked, build_decoder
from models.qat import fold_gains
from models.ranges import fitted_floor
from models.training import Progress, limit_threads

__all__ = ["Form", "suit_to_integers", "write"]

_TOKENS = 1_536  # of a batch
_REPORT_EVERY = 25
_SHARES = ("softmax", "sigmoid")  # from 0 to 1: TensorFlow Lite fixes their scale at 1/256


def suit_to_integers(
    model: keras.Model,
    config: ModelConfig,
    tuning: QatConfig,
    activations: str,
    text: np.ndarray,
    seed: int,
    progress: Progress,
) -> list[dict[str, float]]:
    """Rewrites the model, in place, for int8 weights and `int8` or `int16` activations.

    Half of the steps learn the form, which changes nothing in float, the others the weights.

    Args:
        config: RMSNorm, rotary positions, a gated feed-forward part, a head of its own.
        text: int32 [texts, length], of the model itself.

    Returns:
        The history every 25 steps: `step`, `loss` (the divergence in nats a token) and `agreement` (the share of tokens
        where integers and float find the same one most likely).
    """
    limit_threads()
    teacher = build_decoder(config)
    teacher.set_weights(model.get_weights())
    fold_gains(model, config)
    rng = np.random.default_rng(seed)
    size = min(max(1, _TOKENS // text.shape[1]), len(text))
    history: list[dict[str, float]] = []
    phases: tuple[tuple[int, Form | _Weights], ...] = (
        (tuning.steps // 2, Form(config, seed)),
        (tuning.steps - tuning.steps // 2, _Weights()),
    )
    done = 0
    for steps, form in phases:
        found: list[tuple[float, float]] = []
        with _in_integers(model, activations, form, text[:size, :-1]):
            step = _step(model, teacher, form.variables)
            for number in range(steps):
                pace = min(1.0, (number + 1) / 10) * (1 + np.cos(np.pi * number / steps)) / 2
                batch = text[rng.choice(len(text), size, replace=False), :-1]
                found.append(step(batch, tuning.learning_rate * form.pace * pace))
                done += 1
                if done % _REPORT_EVERY == 0 or done == tuning.steps:
                    loss, agreement = np.mean(found, axis=0)
                    history.append({"step": done, "loss": float(loss), "agreement": float(agreement)})
                    found = []
                progress(done, tuning.steps, history[-1] if history else {})
        write(model, form)
    return history


def write(model: keras.Model, form: Form | _Weights) -> None:
    """Puts the model's weights, in place, into a form."""
    for layer in _hooked(model):
        for name in ("table", "kernel"):
            weight = getattr(layer, name, None)
            if weight is not None:
                weight.assign(form.written(f"{layer.name}/{name}", weight))


@contextmanager
def _in_integers(model: keras.Model, activations: str, form: Form | _Weights, tokens: np.ndarray) -> Iterator[None]:
    """The model computes in integers, its weights written in a form; `tokens` show it what the floors are."""
    levels = _Levels(activations, form)
    try:
        for hook in (levels.observe, levels.round):
            for layer in _hooked(model):
                layer.hook = hook
            if hook == levels.observe:
                model(tf.constant(tokens))
        yield
    finally:
        for layer in _hooked(model):
            layer.hook = None


def _hooked(model: keras.Model) -> list[Hooked]:
    return [layer for layer in model.layers if isinstance(layer, Hooked)]


def _step(
    model: keras.Model, teacher: keras.Model, variables: Sequence[tf.Variable]
) -> Callable[[np.ndarray, float], tuple[float, float]]:
    """The compiled training step, with Adam: (tokens [B, T], learning rate) → divergence in nats a token, agreement."""
    optimizer = keras.optimizers.Adam(beta_2=0.98)

    @tf.function(reduce_retracing=True)
    def step(tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        wanted = tf.nn.log_softmax(teacher(tokens, training=False))
        with tf.GradientTape() as tape:
            given = tf.nn.log_softmax(model(tokens, training=False))
            loss = tf.reduce_mean(tf.reduce_sum(tf.exp(wanted) * (wanted - given), axis=-1))
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), 1.0)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        agreed = tf.argmax(given, axis=-1) == tf.argmax(wanted, axis=-1)
        return loss, tf.reduce_mean(tf.cast(agreed, tf.float32))

    def run(tokens: np.ndarray, rate: float) -> tuple[float, float]:
        optimizer.learning_rate = rate
        loss, agreement = step(tf.constant(tokens))
        return float(loss), float(agreement)

    return run


class Form:
    """How the model is written: what is done to its weights, by the names of `models.decoder.Hooked`.

    `variables` are zero where only the residual stream is turned.
    """

    pace = 1.0

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
        """What is learned."""
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
        one = tf.eye(self._config.d_model)
        return self._start @ tf.linalg.solve(one - skew, one + skew)

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

    pace = 0.1

    def __init__(self) -> None:
        self._of: dict[str, tuple[tf.Variable, tf.Tensor]] = {}

    @property
    def variables(self) -> list[tf.Variable]:
        """What is learned; complete when the network has been through."""
        return [variable for variable, _ in self._of.values()]

    def written(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """The embedding's table or a kernel, as it is by now."""
        if name not in self._of:
            change = tf.Variable(tf.zeros_like(x), name=name.replace("/", "_"))
            self._of[name] = (change, tf.reduce_mean(tf.abs(x)))
        change, size = self._of[name]
        return x + size * change


class _Levels:
    """Rounds the network's tensors, by the names of `models.decoder.Hooked`, its weights as the form writes them."""

    def __init__(self, activations: str, form: Form | _Weights) -> None:
        self._activations, self._form = activations, form
        self._floors: dict[str, float] = {}

    def observe(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """Chooses floors for what a softmax reads. Not for graphs."""
        if name.rpartition("/")[2] in ("kernel", "table"):
            return self._form.written(name, x)
        if name.endswith("/masked") or name == "head/out":
            rows = x.numpy().reshape(-1, x.shape[-1])
            self._floors[name] = fitted_floor(rows[:: max(1, len(rows) // 2_000)], float(rows.max()))
        return x

    def round(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """The tensor in steps of its integers, as a number; its range is this batch's."""
        kind = name.rpartition("/")[2]
        if kind in ("kernel", "table"):
            x = self._form.written(name, x)
        if kind == "kernel":
            most = tf.reduce_max(tf.abs(x), axis=0, keepdims=True)
            return _rounded(x, tf.maximum(most, 1e-9) / 127)
        if self._activations == "int16":
            return x
        if kind in _SHARES:
            return tf.minimum(_rounded(x, tf.constant(1 / 256)), 255 / 256)
        if kind == "scores":
            return x  # rounded as `masked`, with the same step; here it holds what no token sees, too
        low = tf.minimum(tf.reduce_min(x), 0.0) if name not in self._floors else tf.constant(self._floors[name])
        high = tf.maximum(tf.reduce_max(x), 0.0)
        scale = tf.maximum(high - low, 1e-9) / 255
        zero = tf.stop_gradient(tf.round(-128 - low / scale))
        return _rounded(tf.clip_by_value(x, (-128 - zero) * scale, (127 - zero) * scale), scale)


def _rounded(x: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    steps = x / scale
    return (steps + tf.stop_gradient(tf.round(steps) - steps)) * scale
