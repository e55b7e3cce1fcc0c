"""Greedy decoding of many prompts at once: the training model's layers, with a KV cache.

The prompts run in one pass, as in training; then each token takes one pass over one position. What a token sees is
what it sees in training, with a sliding or strided window too, so the logits are the training model's up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.network.decoder import MASKED, rope_matrices, rotate_pairs
from pipeline.numerics.kv_window import SlidingWindow
from pipeline.recipes.schema import ModelConfig

__all__ = ["CachedDecoder"]

_BATCH = 128

Allowed = Callable[[Sequence[int]], Sequence[int] | None]


class CachedDecoder(tf.Module):
    """Decodes with a model of `pipeline.network.decoder.build_decoder`; changed weights take effect at the next call.

    Hooks (`pipeline.network.decoder.TappedLayer`) of the embedding and of attention are not called.

    Args:
        model: the training model.
        config: what it was built from.
    """

    def __init__(self, model: keras.Model, config: ModelConfig) -> None:
        super().__init__()
        self.model, self.config = model, config
        window = config.kv_window or SlidingWindow(config.context)
        self._sees = window.sees(config.context)
        self._rotations = (
            rope_matrices(config.context, config.rope_frequencies) if config.positions == "rotary" else None
        )
        integers = (tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32))
        scalars = (tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int32))
        self._function = tf.function(self._generate).get_concrete_function(*integers, *scalars)
        self._bound_step = tf.function(self._logits, reduce_retracing=True)

    @property
    def context(self) -> int:
        """Positions of prompt and answer together."""
        return self.config.context

    def greedy(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        eos: int,
        progress: Callable[[int], None] | None = None,
        allowed: Sequence[Allowed] | None = None,
    ) -> list[list[int]]:
        """The most likely token after each prompt, again and again, until `eos`, which is left out.

        Prompts of like length are decoded together.

        Args:
            prompts: token ids; each at least one, and none longer than the context.
            max_new_tokens: an answer ends after so many, and where the context ends, in which its last token takes
                no place.
            eos: the id that ends an answer.
            progress: called with the number of prompts answered.
            allowed: of each prompt, the ids that may follow an answer so far, ascending; None where all may. All
                prompts are bound, or none.

        Returns:
            The answers in the order of the prompts.
        """
        choices = allowed if allowed and allowed[0](()) is not None else None
        answers: list[list[int]] = [[] for _ in prompts]
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        for begin in range(0, len(order), _BATCH):
            rows = order[begin : begin + _BATCH]
            lengths = np.array([len(prompts[row]) for row in rows], np.int32)
            tokens = np.full((len(rows), lengths.max()), eos, np.int32)
            for line, row in zip(tokens, rows, strict=True):
                line[: len(prompts[row])] = prompts[row]
            if choices is not None:
                bound = [choices[row] for row in rows]
                for row, answer in zip(
                    rows, self._decode_bound(tokens, lengths, max_new_tokens, eos, bound), strict=True
                ):
                    answers[row] = answer
                if progress is not None:
                    progress(begin + len(rows))
                continue
            decoded = self._function(
                tf.constant(tokens), tf.constant(lengths), tf.constant(max_new_tokens), tf.constant(eos)
            ).numpy()
            for row, length, line in zip(rows, lengths, decoded, strict=True):
                answer = line[: self.config.context - length + 1].tolist()
                answers[row] = answer[: answer.index(eos)] if eos in answer else answer
            if progress is not None:
                progress(begin + len(rows))
        return answers

    def _decode_bound(
        self, tokens: np.ndarray, lengths: np.ndarray, max_new: int, eos: int, allowed: Sequence[Allowed]
    ) -> list[list[int]]:
        """Answers of one batch whose next tokens are chosen here, one step of the model after the other.

        Args:
            tokens: int32 [B, T] prompts, padded.
            lengths: int32 [B] of the prompts.
            max_new: an answer ends after so many.
            eos: the id that ends an answer.
            allowed: as `greedy` has it, [B].
        """
        config = self.config
        empty = tf.zeros((len(tokens), config.context, config.kv_heads, config.head_dim))
        positions = np.tile(np.arange(tokens.shape[1], dtype=np.int32), (len(tokens), 1))
        logits, caches = self._bound_step(
            tf.constant(tokens), tf.constant(positions), tf.constant(lengths - 1), [empty] * (2 * config.layers)
        )
        answers: list[list[int]] = [[] for _ in allowed]
        running = np.ones(len(tokens), bool)
        for index in range(max_new):
            following = np.full(len(tokens), eos, np.int32)
            rows = logits.numpy()
            for row in np.flatnonzero(running).tolist():
                choices = np.asarray(allowed[row](answers[row]))
                following[row] = choices[np.argmax(rows[row][choices])]
                if following[row] == eos:
                    running[row] = False
                else:
                    answers[row].append(int(following[row]))
                    running[row] = lengths[row] + index < config.context
            if not running.any():
                break
            position = np.minimum(lengths + index, config.context - 1)
            logits, caches = self._bound_step(
                tf.constant(following[:, None]),
                tf.constant(position[:, None]),
                tf.zeros(len(tokens), tf.int32),
                caches,
            )
        return answers

    def _logits(
        self, tokens: tf.Tensor, positions: tf.Tensor, last: tf.Tensor, caches: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Logits [B, vocab] of the column `last` [B] of tokens [B, T], and the caches."""
        x, caches = self._layers(tokens, positions, caches)
        return self._head(tf.gather(x, last[:, None], batch_dims=1)), caches

    def _generate(self, tokens: tf.Tensor, lengths: tf.Tensor, max_new: tf.Tensor, eos: tf.Tensor) -> tf.Tensor:
        """int32 [B, N ≤ max_new] answers, each with `eos` behind it where it ended.

        Args:
            tokens: int32 [B, T] prompts, padded.
            lengths: int32 [B] of the prompts.
            max_new: int32.
            eos: int32.
        """
        config = self.config
        batch, longest = tf.shape(tokens)[0], tf.shape(tokens)[1]
        rows = tf.minimum(longest + max_new, config.context)
        empty = tf.zeros((batch, rows, config.kv_heads, config.head_dim))
        positions = tf.tile(tf.range(longest)[None], (batch, 1))
        x, caches = self._layers(tokens, positions, [empty] * (2 * config.layers))
        token = self._most_likely(tf.gather(x, lengths[:, None] - 1, batch_dims=1))
        answers = tf.TensorArray(tf.int32, 0, dynamic_size=True, element_shape=[None])
        running = tf.ones((batch,), tf.bool)

        def proceed(index: tf.Tensor, _token: tf.Tensor, running: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
            return (index < max_new) & tf.reduce_any(running)

        def decode(
            index: tf.Tensor, token: tf.Tensor, running: tf.Tensor, answers: tf.TensorArray, caches: list[tf.Tensor]
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray, list[tf.Tensor]]:
            token = tf.where(running, token, eos)
            answers = answers.write(index, token)
            position = lengths + index
            running = running & (token != eos) & (position < config.context)
            # A row that has ended goes along; its results are not read.
            x, caches = self._layers(token[:, None], tf.minimum(position, rows - 1)[:, None], caches)
            return index + 1, self._most_likely(x), running, answers, caches

        state = (tf.constant(0), token, running, answers, caches)
        answers = tf.while_loop(proceed, decode, state)[3]
        return tf.transpose(answers.stack())

    def _most_likely(self, x: tf.Tensor) -> tf.Tensor:
        """int32 [B] from the last layer's rows [B, 1, d_model]."""
        return tf.argmax(self._head(x), axis=-1, output_type=tf.int32)

    def _head(self, x: tf.Tensor) -> tf.Tensor:
        """Logits [B, vocab] of the last layer's rows [B, 1, d_model]."""
        head = self.model.get_layer("unembed" if self.config.tied_embeddings else "head")
        return head(self.model.get_layer("norm_final")(x))[:, 0]

    def _layers(
        self, tokens: tf.Tensor, positions: tf.Tensor, caches: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """All layers but the head: float32 [B, T, d_model], and the caches with the tokens' rows.

        Args:
            tokens: int32 [B, T].
            positions: int32 [B, T] of the tokens, which are the rows of the caches too.
            caches: K and V of each layer, float32 [B, rows, kv_heads, head_dim].
        """
        config, layer = self.config, self.model.get_layer
        embed = layer("embed")
        x = tf.gather(embed.table, tokens)
        if config.positions == "learned":
            x += tf.gather(embed.positions, positions)
        caches = list(caches)
        for i in range(config.layers):
            own = f"layer{config.weights_of(i)}"
            h = layer(f"{own}_norm_attention")(x)
            q, k, v = (layer(f"{own}_{kind}")(h) for kind in "qkv")
            mixed, caches[2 * i], caches[2 * i + 1] = self._attend(q, k, v, positions, caches[2 * i], caches[2 * i + 1])
            x = layer(f"layer{i}_add_attention")((x, layer(f"{own}_o")(mixed)))
            h = layer(f"{own}_norm_ffn")(x)
            up = layer(f"{own}_up")(h)
            if config.ffn == "gated":
                up = layer(f"layer{i}_gating")((layer(f"{own}_gate")(h), up))
            x = layer(f"layer{i}_add_ffn")((x, layer(f"{own}_down")(up)))
        return x, caches

    def _attend(
        self,
        q: tf.Tensor,
        k: tf.Tensor,
        v: tf.Tensor,
        positions: tf.Tensor,
        keys: tf.Tensor,
        values: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Attention of q [B, T, heads·head_dim] over the caches with the new rows k, v [B, T, kv_heads·head_dim] put
        in; the mixed values, and the caches."""
        config = self.config
        batch, length = tf.shape(positions)[0], tf.shape(positions)[1]
        q = tf.reshape(q, (batch, length, config.kv_heads, config.heads // config.kv_heads, config.head_dim))
        k = tf.reshape(k, (batch, length, config.kv_heads, config.head_dim))
        v = tf.reshape(v, (batch, length, config.kv_heads, config.head_dim))
        if self._rotations is not None:
            turns = tf.gather(self._rotations, positions)
            q, k = rotate_pairs(q, turns[:, :, None, None]), rotate_pairs(k, turns[:, :, None])
        lines = tf.tile(tf.range(batch)[:, None], (1, length))
        where = tf.stack([lines, positions], axis=-1)
        keys, values = (tf.tensor_scatter_nd_update(cache, where, new) for cache, new in ((keys, k), (values, v)))
        visible = tf.gather(self._sees, positions)[:, None, None, :, : tf.shape(keys)[1]]
        scores = tf.einsum("btkgd,bskd->bkgts", q, keys) * config.head_dim**-0.5
        weights = tf.nn.softmax(tf.where(visible, scores, MASKED))
        mixed = tf.einsum("bkgts,bskd->btkgd", weights, values)
        return tf.reshape(mixed, (batch, length, config.d_model)), keys, values
