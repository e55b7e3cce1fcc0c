"""Quantization-aware training: the decoder fine-tuned with its tensors rounded as the .tflite rounds them.

The quantizers are tensorflow-model-optimization's. They sit on the hooks of the decoder's own layers, where the decode
step has a tensor: products' weights by output row, embeddings, all activations, RMSNorm's inner ones too. Gains of
norms are folded into the weights first, as the decode step has them, so that rows' levels survive conversion. The
model learns what it said itself before it was rounded: its own distributions are the aim, not the true tokens, which
it would go on learning. The result is the same model with better weights, which is then quantized as any other.
"""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.network.decoder import Norm, TappedLayer, Unembed, build_decoder
from pipeline.quantize.int4 import round_to_int4
from pipeline.recipes.schema import ModelConfig, QatConfig, TrainConfig
from pipeline.text.tokenizers.byte_bpe import PAD
from pipeline.training.batches import Batch
from pipeline.training.loop import Hooks, Progress, TrainingData, fine_tune, limit_threads

__all__ = ["SHARES", "fold_gains", "train_quantized"]

SHARES = ("softmax", "sigmoid")
"""Activations from 0 to 1: TensorFlow Lite fixes their scale at 1/256."""
_CALIBRATION_BATCHES = 4


def train_quantized(
    model: keras.Model,
    model_config: ModelConfig,
    config: QatConfig,
    weights: str,
    train_config: TrainConfig,
    training_data: TrainingData,
    out: Path,
    progress: Progress,
) -> list[dict[str, float]]:
    """Fine-tunes the model, in place, for int8 activations and `int8` or `int4` weights, or goes on from the checkpoint
    in `out`; zeros of kernels stay.

    The loss of a token of the action is the Kullback-Leibler divergence of the rounded model's distribution from that
    of the model as it came, in nats.

    Gains of norms whose output only products read become 1. With `int4` the kernels end on their 15 levels a row.

    Returns:
        The history, see `pipeline.training.loop.fit`; its figures are the rounded model's.
    """
    limit_threads()
    keras.utils.set_random_seed(train_config.seed)
    unrounded = build_decoder(model_config)
    unrounded.set_weights(model.get_weights())
    fold_gains(model, model_config)
    folded = [layer for layer in model.layers if isinstance(layer, Norm) and layer.name != _unfolded(model_config)]
    quantizers = _Quantizers(4 if weights == "int4" else 8)
    hooked = [layer for layer in model.layers if isinstance(layer, TappedLayer)]
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    masks = [tf.constant(kernel.numpy() != 0, tf.float32) for kernel in kernels]
    settings = train_config.replace(
        steps=config.steps, learning_rate=config.learning_rate, weight_decay=0.0, dropout=0.0
    )

    @tf.function(autograph=False)
    def keep_zeros() -> None:
        for kernel, mask in zip(kernels, masks, strict=True):
            kernel.assign(kernel * mask)

    for norm in folded:
        norm.trainable = False
    try:
        for layer in hooked:
            layer.hook = quantizers.observe
        for batch in itertools.islice(
            training_data.batches(train_config.batch_size, train_config.seed), _CALIBRATION_BATCHES
        ):
            model(tf.constant(batch[:, :-1]), training=False)
        for layer in hooked:
            layer.hook = quantizers.round
            if isinstance(layer, Unembed):
                layer.hook = partial(_round_head, quantizers, model.get_layer("norm_final").gamma)
        hooks = Hooks(
            partial(_divergence, model, unrounded),
            after=lambda number: keep_zeros(),
            state=quantizers.ranges,
            halves=1,  # ranges follow the batches
            settings=[vars(config), weights],
        )
        return fine_tune(model, settings, training_data, out, progress, hooks)
    finally:
        for layer in hooked:
            layer.hook = None
        for norm in folded:
            norm.trainable = True
        if weights == "int4":
            for kernel in kernels:
                kernel.assign(round_to_int4(kernel.numpy()))


def _divergence(model: keras.Model, unrounded: keras.Model, batch: Batch) -> tf.Tensor:
    """Of the model's distributions from the unrounded one's, in nats, over the targets of a batch. All logits are
    computed, since their range is what the integers' scale comes from."""
    teacher_log_probs, student_log_probs = (
        tf.nn.log_softmax(tf.gather(tf.reshape(logits, (-1, logits.shape[-1])), batch.positions))
        for logits in (unrounded(batch.tokens, training=False), model(batch.tokens, training=True))
    )
    teacher_log_probs = tf.stop_gradient(teacher_log_probs)
    losses = tf.reduce_sum(tf.exp(teacher_log_probs) * (teacher_log_probs - student_log_probs), axis=-1)
    return tf.reduce_sum(tf.where(batch.targets != PAD, losses, 0.0))


def _round_head(quantizers: _Quantizers, gamma: tf.Variable, name: str, x: tf.Tensor) -> tf.Tensor:
    """As the decode step's head: the embedding's table with the last norm's gain in it."""
    if not name.endswith("/kernel"):
        return quantizers.round(name, x)
    return quantizers.round(name, x * gamma[:, None]) / gamma[:, None]


class _Quantizers:
    """Quantizers and their ranges, by tap name."""

    def __init__(self, bits: int) -> None:
        from tensorflow_model_optimization.python.core.quantization.keras import quantizers

        self._rows = quantizers.LastValueQuantizer(bits, per_axis=True, symmetric=True, narrow_range=True)
        self._table = quantizers.LastValueQuantizer(8, per_axis=False, symmetric=False, narrow_range=False)
        self._activation = quantizers.MovingAverageQuantizer(8, per_axis=False, symmetric=False, narrow_range=False)
        self._ranges: dict[str, dict[str, tf.Variable]] = {}

    @property
    def ranges(self) -> list[tf.Variable]:
        """The ends of all ranges, in the order in which the network shows its tensors."""
        return [end for ends in self._ranges.values() for end in ends.values()]

    def observe(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """Updates the range with the tensor, and returns it unchanged. Eager mode only."""
        kind = name.rpartition("/")[2]
        if kind in SHARES:
            return x
        axes = [0] if kind == "kernel" else None
        low, high = (np.asarray(reduce(x, axes)) for reduce in (tf.reduce_min, tf.reduce_max))
        variables = self._ranges.setdefault(
            name,
            {
                "min_var": tf.Variable(np.minimum(low, 0), trainable=False),
                "max_var": tf.Variable(np.maximum(high, 0), trainable=False),
            },
        )
        variables["min_var"].assign(np.minimum(variables["min_var"], low))
        variables["max_var"].assign(np.maximum(variables["max_var"], high))
        return x

    def round(self, name: str, x: tf.Tensor) -> tf.Tensor:
        """The tensor rounded to its integers; ranges follow the batches."""
        kind = name.rpartition("/")[2]
        if kind in SHARES:
            return tf.quantization.fake_quant_with_min_max_args(x, 0.0, 255 / 256)
        if kind == "kernel":
            return self._rows(x, True, self._ranges[name])
        quantizer = self._table if kind in ("table", "positions") else self._activation
        return quantizer(x, True, self._ranges[name])


def fold_gains(model: keras.Model, config: ModelConfig) -> None:
    """Moves the norms' gains into the kernels that read them, in place; the function stays the same. The last norm
    keeps its gain where the head is the embedding's table."""
    readers: list[tuple[str, tuple[str, ...]]] = []
    for i in range(config.weight_layers):
        readers.append((f"layer{i}_norm_attention", (f"layer{i}_q", f"layer{i}_k", f"layer{i}_v")))
        readers.append((f"layer{i}_norm_ffn", tuple(f"layer{i}_{name}" for name in _inner(config))))
    readers.append(("norm_final", ("head",)))
    for name, products in readers:
        if name == _unfolded(config):
            continue
        norm = model.get_layer(name)
        gamma = norm.gamma.numpy()
        gamma = np.where(np.abs(gamma) < 1e-6, 1e-6, gamma)  # so that an offset can be divided by it
        for product in products:
            kernel = model.get_layer(product).kernel
            kernel.assign(kernel * gamma[:, None])
        if config.norm == "layernorm":
            norm.beta.assign(norm.beta / gamma)
        norm.gamma.assign(np.ones_like(gamma))


def _inner(config: ModelConfig) -> tuple[str, ...]:
    return ("gate", "up") if config.ffn == "gated" else ("up",)


def _unfolded(config: ModelConfig) -> str:
    return "norm_final" if config.tied_embeddings else ""
