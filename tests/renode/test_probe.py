"""The probe: what it finds on a core that computes right, and on one that does not."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import yaml
from elftools.elf.elffile import ELFFile

from pipeline import tools
from pipeline.device.link import SerialLink
from pipeline.emulators.qemu import Qemu
from pipeline.errors import ThimbleError
from pipeline.firmware.probe import PROBE, build_probe, encoding, instructions_in
from pipeline.targets.boards import Board, all_boards, load_board
from pipeline.verification.probe import trusted_emulator, wrong_instructions

pytestmark = pytest.mark.slow
NAMES: list[str] = list(yaml.safe_load((PROBE / "instructions.yaml").read_text()))
BOARDS = [board for board in all_boards() if "qemu" in board.emulators]
EXPECTED = {"cortex-m0": 0, "cortex-m3": 5, "cortex-m4": 21, "cortex-m7": 21, "cortex-m33": 21, "cortex-m55": 45}
"""Instructions that the probe checks, by core."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tools.require("qemu-system-arm")
    tools.require("arm-none-eabi-gcc")
    return tmp_path_factory.mktemp("probe")


def built(board: Board, folder: Path) -> Path:
    inside = folder / board.name
    if not inside.exists():
        inside.mkdir()
        build_probe(board, inside)
    return inside / "probe.elf"


@pytest.mark.variants(keep=3)
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_qemu_computes_all_of_them_right(board: Board, folder: Path) -> None:
    link = Qemu().start(built(board, folder), board)
    told: list[str] = []

    class Recorded:
        def read_line(self, timeout: float) -> str:
            told.append(link.read_line(timeout))
            return told[-1]

    assert wrong_instructions(Recorded()) == []  # type: ignore[arg-type]
    link.close()
    right = {line.split()[1]: int(line.split()[2]) for line in told if line.startswith("RIGHT")}
    assert len(right) == EXPECTED[board.core]
    assert all(cases >= 2000 for cases in right.values())
    assert set(right) <= set(NAMES)
    assert instructions_in(built(board, folder), right, board) == list(right), "its own image has every one"


CHANGED = {
    "VMULLB.S16": ("mps3_an547", 0x1000, 0),  # VMULLT.S16
    "VMULLT.S16": ("mps3_an547", 0, 0x1000),  # VMULLB.S16
    "VCLZ.I32": ("mps3_an547", 0, 0x80),  # VCLS.S32
    "VMLADAVA.S8": ("mps3_an547", 0, 0x20),  # VMLADAV.S8
    "SMLALD": ("mps2_an386", 0x10, 0),  # SMLALDX
    "SMMULR": ("mps2_an500", 0, 0x10),  # SMMUL: not rounded
    "USAT16": ("mps2_an505", 0x01, 0),  # to a bit more
}
"""Instruction → the board, and the bits that are set and cleared to make another of it."""


class Broken:
    """An emulator that computes an instruction wrong: QEMU, with another one in its place."""

    name, version = "renode", "1.16.1"

    def __init__(self, *names: str) -> None:
        self.names = names

    def start(self, elf: Path, board: Board) -> SerialLink:
        data = bytearray(elf.read_bytes())
        with elf.open("rb") as file:
            section = ELFFile(file).get_section_by_name(".text")
            assert section is not None
            start, size = section["sh_offset"], section["sh_size"]
        changed = set()
        for at in range(start, start + size - 3, 2):
            high, low = struct.unpack_from("<HH", data, at)
            for name in self.names:
                if matches(name, board, high << 16 | low):
                    _, on, off = CHANGED[name]
                    word = (high << 16 | low | on) & ~off
                    struct.pack_into("<HH", data, at, word >> 16, word & 0xFFFF)
                    changed.add(name)
        assert changed == set(self.names)
        broken = elf.with_name("broken.elf")
        broken.write_bytes(data)
        return Qemu().start(broken, board)


def matches(name: str, board: Board, word: int) -> bool:
    mask, code = encoding(name, board.flags)
    return word & mask == code


@pytest.mark.variants(keep=2)
@pytest.mark.parametrize("name", CHANGED)
def test_a_wrong_instruction_is_told_and_qemu_takes_over(name: str, folder: Path) -> None:
    board = load_board(CHANGED[name][0])
    emulator, says = trusted_emulator(Broken(name), board, built(board, folder))
    assert isinstance(emulator, Qemu)
    assert says == f"Renode 1.16.1 computes {name} wrong; verified on QEMU instead"


def test_several_are_told_in_one_line(folder: Path) -> None:
    board = load_board("mps3_an547")
    _, says = trusted_emulator(Broken("VCLZ.I32", "VMULLB.S16", "VMULLT.S16"), board, built(board, folder))
    assert says == "Renode 1.16.1 computes VMULLB.S16, VMULLT.S16 and VCLZ.I32 wrong; verified on QEMU instead"


def test_what_the_image_does_not_use_is_not_told(folder: Path) -> None:
    board, other = load_board("mps2_an386"), load_board("mps2_an385")
    broken = Broken("SMLALD")
    assert trusted_emulator(broken, board, built(other, folder)) == (broken, "")


def test_a_board_that_no_other_emulator_has_stays(folder: Path) -> None:
    board = load_board("mps2_an386")
    board = board.replace(emulators={"renode": board.emulators["renode"].model_dump()})

    class Alone(Broken):
        def start(self, elf: Path, board: Board) -> SerialLink:
            return super().start(elf, load_board(board.name))

    broken = Alone("SMLALD")
    emulator, says = trusted_emulator(broken, board, built(load_board("mps2_an386"), folder))
    assert emulator is broken
    assert says.startswith("Renode 1.16.1 computes SMLALD wrong, which this image uses, and no other emulator")


class Lines:
    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def read_line(self, timeout: float) -> str:
        return self.lines.pop(0)


def test_an_instruction_that_the_emulator_does_not_know_is_wrong() -> None:
    told = ("CHECK SMLAD", "RIGHT SMLAD 2400", "CHECK VCLZ.I32", "", "FAULT usage pc=00000000")
    assert wrong_instructions(Lines(*told)) == ["VCLZ.I32"]  # type: ignore[arg-type]


def test_what_no_probe_says_is_an_error() -> None:
    with pytest.raises(ThimbleError, match="READY thimble 1"):
        wrong_instructions(Lines("READY thimble 1"))  # type: ignore[arg-type]


@pytest.mark.parametrize("core", ["mps2_an386", "mps3_an547"])
def test_an_encoding_is_no_other_instructions(core: str, folder: Path) -> None:
    board = load_board(core)
    encodings = {name: encoding(name, board.flags) for name in NAMES[: EXPECTED[board.core]]}
    for name, (_, code) in encodings.items():
        family = {"SMUAD": "SMLAD", "SMMULR": "SMMLAR", "SXTB16": "SXTAB16"}.get(name, name)  # of which it is a case
        assert {other for other, (mask, value) in encodings.items() if code & mask == value} == {name, family}
