"""The decoder-only transformer in tf_keras, as it is trained: all positions of a sequence at once.

Attention's projections and the feed-forward part are Dense layers, so that tensorflow-model-optimization can prune
them.
`pipeline.network.decode_step` builds the same network for one token at a time from these weights.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.numerics.kv_window import SlidingWindow, strided_window
from pipeline.recipes.schema import ModelConfig

__all__ = [
    "MASK",
    "NORM_EPSILON",
    "Attention",
    "Dropout",
    "Embed",
    "Gate",
    "Norm",
    "Projection",
    "Residual",
    "TappedLayer",
    "Unembed",
    "build_decoder",
    "dropout_bits",
    "gelu",
    "rope_matrices",
    "rotate_pairs",
]

NORM_EPSILON = 1e-5
MASK = -30.0
"""What the decode step adds to the scores of positions that are not there yet. A query's best score may lie well below
0, and e^−30 is nothing beside that too (with −20 int8 lost up to 2.5 points); much more would cost the int8 scale of
the scores."""
_GELU = 2 * (2 / np.pi) ** 0.5
MASKED = -1e4
"""What training adds besides: with less a model learns to see the future."""


def rope_matrices(context: int, frequencies: Sequence[float]) -> np.ndarray:
    """float32 [context, head_dim / 2, 2, 2]: what each pair of a head, as a row, is multiplied with at a position, the
    matrix (cos, sin; −sin, cos). A pair is j and j + head_dim / 2 (Su et al. 2021).

    Args:
        context: positions.
        frequencies: [head_dim / 2] radians a position, `ModelConfig.rope_frequencies`.
    """
    angles = np.arange(context)[:, None] * np.asarray(frequencies, np.float64)[None, :]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([cos, sin, -sin, cos], axis=-1).reshape(*angles.shape, 2, 2).astype(np.float32)


class TappedLayer:
    """A layer with taps on its tensors: `hook`, if set, receives a name and a tensor, and returns its replacement.
    Names match the decode step's tensors: weights as used in a product, and activations.
    """

    name: str
    hook: Callable[[str, tf.Tensor], tf.Tensor] | None = None

    def tap(self, what: str, x: tf.Tensor) -> tf.Tensor:
        """Returns the tensor, or the hook's replacement."""
        return x if self.hook is None else self.hook(f"{self.name}/{what}", x)


_DROPOUT_BITS: ContextVar[tf.Tensor] = ContextVar("dropout_bits")
_DROPOUT_LEVELS = 65_536  # of 16 random bits


@contextlib.contextmanager
def dropout_bits(bits: tf.Tensor) -> Iterator[None]:
    """The randomness of all `Dropout` layers that are called with `training=True` meanwhile.

    Args:
        bits: uint16 [layers of dropout, at least the elements of a layer's input], all values alike often.
    """
    token = _DROPOUT_BITS.set(bits)
    try:
        yield
    finally:
        _DROPOUT_BITS.reset(token)


class Dropout(keras.layers.Layer):
    """Dropout whose mask comes from `dropout_bits`, of which the layer takes the row of its number.

    Keras' own layer keeps a generator, whose state a checkpoint would have to hold too; and in a compiled step random
    numbers take a quarter of the time, where NumPy draws them in a hundredth.
    """

    def __init__(self, rate: float, number: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate, self.number = rate, number

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        dropped = round(self.rate * _DROPOUT_LEVELS)
        if not training or not dropped:
            return x
        bits = tf.reshape(_DROPOUT_BITS.get()[self.number, : tf.size(x)], tf.shape(x))
        scale = _DROPOUT_LEVELS / (_DROPOUT_LEVELS - dropped)
        return tf.where(tf.cast(bits, tf.int32) >= dropped, x * scale, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "number": self.number}


class Embed(TappedLayer, keras.layers.Layer):
    """Token embedding, plus the position's where positions are learned. int32 [B, T] → float32 [B, T, d_model]."""

    def __init__(self, vocab_size: int, d_model: int, context: int, learned_positions: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = {
            "vocab_size": vocab_size,
            "d_model": d_model,
            "context": context,
            "learned_positions": learned_positions,
        }

    def build(self, input_shape: Any) -> None:
        sizes = self.sizes
        scale = sizes["d_model"] ** -0.5
        self.table = self.add_weight(
            "table", (sizes["vocab_size"], sizes["d_model"]), initializer=keras.initializers.RandomNormal(stddev=scale)
        )
        if sizes["learned_positions"]:
            self.positions = self.add_weight(
                "positions",
                (sizes["context"], sizes["d_model"]),
                initializer=keras.initializers.RandomNormal(stddev=scale / 4),
            )
        super().build(input_shape)

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        rows = tf.gather(self.tap("table", self.table), tokens)
        if self.sizes["learned_positions"]:
            rows = self.tap("out", rows + self.tap("positions", self.positions)[: tf.shape(tokens)[1]])
        return rows

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.sizes}


class Unembed(TappedLayer, keras.layers.Layer):
    """Logits from the embedding's own table (tied). float32 [B, T, d_model] → [B, T, vocab]."""

    def __init__(self, embed: Embed, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Not tracked here: the weight belongs to the embedding.
        self._table: Callable[[], tf.Variable] = lambda: embed.table

    def call(self, rows: tf.Tensor) -> tf.Tensor:
        return self.tap("out", tf.tensordot(rows, self.tap("kernel", tf.transpose(self._table())), 1))


class Projection(TappedLayer, keras.layers.Dense):
    """A Dense layer, which tensorflow-model-optimization may prune."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        y = tf.tensordot(x, self.tap("kernel", self.kernel), 1)
        if self.use_bias:
            y += self.bias
        return self.tap("out", y if self.activation is None else self.activation(y))

    def get_prunable_weights(self) -> list[tf.Variable]:
        """The kernel; the bias stays."""
        return [self.kernel]


class Residual(TappedLayer, keras.layers.Layer):
    """The sum of a block's input and output."""

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return self.tap("out", inputs[0] + inputs[1])


class Gate(TappedLayer, keras.layers.Layer):
    """SwiGLU's gate: gate · sigmoid(gate) · up."""

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        gate, up = inputs
        return self.tap("out", self.tap("gate", gate * self.tap("sigmoid", tf.sigmoid(gate))) * up)


class Norm(TappedLayer, keras.layers.Layer):
    """RMSNorm or LayerNorm over the last axis, with gain, and offset for LayerNorm."""

    def __init__(self, kind: str, epsilon: float = NORM_EPSILON, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind, self.epsilon = kind, epsilon

    def build(self, input_shape: Any) -> None:
        width = int(input_shape[-1])
        self.gamma = self.add_weight("gamma", (width,), initializer="ones")
        if self.kind == "layernorm":
            self.beta = self.add_weight("beta", (width,), initializer="zeros")
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if self.kind == "layernorm":
            x = self.tap("centered", x - self.tap("mean", tf.reduce_mean(x, axis=-1, keepdims=True)))
        mean = self.tap("variance", tf.reduce_mean(self.tap("square", x * x), axis=-1, keepdims=True))
        y = self.tap("out", x * self.tap("rsqrt", tf.math.rsqrt(mean + self.epsilon))) * self.gamma
        return y + self.beta if self.kind == "layernorm" else y

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "epsilon": self.epsilon}


class Attention(TappedLayer, keras.layers.Layer):
    """Causal attention between projected q, k and v, with a window where there is one; no weights of its own.

    q float32 [B, T, heads·head_dim]; k, v [B, T, kv_heads·head_dim] → [B, T, heads·head_dim]. Query heads g·group to
    (g+1)·group−1 share K/V head g. `frequencies` are those of rotary positions, none where positions are learned.
    """

    def __init__(
        self,
        heads: int,
        kv_heads: int,
        frequencies: Sequence[float],
        context: int,
        window: int = 0,
        sinks: int = 0,
        stride: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sizes: dict[str, Any] = {
            "heads": heads,
            "kv_heads": kv_heads,
            "frequencies": list(frequencies),
            "context": context,
            "window": window,
            "sinks": sinks,
            "stride": stride,
        }

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        q, k, v = inputs
        kv_heads, group = self.sizes["kv_heads"], self.sizes["heads"] // self.sizes["kv_heads"]
        batch, length, width = tf.shape(q)[0], tf.shape(q)[1], q.shape[-1]
        head_dim = width // self.sizes["heads"]
        q = tf.reshape(q, (batch, length, kv_heads, group, head_dim))
        k = tf.reshape(k, (batch, length, kv_heads, head_dim))
        v = tf.reshape(v, (batch, length, kv_heads, head_dim))
        if self.sizes["frequencies"]:
            matrices = rope_matrices(self.sizes["context"], self.sizes["frequencies"])
            turns = self.tap("rotation", tf.constant(matrices))[:length]
            q = self.tap("q", rotate_pairs(q, turns[:, None, None]))
            k = self.tap("k", rotate_pairs(k, turns[:, None]))
        visible = tf.constant(self._sees(), tf.float32)[:length, :length]
        # What is not seen scores 0, as rows of the KV cache that hold nothing: it has no part in the integers' ranges.
        scores = self.tap("scores", tf.einsum("btkgd,bskd->bkgts", q, k) * head_dim**-0.5 * visible)
        scores = self.tap("masked", scores + (1.0 - visible) * MASK) + (1.0 - visible) * MASKED
        mixed = tf.einsum("bkgts,bskd->btkgd", self.tap("softmax", tf.nn.softmax(scores)), v)
        return self.tap("out", tf.reshape(mixed, (batch, length, width)))

    def _sees(self) -> np.ndarray:
        context, sinks, stride = (self.sizes[key] for key in ("context", "sinks", "stride"))
        rows = self.sizes["window"] or context
        order = strided_window(rows, sinks, stride, context) if stride else SlidingWindow(rows, sinks)
        return order.sees(context)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.sizes}


def gelu(x: tf.Tensor) -> tf.Tensor:
    """x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2 (Hendrycks and Gimpel 2016), with the same sigmoid instead: of
    operators that all have int8 forms."""
    return x * tf.sigmoid(x * (x * x * (_GELU * 0.044715) + _GELU))


def rotate_pairs(x: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
    """Rows of heads, each of its pairs times its matrix: float32 [..., head_dim] and [..., head_dim / 2, 2, 2]."""
    a, b = tf.split(x, 2, axis=-1)
    return tf.concat([a * turns[..., 0, j] + b * turns[..., 1, j] for j in range(2)], axis=-1)


@tf.autograph.experimental.do_not_convert  # no layer has control flow of tensors
def build_decoder(config: ModelConfig, dropout: float = 0.0) -> keras.Model:
    """The training model: int32 tokens [B, T], T ≤ context → float32 logits [B, T, vocab].

    Dense layers are named `layer{i}_{q,k,v,o,gate,up,down}` and `head`; i counts layers with weights of their own.
    """
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    embed = Embed(config.vocab_size, config.d_model, config.context, config.positions == "learned", name="embed")
    x = Dropout(dropout, 0)(embed(tokens))

    def dense(width: int, name: str, bias: bool, activation: Any = None) -> Projection:
        scale = (2 * config.layers) ** -0.5 if name.endswith(("_o", "_down")) else 1.0
        return Projection(
            width,
            use_bias=bias,
            activation=activation,
            name=name,
            kernel_initializer=keras.initializers.VarianceScaling(scale * scale, "fan_in", "truncated_normal"),
        )

    gated = config.ffn == "gated"
    biases, ffn_biases = config.biases, config.biases or not gated
    activation = {"relu": "relu", "gelu": gelu, "gated": None}[config.ffn]
    frequencies = config.rope_frequencies if config.positions == "rotary" else ()
    for i in range(config.layers):
        own = f"layer{config.weights_of(i)}"
        if i % config.shared_layers == 0:  # layers with weights; those that share them go on with these
            norm_attention, norm_ffn = (
                Norm(config.norm, config.norm_epsilon, name=f"{own}_norm_{kind}") for kind in ("attention", "ffn")
            )
            q, k, v = (
                dense(config.d_model, f"{own}_q", biases),
                dense(config.kv_dim, f"{own}_k", biases),
                dense(config.kv_dim, f"{own}_v", biases),
            )
            o = dense(config.d_model, f"{own}_o", biases)
            gate = dense(config.ffn_dim, f"{own}_gate", biases) if gated else None
            up = dense(config.ffn_dim, f"{own}_up", ffn_biases, activation)
            down = dense(config.d_model, f"{own}_down", ffn_biases)
        h = norm_attention(x)
        mixed = Attention(
            config.heads,
            config.kv_heads,
            frequencies,
            config.context,
            config.window,
            config.sinks,
            config.stride,
            name=f"layer{i}_attention",
        )((q(h), k(h), v(h)))
        x = Residual(name=f"layer{i}_add_attention")((x, Dropout(dropout, 2 * i + 1)(o(mixed))))
        h = norm_ffn(x)
        h = up(h) if gate is None else Gate(name=f"layer{i}_gating")((gate(h), up(h)))
        x = Residual(name=f"layer{i}_add_ffn")((x, Dropout(dropout, 2 * i + 2)(down(h))))
    x = Norm(config.norm, config.norm_epsilon, name="norm_final")(x)
    head = Unembed(embed, name="unembed") if config.tied_embeddings else dense(config.vocab_size, "head", False)
    return keras.Model(tokens, head(x), name="decoder")
