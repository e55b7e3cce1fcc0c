"""Sliding windows: the generated C equals TensorFlow Lite Micro for several windows, and so does the trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.compiler import WeightLayout, compile_model
from pipeline.errors import ThimbleError
from pipeline.numerics.kv_window import METADATA, window_metadata
from pipeline.quantize.tflite_file import read_model, with_metadata, write_model
from pipeline.recipes.schema import ModelConfig
from pipeline.verification.host_engine import HostEngine
from pipeline.verification.oracle import Oracle
from tests.support.build_model import ModelBuilder

pytestmark = pytest.mark.slow

_SIZES: dict[str, object] = {
    "vocab_size": 61,
    "d_model": 32,
    "layers": 2,
    "heads": 4,
    "kv_heads": 2,
    "ffn": "gated",
    "ffn_dim": 44,
    "positions": "rotary",
    "context": 40,
}
KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "int8, no sinks": ({"window": 9}, "int8"),
    "int8, sinks": ({"window": 10, "sinks": 3}, "int8"),
    "int8, strided": ({"window": 14, "sinks": 2, "stride": 5}, "int8"),
    "int8, strided, learned positions": ({"window": 12, "stride": 7, "positions": "learned"}, "int8"),
    "int16, strided": ({"window": 14, "stride": 5}, "int16"),
    "int16, sinks": ({"window": 10, "sinks": 2}, "int16"),
}


@pytest.fixture(scope="module", params=list(KINDS))
def model_of_kind(request: pytest.FixtureRequest) -> tuple[ModelConfig, Any, bytes]:
    """A model's configuration, the trained kind of model, and its .tflite."""
    from pipeline.network.tf_setup import load_tensorflow

    load_tensorflow()
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.quantize.ptq import quantize

    changes, activations = KINDS[request.param]
    config = ModelConfig.from_mapping({**_SIZES, **changes})
    keras.utils.set_random_seed(6)
    random = np.random.default_rng(6)
    model = build_decoder(config)
    for weight in model.trainable_variables:
        weight.assign(weight + random.uniform(-0.4, 0.4, weight.shape) if "gamma" in weight.name else weight * 2)
    calibration = [list(map(int, random.integers(0, config.vocab_size, config.context))) for _ in range(3)]
    return config, model, quantize(model, config, calibration, activations)


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("packing", list(WeightLayout))
def test_three_windows_equal_the_oracle(
    model_of_kind: tuple[ModelConfig, Any, bytes], packing: WeightLayout, tmp_path: Path
) -> None:
    config, _, tflite = model_of_kind
    oracle = Oracle(tflite)
    assert oracle.kv_window == config.kv_window
    model = tmp_path / "model"
    model.mkdir()
    compiled = compile_model(tflite, model, packing)
    assert compiled.context == oracle.context == (config.window if config.unbounded else config.context)
    engine = HostEngine(model, tmp_path / "build", compiled.vocab, compiled.context)
    random = np.random.default_rng(3)
    tokens = [
        int(token)
        for token in random.integers(0, oracle.vocab, 3 * config.window + 5 if config.unbounded else config.context)
    ]
    expected = [oracle.step(token) for token in tokens]
    assert len({logits.tobytes() for logits in expected}) > 2 * config.window
    for index, token in enumerate(tokens):
        assert (engine.step(token) == expected[index]).all(), index
    for cut in (2, config.window - 2, config.window - 1, config.window, config.window + 3):
        engine.reset()  # in blocks, which end where the ring begins to go round
        assert (engine.prefill(tokens[:cut]) == expected[cut - 1]).all()
        assert (engine.prefill(tokens[cut:]) == expected[-1]).all()


def test_the_step_sees_what_training_saw(model_of_kind: tuple[ModelConfig, Any, bytes]) -> None:
    """In float, over four windows: the decode step with its ring, and the model with all positions at once."""
    import tensorflow as tf

    from pipeline.network.decode_step import DecodeStep

    config, model, _ = model_of_kind
    tokens = np.random.default_rng(4).integers(0, config.vocab_size, config.context).astype(np.int32)
    expected = model(tokens[None]).numpy()[0]
    step = DecodeStep(model, config)
    cache = step.empty_cache()
    for position, token in enumerate(tokens):
        inputs = step.inputs_at(position, int(token), cache)
        outputs = step.function(**{name: tf.constant(value) for name, value in inputs.items()})
        np.testing.assert_allclose(outputs["logits"].numpy()[0], expected[position], atol=5e-3)
        step.keep(position, outputs, cache)


def test_a_window_costs_less(model_of_kind: tuple[ModelConfig, Any, bytes], tmp_path: Path) -> None:
    """The KV cache has the window's rows, not the context's."""
    config, _, tflite = model_of_kind
    compiled = compile_model(tflite, tmp_path)
    rows = (config.window + 3) // 4 * 4
    wide = 2 if Oracle(tflite).step(1).dtype == np.int16 else 1
    held = rows if wide == 1 else config.window
    assert compiled.kv_cache_bytes == 2 * config.layers * config.kv_dim * held * wide
    assert compiled.kv_cache_bytes < 2 * config.layers * config.kv_dim * config.context * wide


def test_a_window_that_is_not_said_or_that_the_mask_does_not_show_is_refused(
    model_of_kind: tuple[ModelConfig, Any, bytes], tmp_path: Path
) -> None:
    """Nothing guesses it: neither the compiler nor the oracle."""
    config, _, tflite = model_of_kind
    model = read_model(tflite)
    said = [entry for entry in model.metadata if entry.name == METADATA.encode()]
    assert len(said) == 1
    for window in ("", window_metadata(config.window - 1, config.sinks), '{"window": 1}'):
        model.metadata = [entry for entry in model.metadata if entry is not said[0]]
        other = write_model(model)
        other = with_metadata(other, METADATA, window) if window else other
        if not window and not config.unbounded:  # a longer mask, and a context of as many tokens as the cache has rows
            assert compile_model(other, tmp_path).context == Oracle(other).context == config.window
            continue
        with pytest.raises(ThimbleError, match="window"):
            compile_model(other, tmp_path)
        if not window:
            with pytest.raises(ThimbleError, match="rotation"):
                Oracle(other)


def test_turns_without_a_ring_are_refused(tmp_path: Path) -> None:
    builder = ModelBuilder()
    rotation = builder.input("rotation", (4, 2, 2), 2 / 255)
    out = builder.tensor((4, 2, 2), 2 / 255)
    builder.op("RELU", [rotation], [out])
    with pytest.raises(ThimbleError, match="sliding window"):
        compile_model(builder.bytes({"logits": out}), tmp_path)
