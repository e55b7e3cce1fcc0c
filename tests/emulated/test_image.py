"""An image knows itself: its checksums and its digest are of what was linked, however it was built."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from pipeline import tools
from pipeline.device.protocol import Device, Info
from pipeline.emulators.qemu import Qemu
from pipeline.errors import ThimbleError
from pipeline.firmware.build import Firmware, build_project
from pipeline.firmware.image import ImageRecord, read_record
from pipeline.firmware.project import TEMPLATES, write_project
from pipeline.targets.boards import Board
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.checks import reference_run, verify
from tests.support.bit_flips import MISSED, PARTS, UNCHANGED, Flips, write_model_with_variables
from tests.support.project_scripts import project_script
from tests.support.standin import CONTEXT, FOLDER, WEIGHTS, Standin

FLIPS = 12
post_link = project_script("post_link")
MAGIC = post_link.MAGIC.to_bytes(4, "little")


@pytest.fixture
def fresh(tmp_path: Path, tokenizer: Tokenizer, board: Board) -> Path:
    """A project of the stand-in that nobody has built."""
    write_project(FOLDER, PlainCodec(tokenizer), board, "stand-in", tmp_path / "project")
    return tmp_path / "project"


def build_by_hand(project: Path, *options: str) -> Path:
    """Builds as somebody does who has the project alone; the image."""
    ninja = f"-DCMAKE_MAKE_PROGRAM={tools.require('ninja')}"
    for arguments in (["-G", "Ninja", ninja, *options, "-S", ".", "-B", "build"], ["--build", "build"]):
        done = subprocess.run(
            [str(tools.require("cmake")), *arguments], cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return project / "build" / "firmware.elf"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def info_of(elf: Path, board: Board) -> Info:
    with Device(Qemu().start(elf, board), timeout=20) as device:
        return device.info()


def test_the_record_is_of_all_that_is_loaded(firmware: Firmware) -> None:
    """By another reader of ELF files, section by section."""
    with firmware.elf.open("rb") as file:
        elf = ELFFile(file)
        loaded = {s.name: s for s in elf.iter_sections() if s["sh_flags"] & 2 and s["sh_type"] != "SHT_NOBITS"}
        record = loaded.pop(".image").data()
        listed = [post_link.RANGE.unpack_from(record, at) for at in range(32, len(record), 16)]
        names = [name for part in list(PARTS.values())[:-1] for name in part]
        assert {name for name in loaded if loaded[name]["sh_size"]} <= {*names, ".ARM.exidx"}
        sizes = sorted(int(section["sh_size"]) for section in loaded.values() if section["sh_size"])
        assert sorted(count for _, count, _, _ in listed if count) == sizes
        for start, count, _, crc in listed:
            if count:
                section = next(s for s in loaded.values() if s["sh_addr"] == start and s["sh_size"] == count)
                assert crc == zlib.crc32(section.data())
    assert firmware.weights_crc == zlib.crc32(b"".join(value.to_bytes(4, "little") for value in WEIGHTS))
    assert post_link.completed(firmware.elf.read_bytes()) == firmware.elf.read_bytes(), "a second time changes nothing"


@pytest.mark.parametrize(
    "options", [("-DCMAKE_C_FLAGS=-flto",), ("-DCMAKE_C_FLAGS=-O0",), ("-DCMAKE_BUILD_TYPE=Release",)], ids=" ".join
)
def test_any_options_give_an_image_that_runs(
    fresh: Path, options: tuple[str, ...], board: Board, tokenizer: Tokenizer
) -> None:
    elf = build_by_hand(fresh, *options)
    expected = reference_run(Standin(), PlainCodec(tokenizer), CONTEXT, "turn on", 12)
    with Device(Qemu().start(elf, board), timeout=20) as device:
        record = read_record(elf)
        result = verify(
            device,
            [expected],
            macs_per_step=1,
            instructions_per_tick=40,
            weights_crc=record.weights_crc,
            build_id=record.build_id,
        )
    assert result.ok, result.failures


def test_other_weights_laid_into_a_project_give_another_image_that_runs(
    fresh: Path, board: Board, firmware: Firmware
) -> None:
    before = build_by_hand(fresh)
    record = read_record(before)
    assert record == ImageRecord(firmware.build_id, firmware.weights_crc), "wherever it is built"
    first = info_of(before, board)
    change(fresh / "model" / "model.c", "3, 1, 4, 1, 5, 9,", "3, 1, 4, 1, 5, 8,")
    change(fresh / "model" / "model.h", '"5eed000000000001"', '"5eed000000000002"')
    second = info_of(build_by_hand(fresh), board)
    assert not first.corrupt and not second.corrupt
    assert (first.build, second.build) == (record.build_id, read_record(before).build_id)
    assert first.build != second.build and first.weights_crc != second.weights_crc
    assert (first.model_version, second.model_version) == ("5eed000000000001", "5eed000000000002")
    assert first.tokenizer_version == second.tokenizer_version
    with Device(Qemu().start(before, board), timeout=20) as device:
        assert device.ask("turn on", 4).tokens_out


def test_each_change_of_code_or_options_gives_another_id(
    fresh: Path, firmware: Firmware, test_firmware: Firmware
) -> None:
    ids = [firmware.build_id, test_firmware.build_id]
    change(fresh / "src" / "main.c", '"malformed GEN max_new', '"malformed: GEN max_new')
    ids.append(build_project(fresh, fresh / "build").build_id)
    change(fresh / "board" / "memory.ld", "STACK_SIZE = 4096", "STACK_SIZE = 4104")
    ids.append(build_project(fresh, fresh / "build").build_id)
    ids.append(build_project(fresh, fresh / "other", sampling=False).build_id)
    assert len(set(ids)) == len(ids)
    assert all(len(build_id) == 16 and int(build_id, 16) for build_id in ids)


@pytest.fixture(scope="module")
def flips(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, board: Board) -> Flips:
    folder = tmp_path_factory.mktemp("flips")
    write_model_with_variables(folder / "model")
    write_project(folder / "model", PlainCodec(tokenizer), board, "stand-in", folder / "project")
    return Flips(build_project(folder / "project", folder / "build"), board, folder)


@pytest.mark.parametrize("part", PARTS)
def test_a_flipped_bit_is_detected_or_changes_nothing(flips: Flips, part: str) -> None:
    outcomes = [flips.outcome(*flip) for flip in flips.sample(part, FLIPS, seed=7)]
    assert len(outcomes) == FLIPS and MISSED not in outcomes
    assert outcomes.count(UNCHANGED) < FLIPS / 2


@pytest.mark.parametrize("part", PARTS)
def test_info_tells_which_part_is_broken(flips: Flips, part: str, board: Board, tmp_path: Path) -> None:
    content = bytearray(flips.content)
    with flips.elf.open("rb") as file:
        elf = ELFFile(file)
        section, symbols = elf.get_section_by_name(PARTS[part][-1]), elf.get_section_by_name(".symtab")
        assert section is not None and isinstance(symbols, SymbolTableSection)
        place = section["sh_offset"] + 12  # of the record: its id
        if part in ("code", "tables"):  # what neither start nor INFO needs
            found = symbols.get_symbol_by_name({"code": "encode", "tables": "merge_pairs"}[part])
            assert found is not None
            place = section["sh_offset"] + (found[0]["st_value"] & ~1) - section["sh_addr"]
    content[place] ^= 0x20
    (tmp_path / "broken.elf").write_bytes(content)
    info = info_of(tmp_path / "broken.elf", board)
    assert info.corrupt == (part,)
    assert info.parts == {name: "corrupt" if name == part else "intact" for name in PARTS}


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_record(content: bytes) -> bytes:
    return content.replace(b".image\0", b".imagf\0")


def with_an_orphan(content: bytes) -> bytes:
    """The second range, the tables', is of no bytes, so that their section is in none."""
    at = content.index(MAGIC) + 32 + 16
    return content[:at] + bytes(8) + content[at + 8 :]


def with_a_range_of_nothing(content: bytes) -> bytes:
    """The first range, the weights', lies elsewhere."""
    at = content.index(MAGIC) + 32
    return content[:at] + (0x70000000).to_bytes(4, "little") + content[at + 4 :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda _: b"", "it is no ELF file"),
        (lambda _: b"#!/bin/sh\n", "it is no ELF file"),
        (lambda content: content[:4] + b"\2\1" + content[6:], "no ELF file of 32 bits"),
        (lambda content: content[:40], "its headers are cut off"),
        (cut, "cut off"),
        (without_record, r"no section \.image"),
        (with_an_orphan, r"section \.tables \(\d+ bytes at 0x[0-9a-f]{8}\) is loaded, but not checked"),
        (with_a_range_of_nothing, "64 bytes lie at 0x70000000, where nothing is loaded"),
    ],
)
def test_a_file_that_cannot_be_completed_is_one_clear_error(
    firmware: Firmware, tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    path = tmp_path / "firmware.elf"
    path.write_bytes(damage(firmware.elf.read_bytes()))
    before = path.read_bytes()
    script = [sys.executable, str(TEMPLATES / "cmake" / "post_link.py")]
    done = subprocess.run([*script, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == "" and len(done.stderr.splitlines()) == 1
    with pytest.raises(post_link.Unreadable, match=message):
        post_link.completed(before)
    assert done.stderr.startswith(f"post_link.py: error: {path} cannot be completed: ")
    assert path.read_bytes() == before
    done = subprocess.run([*script, str(tmp_path / "nowhere.elf")], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "No such file" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_section_that_a_linker_script_leaves_out_is_a_build_error(fresh: Path) -> None:
    change(fresh / "model" / "model.c", 'section(".rodata.thimble.model.weights")', 'section(".own")')
    with pytest.raises(ThimbleError, match=r"does not build: .*section \.own \(64 bytes at 0x\w+\) is loaded, but not"):
        build_project(fresh, fresh / "build")


def test_an_image_of_another_program_has_no_record(tmp_path: Path, firmware: Firmware) -> None:
    path = tmp_path / "other.elf"
    path.write_bytes(without_record(firmware.elf.read_bytes()))
    with pytest.raises(ThimbleError, match="has no record of checksums"):
        read_record(path)
