"""Layers that share weights: a matrix is in the C once, each layer has its own scales, and the bytes are right."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.compiler import compile_model
from pipeline.recipes.schema import ModelConfig
from pipeline.verification.host_engine import HostEngine
from pipeline.verification.oracle import Oracle

pytestmark = pytest.mark.slow


def test_a_shared_matrix_is_in_flash_once(tmp_path: Path) -> None:
    from pipeline.network.tf_setup import load_tensorflow

    load_tensorflow()
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.quantize.ptq import quantize

    sizes = {"vocab_size": 61, "d_model": 32, "layers": 4, "kv_heads": 2, "ffn": "gated", "ffn_dim": 44, "context": 12}
    config = ModelConfig.from_mapping({**sizes, "shared_layers": 2})
    keras.utils.set_random_seed(6)
    model = build_decoder(config)
    for weight in model.trainable_variables:
        weight.assign(weight * 2)
    random = np.random.default_rng(6)
    calibration = [list(map(int, random.integers(0, config.vocab_size, config.context))) for _ in range(3)]
    tflite = quantize(model, config, calibration)
    (tmp_path / "model").mkdir()
    compiled = compile_model(tflite, tmp_path / "model")
    data = (tmp_path / "model" / "model_data.h").read_text(encoding="utf-8")
    assert len(re.findall(r"\w+ layer\d+_\w+_weights\[", data)) == 7 * config.weight_layers
    assert len(re.findall(r"\w+ layer\d+_\w+_constants\[", data)) > 7 * config.weight_layers
    engine, oracle = (
        HostEngine(tmp_path / "model", tmp_path / "build", compiled.vocab, compiled.context),
        Oracle(tflite),
    )
    for token in calibration[0]:
        assert (engine.step(token) == oracle.step(token)).all()
