"""Every board: those with a QEMU machine boot, answer and report faults; the others build and lie in their memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from pipeline import tools
from pipeline.compiler import compile_model
from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.errors import DeviceError
from pipeline.firmware.build import Firmware, build_project
from pipeline.firmware.project import write_project
from pipeline.recipes.schema import ModelConfig
from pipeline.targets.boards import Board, all_boards
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.checks import reference_run, verify
from pipeline.verification.oracle import Oracle
from tests.support.standin import FOLDER, VOCAB, Standin

CONTEXT = 48
BOARDS = all_boards()
ON_QEMU = [board for board in BOARDS if "qemu" in board.emulators]


@pytest.fixture(scope="module", params=BOARDS, ids=lambda board: board.name)
def every(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer
) -> tuple[Board, Firmware]:
    tools.require("arm-none-eabi-gcc")
    board = request.param
    project = tmp_path_factory.mktemp(board.name) / "project"
    write_project(FOLDER, PlainCodec(tokenizer), board, "stand-in", project)
    return board, build_project(project, project / "build", test_commands=True)


def test_the_image_lies_in_the_boards_memory(every: tuple[Board, Firmware]) -> None:
    board, firmware = every
    regions = [region for region in (board.flash, board.ram, board.vectors) if region]
    with firmware.elf.open("rb") as file:
        elf = ELFFile(file)
        for section in elf.iter_sections():
            if section["sh_flags"] & 2 and section["sh_size"]:
                first, last = section["sh_addr"], section["sh_addr"] + section["sh_size"]
                assert any(r.origin <= first and last <= r.origin + r.size for r in regions), section.name
        vectors = elf.get_section_by_name(".vectors")
        assert vectors is not None
        assert vectors["sh_addr"] == (board.vectors or board.flash).origin
        words = np.frombuffer(vectors.data(), "<u4")
    assert len(words) == 16 + board.uart.rx_irq + 1
    assert board.ram.origin < words[0] <= board.ram.origin + board.ram.size
    assert all(word & 1 for word in words[[1, 2, 3, 15, 16 + board.uart.rx_irq]]), "handlers are Thumb code"


def test_it_answers_and_tells_of_faults(every: tuple[Board, Firmware], tokenizer: Tokenizer) -> None:
    board, firmware = every
    if board not in ON_QEMU:
        pytest.skip(f"QEMU has no machine for {board.name}")
    with Device(Qemu().start(firmware.elf, board), timeout=20) as device:
        info = device.info()
        assert (info.board, info.vocab, info.weights) == (board.name, VOCAB, "intact")
        result = verify(
            device,
            [reference_run(Standin(), PlainCodec(tokenizer), CONTEXT, "turn on", CONTEXT)],
            macs_per_step=1,
            instructions_per_tick=board.instructions_per_tick("qemu"),
            build_id=firmware.build_id,
        )
        assert result.ok, result.failures
        assert 0 < device.stack()[0] < board.stack_bytes
    kinds = {"stack": "stack-overflow", "undefined": "hard" if board.core == "cortex-m0" else "usage", "bus": "bus"}
    if board.core == "cortex-m0":
        del kinds["bus"]  # QEMU's nRF51 answers everywhere
    for crash, kind in kinds.items():
        with Device(Qemu().start(firmware.elf, board), timeout=20) as device:
            with pytest.raises(DeviceError, match=f"FAULT {kind} ") as caught:
                device.request(f"CRASH {crash}")
            assert caught.value.code == "fault"


@pytest.mark.slow
def test_a_model_that_fits_runs_on_the_smallest_board(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """On a Cortex-M0 with 16 KB of RAM, against TensorFlow Lite Micro."""
    from pipeline.network.tf_setup import load_tensorflow

    load_tensorflow()
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.quantize.ptq import quantize

    board = next(board for board in BOARDS if board.name == "microbit")
    sizes = {"d_model": 24, "layers": 1, "heads": 2, "kv_heads": 2, "ffn_dim": 32, "context": 32}
    config = ModelConfig.from_mapping({**sizes, "vocab_size": tokenizer.vocab_size, "positions": "rotary"})
    keras.utils.set_random_seed(3)
    model = build_decoder(config)
    for variable in model.trainable_variables:
        variable.assign(variable * 2)
    random = np.random.default_rng(3)
    tflite = quantize(model, config, [list(map(int, random.integers(0, config.vocab_size, 32))) for _ in range(3)])
    (tmp_path / "model").mkdir()
    compiled = compile_model(tflite, tmp_path / "model", board.packing)
    write_project(tmp_path / "model", PlainCodec(tokenizer), board, "tiny", tmp_path / "project")
    firmware = build_project(tmp_path / "project", tmp_path / "build")
    assert firmware.sizes.ram < board.ram.size
    per_tick = board.instructions_per_tick("qemu")
    prompts = [reference_run(Oracle(tflite), PlainCodec(tokenizer), 32, text, 32) for text in ("set 5", "lights")]
    with Device(Qemu().start(firmware.elf, board), timeout=30) as device:
        result = verify(device, prompts, macs_per_step=compiled.macs, instructions_per_tick=per_tick)
    assert result.ok, result.failures
