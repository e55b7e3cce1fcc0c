"""The decode step: the trained network for one token, with the KV cache as inputs and the new rows as outputs.

It is written in the ops that quantize well and that TensorFlow Lite Micro has in int8: x·x for a square, a mask table
looked up by position, rotary positions as one product of pairs with matrices that are looked up too. The norms' gains
go into the next layer's weights, the attention's 1/√head_dim into the query's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.network.decoder import MASK, gelu, rope_matrices
from pipeline.network.key_centering import rope_offset
from pipeline.numerics.kv_window import SlidingWindow, StridedWindow
from pipeline.numerics.rope import rope_matrix_q15
from pipeline.recipes.schema import ModelConfig

__all__ = ["DecodeStep", "mask_table"]


def mask_table(rows: int, kv_window: SlidingWindow | StridedWindow | None = None) -> np.ndarray:
    """Attention mask, float32 [rows, rows + 1]: row p makes the p filled cache rows and, in the last column, the token
    itself visible. With a ring more rows follow, for the positions after (`Ring.mask_row`)."""
    visible = kv_window.visible() if kv_window else SlidingWindow(rows).visible()[:rows]
    return np.where(visible, np.float32(0), np.float32(MASK))


class DecodeStep(tf.Module):
    """The step as a TensorFlow function with named inputs and outputs.

    Inputs: `token`, `position` int32 [1]; `k_cache_i`, `v_cache_i` float32 [kv_heads, cache_rows, head_dim].
    Outputs: `logits` [1, vocab]; `k_new_i`, `v_new_i` [kv_heads, 1, head_dim].
    With a window, `position` is the mask's row, and `rope_matrix_q15` float32 [head_dim / 2, 2, 2] is an input too
    (`pipeline.numerics.kv_window`); the cache row that the token takes is empty when the step begins.

    Args:
        rounded: maps each product's weights [in, out], with gains folded in, to the values used.
        named: tensors bear the names of `pipeline.network.decoder.TappedLayer`, which the .tflite keeps; its
            operators come in another order then.
        key_means: float32 [kv_heads, 2, head_dim / 2] by layer, `layer0`, which the keys are less; rotary positions,
            and no window (`pipeline.network.key_centering`).
    """

    def __init__(
        self,
        model: keras.Model,
        config: ModelConfig,
        rounded: Callable[[np.ndarray], np.ndarray] | None = None,
        named: bool = False,
        key_means: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self._at: Callable[[str], AbstractContextManager[object]] = tf.name_scope if named else nullcontext
        self.weights = _folded(model, config)
        for name, matrix in self.weights.items():
            if rounded and name not in ("embed", "positions") and not name.endswith("_bias"):
                self.weights[name] = rounded(matrix)
        self.key_means = dict(key_means or {})
        for layer, mean in self.key_means.items():
            self.weights[f"{layer}_k_bias"] = self.weights.get(f"{layer}_k_bias", np.float32(0)) - mean.reshape(-1)
        specs = {
            "token": tf.TensorSpec([1], tf.int32, "token"),
            "position": tf.TensorSpec([1], tf.int32, "position"),
        }
        if config.unbounded:
            specs["rotation"] = tf.TensorSpec([config.head_dim // 2, 2, 2], tf.float32, "rotation")
        shape = [config.kv_heads, config.cache_rows, config.head_dim]
        for i in range(config.layers):
            for kind in ("k", "v"):
                specs[f"{kind}_cache_{i}"] = tf.TensorSpec(shape, tf.float32, f"{kind}_cache_{i}")
        step = tf.function(lambda **inputs: self._step(inputs), autograph=False)
        self.function = step.get_concrete_function(**specs)
        self._many = tf.function(
            lambda each, same: tf.vectorized_map(lambda inputs: self._step({**inputs, **same}), each), autograph=False
        )

    def empty_cache(self) -> dict[str, np.ndarray]:
        """Caches before the first token, all zero."""
        shape = (self.config.kv_heads, self.config.cache_rows, self.config.head_dim)
        names = [f"{kind}_cache_{i}" for i in range(self.config.layers) for kind in ("k", "v")]
        return {name: np.zeros(shape, np.float32) for name in names}

    def inputs_at(self, position: int, token: int, cache: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs of the step at a position. With a window, the row that the token takes is zeroed first."""
        kv_window = self.config.kv_window
        inputs = {"token": np.array([token], np.int32), "position": np.array([position], np.int32)}
        if kv_window:
            for rows in cache.values():
                rows[..., kv_window.slot(position), :] = 0.0
            inputs["position"] = np.array([kv_window.mask_row(position)], np.int32)
        if self.config.unbounded:
            inputs["rotation"] = (rope_matrix_q15(position, self.config.head_dim) / 32767).astype(np.float32)
        return {**inputs, **{name: rows.copy() for name, rows in cache.items()}}

    def batch(self, position: int, tokens: np.ndarray, cache: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
        """The step for many texts at one position: tokens int32 [B], caches and outputs with an axis [B] before."""
        inputs = self.inputs_at(position, 0, cache)
        each = {"token": tokens[:, None], **{name: inputs.pop(name) for name in cache}}
        del inputs["token"]
        outputs: dict[str, tf.Tensor] = self._many(
            {name: tf.constant(value) for name, value in each.items()},
            {name: tf.constant(value) for name, value in inputs.items()},
        )
        return outputs

    def keep(self, position: int, outputs: dict[str, Any], cache: dict[str, np.ndarray]) -> None:
        """Writes the step's new rows into the caches."""
        kv_window = self.config.kv_window
        for name, rows in cache.items():
            new = outputs[name.replace("cache", "new")]
            rows[..., kv_window.slot(position) if kv_window else position, :] = np.asarray(new)[..., 0, :]

    def _step(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        config, weights = self.config, self.weights
        position = inputs["position"]
        x = tf.gather(weights["embed"], inputs["token"])
        if config.positions == "learned":
            x = x + tf.gather(weights["positions"], position)
        elif config.unbounded:
            turns = inputs["rotation"]
        else:
            with self._at("rotation"):
                turns = _looked_up(rope_matrices(config.context, config.rope_frequencies), position)
        if self.key_means:
            with self._at("rotation"):
                moved = rope_offset(config.context, config.rope_frequencies)
                key_turns = tf.concat([turns, _looked_up(moved.matrices, position)], axis=1)
        table = mask_table(config.cache_rows, config.kv_window)
        mask = tf.reshape(tf.gather(table, position), (1, 1, config.cache_rows + 1))
        outputs: dict[str, tf.Tensor] = {}
        group = config.heads // config.kv_heads
        for i in range(config.layers):
            own, here = f"layer{config.weights_of(i)}", f"layer{i}"
            h = self._norm(x, f"{own}_norm_attention")
            q = tf.reshape(self._dense(h, f"{own}_q"), (config.kv_heads, group, config.head_dim))
            k = tf.reshape(self._dense(h, f"{own}_k"), (config.kv_heads, 1, config.head_dim))
            v = tf.reshape(self._dense(h, f"{own}_v"), (config.kv_heads, 1, config.head_dim))
            if config.positions == "rotary":
                q = self._rotate(q, turns, f"{here}_attention/q")
                mean = self.key_means.get(own)
                if mean is None:
                    k = self._rotate(k, turns, f"{here}_attention/k")
                else:
                    k = self._rotate(k, key_turns, f"{here}_attention/k", mean / moved.factor)
            keys = tf.concat([inputs[f"k_cache_{i}"], k], axis=1)
            values = tf.concat([inputs[f"v_cache_{i}"], v], axis=1)
            with self._at(f"{here}_attention/masked"):
                masked = tf.matmul(q, keys, transpose_b=True) + mask
            with self._at(f"{here}_attention/out"):
                mixed = tf.matmul(tf.nn.softmax(masked), values)
            o = self._dense(tf.reshape(mixed, (1, config.d_model)), f"{own}_o")
            with self._at(f"{here}_add_attention/out"):
                x = x + o
            h = self._norm(x, f"{own}_norm_ffn")
            if config.ffn == "gated":
                gate = self._dense(h, f"{own}_gate")
                with self._at(f"{here}_gating/gate"):
                    gate = gate * tf.sigmoid(gate)
                up = self._dense(h, f"{own}_up")
                with self._at(f"{here}_gating/out"):
                    h = gate * up
            else:
                up = self._dense(h, f"{own}_up")
                h = gelu(up) if config.ffn == "gelu" else tf.nn.relu(up)
            h = self._dense(h, f"{own}_down")
            with self._at(f"{here}_add_ffn/out"):
                x = x + h
            outputs[f"k_new_{i}"], outputs[f"v_new_{i}"] = tf.identity(k), tf.identity(v)
        return {"logits": self._dense(self._norm(x, "norm_final"), "head"), **outputs}

    def _dense(self, x: tf.Tensor, name: str) -> tf.Tensor:
        with self._at(f"{name}/out"):
            y = tf.matmul(x, self.weights[name])
            return y + self.weights[f"{name}_bias"] if f"{name}_bias" in self.weights else y

    def _norm(self, x: tf.Tensor, name: str) -> tf.Tensor:
        if self.config.norm == "layernorm":
            x = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        with self._at(f"{name}/square"):
            square = x * x
        with self._at(f"{name}/variance"):
            mean = tf.reduce_mean(square, axis=-1, keepdims=True) + self.config.norm_epsilon
        with self._at(f"{name}/rsqrt"):
            root = tf.math.rsqrt(mean)
        with self._at(f"{name}/out"):
            return x * root

    def _rotate(self, x: tf.Tensor, turns: tf.Tensor, name: str, more: np.ndarray | None = None) -> tf.Tensor:
        """Each pair of each head times its matrix: x [..., head_dim], turns [head_dim / 2, 2, 2]. With `more`, [heads,
        2, head_dim / 2], a pair has two further terms, and its matrix two further rows."""
        pairs = tf.transpose(tf.reshape(x, (-1, 2, turns.shape[0])), (2, 0, 1))
        if more is not None:
            pairs = tf.concat([pairs, more.transpose(2, 0, 1)], axis=-1)
        with self._at(name):
            turned = tf.matmul(pairs, turns)
            return tf.reshape(tf.transpose(turned, (1, 2, 0)), x.shape)


def _looked_up(table: np.ndarray, position: tf.Tensor) -> tf.Tensor:
    """What stands at a position of a table [context, ...]."""
    return tf.reshape(tf.gather(table.reshape(len(table), -1), position), table.shape[1:])


def _folded(model: keras.Model, config: ModelConfig) -> dict[str, np.ndarray]:
    """The step's constants, float32: kernels [in, out] with gains and scales folded in, and biases."""

    def kernel(name: str) -> np.ndarray:
        return np.array(model.get_layer(name).kernel)

    def norm(name: str) -> tuple[np.ndarray, np.ndarray | None]:
        layer = model.get_layer(name)
        return np.array(layer.gamma), np.array(layer.beta) if config.norm == "layernorm" else None

    embed = model.get_layer("embed")
    weights: dict[str, Any] = {"embed": np.array(embed.table)}
    if config.positions == "learned":
        weights["positions"] = np.array(embed.positions)

    def put(name: str, matrix: np.ndarray, before: str, bias: np.ndarray | None = None) -> None:
        gamma, beta = norm(before)
        weights[name] = gamma[:, None] * matrix
        total = (0.0 if bias is None else bias) + (0.0 if beta is None else beta @ matrix)
        if bias is not None or beta is not None:
            weights[f"{name}_bias"] = np.asarray(total, np.float32)

    def bias(name: str) -> np.ndarray | None:
        layer = model.get_layer(name)
        return np.array(layer.bias) if layer.use_bias else None

    def put_plain(name: str) -> None:
        weights[name] = kernel(name)
        own = bias(name)
        if own is not None:
            weights[f"{name}_bias"] = own

    into_ffn = ("gate", "up") if config.ffn == "gated" else ("up",)
    for i in range(config.weight_layers):
        scale, q = np.float32(config.head_dim**-0.5), f"layer{i}_q"
        own = bias(q)
        put(q, kernel(q) * scale, f"layer{i}_norm_attention", None if own is None else own * scale)
        for kind in ("k", "v"):
            name = f"layer{i}_{kind}"
            put(name, kernel(name), f"layer{i}_norm_attention", bias(name))
        put_plain(f"layer{i}_o")
        for kind in into_ffn:
            name = f"layer{i}_{kind}"
            put(name, kernel(name), f"layer{i}_norm_ffn", bias(name))
        put_plain(f"layer{i}_down")
    head = np.array(embed.table).T if config.tied_embeddings else kernel("head")
    put("head", head, "norm_final")
    return weights
