"""Magnitude pruning, fine-tuned on the way: single weights, blocks and N:M with tensorflow-model-optimization, and
whole heads and channels.

Keras' kernels are [in, out]: a block of output rows × input columns, as the compiler sees it, is its transpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tf_keras as keras

from pipeline.errors import ThimbleError
from pipeline.recipes.schema import ModelConfig, PruneConfig, TrainConfig
from pipeline.training.loop import Progress, TrainingData, fine_tune, limit_threads

__all__ = ["prune"]

_UPDATES = 30


def prune(
    model: keras.Model,
    model_config: ModelConfig,
    config: PruneConfig,
    train_config: TrainConfig,
    training_data: TrainingData,
    progress: Progress,
) -> list[dict[str, float]]:
    """Brings the Dense kernels of the model to the sparsity, in place; the head's and the embedding stay whole.

    Of `heads` the kernels after attention lose all input of a group, of `channels` those after the feed-forward part's
    activation; the weights that made what is no longer read become 0 too.

    Returns:
        The history: `step`, `loss`, `dev_exact_match` at the end and every 500 steps.

    Raises:
        ThimbleError: a kernel that blocks do not divide, or a sparsity that removes nothing or everything.
    """
    limit_threads()
    keras.utils.set_random_seed(train_config.seed)
    settings = train_config.replace(steps=config.steps, learning_rate=config.learning_rate, weight_decay=0.0)
    if config.pattern in ("heads", "channels"):
        return _remove(model, model_config, config, settings, training_data, progress)
    return _prune_weights(model, config, settings, training_data, progress)


def _prune_weights(
    model: keras.Model, config: PruneConfig, settings: TrainConfig, training_data: TrainingData, progress: Progress
) -> list[dict[str, float]]:
    """Single weights, blocks and N:M, by tfmot."""
    import tensorflow_model_optimization as tfmot

    ramp = _ramp(config)
    every = max(ramp // _UPDATES, 1)
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=config.sparsity,
        begin_step=0,
        end_step=ramp // every * every,  # the last update brings the full sparsity
        frequency=every,
    )

    def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.layers.Dense) and layer.name != "head":
            return tfmot.sparsity.keras.prune_low_magnitude(layer, schedule, **_how(layer, config))
        return layer

    pruned = keras.models.clone_model(model, clone_function=wrap)
    counter = tfmot.sparsity.keras.UpdatePruningStep()
    counter.set_model(pruned)
    counter.on_train_begin()

    def after(number: int) -> None:
        if number + 1 == config.steps:
            counter.on_epoch_end(batch=-1)  # the masks are laid on the weights once more

    history = fine_tune(
        pruned, settings, training_data, progress, lambda number: counter.on_train_batch_begin(batch=-1), after
    )
    stripped = tfmot.sparsity.keras.strip_pruning(pruned)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.set_weights(stripped.get_layer(layer.name).get_weights())
    return history


def _ramp(config: PruneConfig) -> int:
    """Steps until the sparsity is full."""
    return max(int(config.steps * config.ramp), 1)


def _how(layer: keras.layers.Dense, config: PruneConfig) -> dict[str, Any]:
    """tfmot's arguments for the layer."""
    wide, high = layer.kernel.shape
    if config.pattern == "unstructured":
        return {}
    if config.pattern == "block":
        rows, columns = config.block
        if high % rows or wide % columns:
            raise ThimbleError(
                f"`prune.block` [{rows}, {columns}] does not divide {layer.name}, {high} rows × {wide} columns",
                "choose a block that divides `d_model`, `ffn_dim` and kv_heads · head width",
            )
        return {"block_size": (columns, rows)}
    nonzeros, of = map(int, config.pattern.split(":"))
    if wide % of:
        raise ThimbleError(
            f"`prune.pattern` {config.pattern} does not divide {layer.name}'s {wide} inputs",
            f"choose `d_model` and `ffn_dim` that {of} divides",
        )
    return {"sparsity_m_by_n": (of - nonzeros, of)}


class _Group:
    """What stands or falls together in a layer: heads that share a K/V head, or single inner channels.

    `read` is the kernel [in, out] that reads them, `producers` the layers that make them, each with its columns per
    group.
    """

    def __init__(self, read: keras.layers.Dense, producers: Sequence[keras.layers.Dense], count: int) -> None:
        self.read, self.producers, self.count = read, producers, count
        self.kept = np.ones(count, np.bool_)

    def drop(self, removed: int) -> None:
        """Leaves all but the weakest `removed`: by the norm of what reads them times that of what makes their values
        (of Q, K and V the latter)."""
        strength = self._norms(self.read.kernel.numpy()) * self._norms(self.producers[-1].kernel.numpy().T)
        self.kept[np.argsort(np.where(self.kept, strength, -1.0), kind="stable")[:removed]] = False

    def clear(self) -> None:
        """Makes everything of those that were dropped 0."""
        rows = np.repeat(self.kept, self.read.kernel.shape[0] // self.count)
        self.read.kernel.assign(self.read.kernel * rows[:, None].astype(np.float32))
        for layer in self.producers:
            columns = np.repeat(self.kept, layer.kernel.shape[1] // self.count)
            layer.set_weights([values * columns for values in layer.get_weights()])

    def _norms(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(rows.reshape(self.count, -1), axis=1))


def _remove(
    model: keras.Model,
    model_config: ModelConfig,
    config: PruneConfig,
    settings: TrainConfig,
    training_data: TrainingData,
    progress: Progress,
) -> list[dict[str, float]]:
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
            if (removed := round(share * target)) > count - group.kept.sum():
                group.drop(removed)
            if not group.kept.all():
                group.clear()

    return fine_tune(model, settings, training_data, progress, after=after)


def _groups(model: keras.Model, config: ModelConfig, pattern: str) -> list[_Group]:
    inner = ("gate", "up") if config.ffn == "gated" else ("up",)
    read, producers, count = ("o", "qkv", config.kv_heads) if pattern == "heads" else ("down", inner, config.ffn_dim)
    return [
        _Group(model.get_layer(f"layer{i}_{read}"), [model.get_layer(f"layer{i}_{name}") for name in producers], count)
        for i in range(config.weight_layers)
    ]
