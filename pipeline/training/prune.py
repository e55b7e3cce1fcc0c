"""Magnitude pruning, fine-tuned on the way: single weights, blocks and N:M with tensorflow-model-optimization, and
whole heads and channels.

Keras' kernels are [in, out]: a block of output rows × input columns, as the compiler sees it, is its transpose.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.errors import ThimbleError
from pipeline.recipes.schema import ModelConfig, PruneConfig, TrainConfig
from pipeline.training.loop import Hooks, Progress, TrainingData, fine_tune, limit_threads

__all__ = ["prune"]

_UPDATES = 30


def prune(
    model: keras.Model,
    model_config: ModelConfig,
    config: PruneConfig,
    train_config: TrainConfig,
    training_data: TrainingData,
    out: Path,
    progress: Progress,
) -> list[dict[str, float]]:
    """Brings the Dense kernels of the model to the sparsity, in place, or goes on from the checkpoint in `out`; the
    head's and the embedding stay whole.

    Of `heads` the kernels after attention lose all input of a group, of `channels` those after the feed-forward part's
    activation; the weights that made what is no longer read become 0 too.

    Returns:
        The history, see `pipeline.training.loop.fit`.

    Raises:
        ThimbleError: a kernel that blocks do not divide, or a sparsity that removes nothing or everything.
    """
    limit_threads()
    keras.utils.set_random_seed(train_config.seed)
    settings = train_config.replace(steps=config.steps, learning_rate=config.learning_rate, weight_decay=0.0)
    work = _structures if config.pattern in ("heads", "channels") else _single_weights
    hooks = dataclasses.replace(work(model, model_config, config), settings=config.fingerprint_data())
    return fine_tune(model, settings, training_data, out, progress, hooks)


def _single_weights(model: keras.Model, model_config: ModelConfig, config: PruneConfig) -> Hooks:
    """Single weights, blocks and N:M: tfmot's masks, laid on the kernels before each step and at the end."""
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.sparsity.keras.pruning_impl import Pruning

    ramp = _ramp(config)
    every = max(ramp // _UPDATES, 1)
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=config.sparsity,
        begin_step=0,
        end_step=ramp // every * every,  # the last update brings the full sparsity
        frequency=every,
    )
    step = tf.Variable(0, dtype=tf.int64, trainable=False)  # tfmot counts from 1; N:M's masks are made in step 1
    masks, prunings = [], []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense) and layer.name != "head":
            mask = tf.Variable(tf.ones_like(layer.kernel), trainable=False)
            threshold = tf.Variable(0.0, trainable=False)
            how = _how(layer, config)
            prunings.append(Pruning(lambda: step, [(layer.kernel, mask, threshold)], schedule, **how))
            masks.append(mask)

    @tf.function(autograph=False)
    def update() -> None:
        for pruning in prunings:
            pruning.conditional_mask_update()
            pruning.weight_mask_op()

    def before(number: int) -> None:
        step.assign(number + 1)
        update()

    def after(number: int) -> None:
        if number + 1 == config.steps:
            for pruning in prunings:
                pruning.weight_mask_op()

    return Hooks(before=before, after=after, state=masks)


def _ramp(config: PruneConfig) -> int:
    """Steps until the sparsity is full."""
    return max(int(config.steps * config.ramp), 1)


def _how(layer: keras.layers.Dense, config: PruneConfig) -> dict[str, Any]:
    """tfmot's arguments for the layer."""
    wide, high = layer.kernel.shape
    single = {"block_size": (1, 1), "block_pooling_type": "AVG"}
    if config.pattern == "unstructured":
        return single
    if config.pattern == "block":
        rows, columns = config.block
        if high % rows or wide % columns:
            raise ThimbleError(
                f"`prune.block` [{rows}, {columns}] does not divide {layer.name}, {high} rows × {wide} columns",
                "choose a block that divides `d_model`, `ffn_dim` and kv_heads · head width",
            )
        return {**single, "block_size": (columns, rows)}
    nonzeros, of = map(int, config.pattern.split(":"))
    if wide % of:
        raise ThimbleError(
            f"`prune.pattern` {config.pattern} does not divide {layer.name}'s {wide} inputs",
            f"choose `d_model` and `ffn_dim` that {of} divides",
        )
    return {**single, "sparsity_m_by_n": (of - nonzeros, of)}


class _Group:
    """A structure that is pruned as a unit in a layer: heads that share a K/V head, or single inner channels.

    `read` is the kernel [in, out] that reads them, `producers` the layers that make them, each with its columns per
    group.
    """

    def __init__(self, read: keras.layers.Dense, producers: Sequence[keras.layers.Dense], count: int) -> None:
        self.read, self.producers, self.count = read, producers, count
        self.kept = tf.Variable(np.ones(count, np.bool_), trainable=False)

    def drop(self, removed: int) -> None:
        """Removes the `removed` weakest groups: by the norm of what reads them times that of what makes their values
        (of Q, K and V the latter)."""
        strength = self._norms(self.read.kernel.numpy()) * self._norms(self.producers[-1].kernel.numpy().T)
        kept = self.kept.numpy()
        kept[np.argsort(np.where(kept, strength, -1.0), kind="stable")[:removed]] = False
        self.kept.assign(kept)

    def clear(self) -> None:
        """Zeroes all weights of the removed groups."""
        kept = self.kept.numpy()
        rows = np.repeat(kept, self.read.kernel.shape[0] // self.count)
        self.read.kernel.assign(self.read.kernel * rows[:, None].astype(np.float32))
        for layer in self.producers:
            columns = np.repeat(kept, layer.kernel.shape[1] // self.count)
            layer.set_weights([values * columns for values in layer.get_weights()])

    def _norms(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(rows.reshape(self.count, -1), axis=1))


def _structures(model: keras.Model, model_config: ModelConfig, config: PruneConfig) -> Hooks:
    """Heads and channels, a few at a time."""
    groups = _groups(model, model_config, config.pattern)
    count = groups[0].count
    target = round(config.sparsity * count)
    if not 0 < target < count:
        raise ThimbleError(
            f"`prune.sparsity` {config.sparsity} removes {target} of {count} {config.pattern}",
            "choose a share that removes at least one and leaves at least one (heads count by K/V head)",
        )
    ramp = _ramp(config)

    def after(number: int) -> None:
        share = 1 - (1 - min((number + 1) / ramp, 1.0)) ** 3  # the polynomial of tfmot's schedule
        for group in groups:
            if (removed := round(share * target)) > count - group.kept.numpy().sum():
                group.drop(removed)
            if not group.kept.numpy().all():
                group.clear()

    return Hooks(after=after, state=[group.kept for group in groups])


def _groups(model: keras.Model, config: ModelConfig, pattern: str) -> list[_Group]:
    inner = ("gate", "up") if config.ffn == "gated" else ("up",)
    read, producers, count = ("o", "qkv", config.kv_heads) if pattern == "heads" else ("down", inner, config.ffn_dim)
    return [
        _Group(model.get_layer(f"layer{i}_{read}"), [model.get_layer(f"layer{i}_{name}") for name in producers], count)
        for i in range(config.weight_layers)
    ]
