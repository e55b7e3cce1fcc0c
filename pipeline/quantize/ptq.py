"""Full-integer post-training quantization of the decode step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pipeline.errors import ThimbleError
from pipeline.network.decode_step import DecodeStep
from pipeline.network.tf_setup import no_native_log
from pipeline.numerics.kv_window import METADATA
from pipeline.quantize.int4 import rescale_to_int4, round_to_int4
from pipeline.quantize.int16x8 import legalize_for_tflm
from pipeline.quantize.ranges import with_fitted_ranges
from pipeline.quantize.tflite_file import read_model, schema, with_metadata
from pipeline.recipes.schema import ModelConfig

__all__ = ["quantize", "tflite_sparsity"]


def quantize(
    model: keras.Model,
    config: ModelConfig,
    calibration: Sequence[Sequence[int]],
    activations: str = "int8",
    weights: str = "int8",
    ranges: str = "minmax",
    learned: Mapping[str, tuple[float, float]] | None = None,
    key_means: Mapping[str, np.ndarray] | None = None,
) -> bytes:
    """The decode step as a .tflite with int8 weights, and int8 or int16 activations, caches and logits.

    Args:
        calibration: token sequences, no longer than the context; the float step runs over each, with its own cache, and
            the ranges that it meets become the integers' ranges.
        activations: `int8` or `int16`.
        weights: `int8`, or `int4`: those of products are −7 to 7, in int8 all the same.
        ranges: `minmax`, or, with int8 activations, `fitted` (`pipeline.quantize.ranges`).
        learned: ranges that `fitted` takes instead of its own, by the names of `pipeline.network.decoder.TappedLayer`.
        key_means: as `DecodeStep` has them.

    Raises:
        ThimbleError: int16 activations with LayerNorm, which TensorFlow Lite Micro does not run.
    """
    if activations == "int16" and config.norm == "layernorm":
        raise ThimbleError(
            "LayerNorm with int16 activations does not run on TensorFlow Lite Micro",
            "use `norm: rmsnorm` in the model, or `activations: int8` in `quantize`",
        )
    step = DecodeStep(model, config, round_to_int4 if weights == "int4" else None, bool(learned), key_means)

    def feeds() -> Iterator[dict[str, np.ndarray]]:
        for sequence in calibration:
            cache = step.empty_cache()
            for position, token in enumerate(sequence[: config.context]):
                inputs = step.inputs_at(position, token, cache)
                yield inputs
                outputs = step.function(**{name: tf.constant(value) for name, value in inputs.items()})
                step.keep(position, outputs, cache)

    with tempfile.TemporaryDirectory() as folder, no_native_log():
        tf.saved_model.save(step, folder, signatures={"serving_default": step.function})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        fitted = ranges == "fitted" and activations == "int8"
        converter.representative_dataset = lambda: (
            ("serving_default", inputs) for inputs in islice(feeds(), 1 if fitted else None)
        )
        if activations == "int16":
            ops = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        else:
            ops = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        converter.target_spec.supported_ops = [ops]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, activations)
        converter._experimental_calibrate_only = fitted
        tflite = bytes(converter.convert())
        if fitted:
            tflite = _to_integers(with_fitted_ranges(tflite, feeds(), learned))
    if weights == "int4":
        tflite = rescale_to_int4(tflite)
    if activations == "int16":
        tflite = legalize_for_tflm(tflite, config.norm_epsilon)
    window = config.kv_window_metadata
    return with_metadata(tflite, METADATA, window) if window else tflite


def _to_integers(calibrated: bytes) -> bytes:
    """The converter's last step, from its float graph with a range at each tensor."""
    from tensorflow.lite.python.convert import mlir_quantize

    return bytes(mlir_quantize(calibrated, input_data_type=tf.int8, output_data_type=tf.int8))


def tflite_sparsity(path: Path) -> float:
    """Share of zeros in the weights of the .tflite's FULLY_CONNECTED ops, the head's left out (it is not pruned)."""
    model = read_model(path.read_bytes())
    graph = model.subgraphs[0]
    logits = next(entry.tensorIndex for entry in model.signatureDefs[0].outputs if entry.name == b"logits")
    zeros = total = 0
    for op in graph.operators:
        if model.operatorCodes[op.opcodeIndex].builtinCode != schema.BuiltinOperator.FULLY_CONNECTED:
            continue
        weights = graph.tensors[op.inputs[1]]
        data = model.buffers[weights.buffer].data
        if data is None or op.outputs[0] == logits:
            continue
        values = np.frombuffer(bytes(data), np.int8)
        zeros += int((values == 0).sum())
        total += values.size
    return zeros / max(total, 1)
