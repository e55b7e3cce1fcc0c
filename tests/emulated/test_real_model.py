"""A whole model from Keras, untrained, through the compiler onto the emulated board, against TensorFlow Lite Micro."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from pipeline.compiler import CompiledModel, compile_model
from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.firmware.build import Firmware, build_project
from pipeline.firmware.project import write_project
from pipeline.recipes.schema import ModelConfig
from pipeline.targets.boards import Board
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.checks import Expectation, Verification, reference_run, verify
from pipeline.verification.oracle import Oracle

CONTEXT = 40
PROMPTS = ("turn on the kitchen lights", "Schalte das große Licht aus", "set 5", "is the front deadbolt locked")


@dataclass
class Built:
    """The model's image, and what TensorFlow Lite Micro says that it must give."""

    firmware: Firmware
    profile: Firmware
    compiled: CompiledModel
    expectations: list[Expectation]


@pytest.fixture(scope="module", params=["int8", "int16"])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, board: Board
) -> Built:
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.quantize.ptq import quantize

    keras.utils.set_random_seed(7)
    config = ModelConfig.from_mapping(
        {
            "vocab_size": tokenizer.vocab_size,
            "d_model": 32,
            "layers": 2,
            "heads": 4,
            "kv_heads": 2,
            "ffn_dim": 48,
            "context": CONTEXT,
        }
    )
    model = build_decoder(config)
    for variable in model.trainable_variables:  # logits that differ
        variable.assign(variable * 2 + np.random.default_rng(3).normal(0, 0.05, variable.shape))
    chance = random.Random(1)
    calibration = [[chance.randrange(tokenizer.vocab_size) for _ in range(CONTEXT)] for _ in range(4)]
    tflite = quantize(model, config, calibration, request.param)
    folder = tmp_path_factory.mktemp("real")
    (folder / "model").mkdir()
    compiled = compile_model(tflite, folder / "model")
    write_project(folder / "model", PlainCodec(tokenizer), board, "random", folder / "project")
    oracle = Oracle(tflite)
    return Built(
        build_project(folder / "project", folder / "build"),
        build_project(folder / "project", folder / "profile", profile=True),
        compiled,
        [reference_run(oracle, PlainCodec(tokenizer), CONTEXT, prompt, CONTEXT) for prompt in PROMPTS],
    )


def check(built: Built, elf: Path, board: Board) -> Verification:
    with Device(Qemu().start(elf, board), timeout=20) as device:
        return verify(device, built.expectations, macs_per_step=built.compiled.macs, instructions_per_tick=40)


@pytest.mark.variants(keep=1)
@pytest.mark.slow
def test_tokens_logits_and_counts_are_right_to_the_end_of_the_context(built: Built, board: Board) -> None:
    result = check(built, built.firmware.elf, board)
    assert result.ok, result.failures
    assert any(prompt.end == "context" for prompt in result.prompts)
    assert result.instructions.steps == sum(len(expectation.steps) for expectation in built.expectations)
    assert len({step.crc for expectation in built.expectations for step in expectation.steps}) > 100


@pytest.mark.slow
def test_layers_add_up_to_the_step(built: Built, board: Board) -> None:
    with Device(Qemu().start(built.profile.elf, board), timeout=20) as device:
        answer = device.ask(PROMPTS[0], CONTEXT)
        steps, ticks = device.profile()
    assert steps == len(answer.steps)
    assert len(ticks) == len(built.compiled.layers)
    assert sum(ticks) == pytest.approx(sum(step.ticks for step in answer.steps), rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_any_corrupted_weight_fails(built: Built, board: Board, tmp_path: Path, fraction: float) -> None:
    """Wherever in the weights it is: the board's own check of them does not depend on what the prompts reach."""
    content = bytearray(built.firmware.elf.read_bytes())
    with built.firmware.elf.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".weights")
        assert section is not None
        content[section["sh_offset"] + int(fraction * section["sh_size"])] ^= 0x10
    elf = tmp_path / "corrupt.elf"
    elf.write_bytes(content)
    result = check(built, elf, board)
    assert not result.ok
    assert not result.checks["image_intact"]


@pytest.mark.slow
def test_sizes_are_the_models(built: Built) -> None:
    sizes, compiled = built.firmware.sizes, built.compiled
    assert 0 <= sizes.weights - compiled.weight_bytes < 512
    assert sizes.tables >= compiled.table_bytes
    assert 48 <= sizes.model_memory - compiled.kv_cache_bytes - compiled.arena_bytes < 64, "three guards"
    assert sizes.code < 16 * 1024
