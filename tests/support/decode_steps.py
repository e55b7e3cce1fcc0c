"""Decode steps of untrained models, small enough to build in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.quantize.tflite_file import read_model, write_model
from pipeline.recipes.schema import ModelConfig

__all__ = ["KINDS", "build_decode_step", "with_irregular_mask"]

_SIZES: dict[str, object] = {"vocab_size": 61, "d_model": 32, "layers": 2, "heads": 4, "ffn_dim": 44, "context": 12}
KINDS: dict[str, dict[str, object]] = {
    "rmsnorm, rotary, gated, grouped": {"kv_heads": 2, "ffn": "gated", "norm": "rmsnorm", "positions": "rotary"},
    "rmsnorm, rotary, gated, keys less their mean": {"kv_heads": 2, "ffn": "gated", "positions": "rotary"},
    "layernorm, learned, relu": {"kv_heads": 4, "ffn": "relu", "norm": "layernorm", "positions": "learned"},
    "int16x8: rmsnorm, rotary, gated, grouped": {"kv_heads": 2, "ffn": "gated", "positions": "rotary"},
    "int16x8: rmsnorm, learned, relu": {"kv_heads": 4, "ffn": "relu", "positions": "learned"},
}


def build_decode_step(kind: str) -> bytes:
    """The .tflite of an untrained model of one of KINDS, its gains and biases away from their neutral start."""
    from pipeline.network.tf_setup import load_tensorflow

    load_tensorflow()
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.network.key_centering import rope_offset
    from pipeline.quantize.ptq import quantize

    config = ModelConfig.from_mapping({**_SIZES, **KINDS[kind]})
    keras.utils.set_random_seed(5)
    random = np.random.default_rng(5)
    model = build_decoder(config)
    for weight in model.trainable_variables:
        if any(part in weight.name for part in ("gamma", "beta", "bias")):
            weight.assign(weight + random.uniform(-0.4, 0.4, weight.shape))
        else:
            weight.assign(weight * 2)
    calibration = [list(map(int, random.integers(0, config.vocab_size, config.context))) for _ in range(3)]
    if "less their mean" in kind:
        slow = rope_offset(config.context, config.rope_frequencies).slow
        shape = (config.kv_heads, 2, slow.size)
        means = {f"layer{i}": random.uniform(-2, 2, shape) * slow for i in range(config.layers)}
        return quantize(model, config, calibration, ranges="fitted", key_means=means)
    return quantize(model, config, calibration, "int16" if kind.startswith("int16x8") else "int8")


def with_irregular_mask(tflite: bytes, context: int) -> bytes:
    """The same decode step with one entry of the mask's table changed: no mask that the fused attention knows."""
    model: Any = read_model(tflite)
    tables = [
        tensor
        for tensor in model.subgraphs[0].tensors
        if tensor.shape is not None
        and list(tensor.shape) == [context, context + 1]
        and model.buffers[tensor.buffer].data is not None
    ]
    assert len(tables) == 1
    buffer = model.buffers[tables[0].buffer]
    values = np.array(buffer.data, np.uint8).view(np.int8).reshape(context, context + 1)
    values[2, 1] = (int(values[2, 1]) + int(values[0, 0])) // 2
    buffer.data = values.view(np.uint8).reshape(-1)
    return write_model(model)
