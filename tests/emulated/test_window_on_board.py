"""A model with a sliding window on the emulated board: three windows long, the bytes of TensorFlow Lite Micro."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.compiler import compile_model
from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.errors import DeviceError
from pipeline.firmware.build import build_project
from pipeline.firmware.project import write_project
from pipeline.recipes.schema import ModelConfig
from pipeline.targets.boards import Board
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.oracle import Oracle

WINDOW, SINKS = 16, 4


@pytest.fixture(scope="module", params=["int8", "int16"])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, board: Board
) -> tuple[bytes, Path]:
    """The .tflite and its image."""
    from pipeline.network.tf_setup import load_tensorflow

    load_tensorflow()
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.quantize.ptq import quantize

    sizes = {"d_model": 32, "layers": 1, "heads": 4, "kv_heads": 2, "ffn_dim": 32, "positions": "rotary"}
    config = ModelConfig.from_mapping(
        {**sizes, "vocab_size": tokenizer.vocab_size, "context": 3 * WINDOW, "window": WINDOW, "sinks": SINKS}
    )
    keras.utils.set_random_seed(8)
    model = build_decoder(config)
    random = np.random.default_rng(8)
    for variable in model.trainable_variables:
        variable.assign(variable * 2 + random.normal(0, 0.05, variable.shape))
    calibration = [list(map(int, random.integers(0, config.vocab_size, config.context))) for _ in range(3)]
    tflite = quantize(model, config, calibration, request.param)
    folder = tmp_path_factory.mktemp("window")
    (folder / "model").mkdir()
    compile_model(tflite, folder / "model", board.packing)
    write_project(folder / "model", PlainCodec(tokenizer), board, "window", folder / "project")
    return tflite, build_project(folder / "project", folder / "build").elf


@pytest.mark.slow
def test_three_windows_on_the_board(built: tuple[bytes, Path], board: Board) -> None:
    tflite, elf = built
    oracle = Oracle(tflite)
    prompt, count = [1, 5, 9, 2, 77, 30, 4], 3 * WINDOW
    with Device(Qemu().start(elf, board), timeout=20) as device:
        answer = device.generate(prompt, count)
        repeated = device.generate(prompt, count)
        with pytest.raises(DeviceError, match="too-long"):
            device.generate([5] * (WINDOW + 1), 1)
    assert [step.position for step in answer.steps] == list(range(len(answer.steps)))
    for step in answer.steps:
        logits = oracle.step(step.token)
        assert (step.crc, step.next) == (zlib.crc32(logits.tobytes()), int(logits.argmax()))
    assert len(answer.steps) == len(prompt) + count - 1 or answer.end == "eos"
    assert len(answer.steps) > 2 * WINDOW, "the model ended too early for this test"
    assert [step.crc for step in repeated.steps] == [step.crc for step in answer.steps]
    settled = [step.ticks for step in answer.steps[WINDOW + 1 :]]
    assert max(settled) <= 1.02 * min(settled), "past the window every step sees as much"
