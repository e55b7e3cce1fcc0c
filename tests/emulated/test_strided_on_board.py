"""Strided attention on the emulated board: TensorFlow Lite Micro's bytes, for fewer instructions and bytes of cache."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.compiler import compile_model
from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.firmware.build import build_project
from pipeline.firmware.project import write_project
from pipeline.recipes.schema import ModelConfig
from pipeline.targets.boards import Board
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.oracle import Oracle

CONTEXT = 64


@pytest.mark.slow
def test_a_stride_costs_less_than_full_attention(tmp_path: Path, tokenizer: Tokenizer, board: Board) -> None:
    from pipeline.network.tf_setup import load_tensorflow

    load_tensorflow()
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.quantize.ptq import quantize

    sizes = {"d_model": 32, "layers": 1, "heads": 4, "kv_heads": 2, "ffn_dim": 32, "context": CONTEXT}
    random = np.random.default_rng(8)
    prompt = [1, 5, 9, 2, 77, 30, 4]
    bytes_held, for_rows = [], []
    for name, changes in (("full", {}), ("strided", {"window": 20, "sinks": 2, "stride": 8})):
        config = ModelConfig.from_mapping({**sizes, "vocab_size": tokenizer.vocab_size, **changes})
        keras.utils.set_random_seed(8)
        model = build_decoder(config)
        for variable in model.trainable_variables:
            variable.assign(variable * 2)
        calibration = [list(map(int, random.integers(0, config.vocab_size, CONTEXT))) for _ in range(3)]
        tflite = quantize(model, config, calibration)
        folder = tmp_path / name
        (folder / "model").mkdir(parents=True)
        bytes_held.append(compile_model(tflite, folder / "model", board.packing).kv_cache_bytes)
        write_project(folder / "model", PlainCodec(tokenizer), board, name, folder / "project")
        elf = build_project(folder / "project", folder / "build").elf
        with Device(Qemu().start(elf, board), timeout=20) as device:
            answer = device.generate(prompt, CONTEXT)
        assert answer.end == "context" and len(answer.steps) == CONTEXT
        oracle = Oracle(tflite)
        for step in answer.steps:
            logits = oracle.step(step.token)
            assert (step.crc, step.next) == (zlib.crc32(logits.tobytes()), int(logits.argmax()))
        for_rows.append(answer.steps[-1].ticks - answer.steps[0].ticks)  # what attention over all rows costs
    assert bytes_held[1] == bytes_held[0] * 20 / CONTEXT
    assert 0.2 * for_rows[0] < for_rows[1] < 0.45 * for_rows[0]
