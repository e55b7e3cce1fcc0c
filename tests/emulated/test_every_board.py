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
from tests.support.project_scripts import project_script
from tests.support.standin import FOLDER, VOCAB, Standin

uf2 = project_script("uf2")
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


@pytest.mark.variants(keep=3)
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


def test_what_the_board_is_flashed_with_is_the_image(every: tuple[Board, Firmware]) -> None:
    board, firmware = every
    made = {path.suffix[1:] for path in firmware.elf.parent.glob("firmware.*")} - {"map"}
    assert made == {"elf", board.image}
    with firmware.elf.open("rb") as file:
        segments = [segment for segment in ELFFile(file).iter_segments("PT_LOAD") if segment["p_filesz"]]
        content = {segment["p_paddr"]: segment.data() for segment in segments}
    if board.image == "bin":
        binary = firmware.elf.with_suffix(".bin").read_bytes()
        for address, data in content.items():
            start = address - board.flash.origin
            assert binary[start : start + len(data)] == data
    if board.image == "hex":
        memory = uf2.memory_of(firmware.elf.with_suffix(".hex").read_text())
        for address, data in content.items():
            assert bytes(memory[address + i] for i in range(len(data))) == data


def test_a_board_with_a_drive_gets_a_uf2(tmp_path: Path, tokenizer: Tokenizer) -> None:
    tools.require("arm-none-eabi-gcc")
    board = next(board for board in BOARDS if board.name == "arduino_nano_33_ble")
    board = board.replace(image="uf2", uf2_family=0xADA52840)
    write_project(FOLDER, PlainCodec(tokenizer), board, "stand-in", tmp_path / "project")
    elf = build_project(tmp_path / "project", tmp_path / "build").elf
    blocks = elf.with_suffix(".uf2").read_bytes()
    assert len(blocks) % 512 == 0
    memory: dict[int, int] = {}
    for number in range(len(blocks) // 512):
        block = blocks[512 * number : 512 * (number + 1)]
        words = np.frombuffer(block[:32], "<u4")
        assert [hex(word) for word in words[:3]] == ["0xa324655", "0x9e5d5157", "0x2000"]
        assert (words[4], words[5], words[6], words[7]) == (256, number, len(blocks) // 512, 0xADA52840)
        assert block[508:] == bytes.fromhex("306fb10a")
        memory.update({int(words[3]) + i: byte for i, byte in enumerate(block[32 : 32 + 256])})
    with elf.open("rb") as file:
        for segment in ELFFile(file).iter_segments("PT_LOAD"):
            if segment["p_filesz"]:
                data, address = segment.data(), segment["p_paddr"]
                assert bytes(memory[address + i] for i in range(len(data))) == data
    assert min(memory) == board.boot_offset


def test_it_answers_and_tells_of_faults(every: tuple[Board, Firmware], tokenizer: Tokenizer) -> None:
    board, firmware = every
    if board not in ON_QEMU:
        pytest.skip(f"QEMU has no machine for {board.name}")
    with Device(Qemu().start(firmware.elf, board), timeout=20) as device:
        info = device.info()
        assert (info.board, info.vocab, info.corrupt) == (board.name, VOCAB, ())
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
