"""Images of the stand-in model, built once, and a booted board."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.firmware.build import Firmware, build_project
from pipeline.firmware.project import write_project
from pipeline.targets.boards import Board, load_board
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from tests.support.standin import FOLDER, standin_tokenizer


@pytest.fixture(scope="session")
def board() -> Board:
    return load_board("mps2_an386")


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return standin_tokenizer()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, board: Board) -> Path:
    folder = tmp_path_factory.mktemp("firmware") / "project"
    write_project(FOLDER, PlainCodec(tokenizer), board, "stand-in", folder)
    return folder


@pytest.fixture(scope="session")
def firmware(project: Path) -> Firmware:
    return build_project(project, project / "build")


@pytest.fixture(scope="session")
def test_firmware(project: Path, firmware: Firmware) -> Firmware:
    """With profiling and the requests that provoke faults."""
    return build_project(project, project / "build-test", profile=True, test_commands=True)


@pytest.fixture
def device(firmware: Firmware, board: Board) -> Iterator[Device]:
    with Device(Qemu().start(firmware.elf, board), timeout=20) as device:
        yield device


@pytest.fixture
def test_device(test_firmware: Firmware, board: Board) -> Iterator[Device]:
    with Device(Qemu().start(test_firmware.elf, board), timeout=20) as device:
        yield device
