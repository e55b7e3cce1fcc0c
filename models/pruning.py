"""Magnitude pruning with tensorflow-model-optimization, fine-tuned on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tf_keras as keras

from models.config import PruneConfig, TrainConfig
from models.evaluation import teacher_forced_match
from models.tasks import Pair
from models.tokenizer import Tokenizer
from models.training import Progress, Schedule, batches, limit_threads, make_step, training_sequences

__all__ = ["prune"]

_UPDATES = 30


def prune(
    model: keras.Model,
    config: PruneConfig,
    train_config: TrainConfig,
    tokenizer: Tokenizer,
    pairs: Sequence[Pair],
    dev: Sequence[Pair],
    context: int,
    progress: Progress,
) -> list[dict[str, float]]:
    """Brings the Dense kernels of the model to the sparsity, in place; the head's and the embedding stay whole.

    Returns:
        The history: `step`, `loss`, `dev_exact_match` at the end and every 500 steps.
    """
    import tensorflow_model_optimization as tfmot

    limit_threads()
    keras.utils.set_random_seed(train_config.seed)
    ramp = max(int(config.steps * config.ramp), 1)
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
            return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)
        return layer

    pruned = keras.models.clone_model(model, clone_function=wrap)
    counter = tfmot.sparsity.keras.UpdatePruningStep()
    counter.set_model(pruned)
    counter.on_train_begin()
    rate = Schedule(config.learning_rate, min(100, config.steps // 10 + 1), config.steps)
    step, _ = make_step(pruned, dataclasses.replace(train_config, weight_decay=0.0))
    sequences = training_sequences(tokenizer, pairs, context)
    source = batches(sequences, train_config.batch_size, train_config.seed + 1, context)
    history: list[dict[str, float]] = []
    losses: list[float] = []
    for number in range(config.steps):
        counter.on_train_batch_begin(batch=-1)
        losses.append(step(next(source), rate(number)))
        done = number + 1
        if done == config.steps:
            counter.on_epoch_end(batch=-1)  # the masks are laid on the weights once more
        if done % 500 == 0 or done == config.steps:
            match = teacher_forced_match(pruned, tokenizer, dev, context)
            history.append({"step": done, "loss": float(np.mean(losses)), "dev_exact_match": match})
            losses = []
        if done % 20 == 0 or done == config.steps:
            progress(done, config.steps, {**(history[-1] if history else {}), **_recent(losses)})
    stripped = tfmot.sparsity.keras.strip_pruning(pruned)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.set_weights(stripped.get_layer(layer.name).get_weights())
    return history


def _recent(losses: Sequence[float]) -> dict[str, float]:
    return {"loss": float(np.mean(losses))} if losses else {}
