"""The firmware project stands alone, and the same sources give the same image."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from jinja2.exceptions import UndefinedError

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.firmware.build import Firmware, build_project
from pipeline.firmware.image import read_sizes, sizes_as_dict
from pipeline.firmware.project import _render, write_project
from pipeline.resources import ROOT
from pipeline.targets.boards import Board
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.host_engine import kernel_sources
from tests.support.standin import FOLDER


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_copy_builds_with_cmake_alone_and_gives_the_same_image(
    project: Path, firmware: Firmware, tmp_path: Path
) -> None:
    copy = tmp_path / "a folder" / "copied"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("build*/"))
    shutil.rmtree(copy / "build", ignore_errors=True)
    cmake, ninja = str(tools.require("cmake")), tools.require("ninja")
    configure = [cmake, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", "-S", ".", "-B", "build"]
    for command in (configure, [cmake, "--build", "build"]):
        subprocess.run(command, cwd=copy, check=True, capture_output=True)
    assert digest(copy / "build" / "firmware.elf") == digest(firmware.elf)
    assert (copy / "build" / "firmware.map").exists()


@pytest.mark.parametrize("standard", ["c11", "c17"])
def test_all_of_a_project_is_c_of_the_standard(project: Path, board: Board, standard: str) -> None:
    """CMake asks for C11 at least, and so takes what a compiler is used to, with GNU's extensions."""
    folders = [project / name for name in ("src", "model", "runtime", "board")]
    flags = [*board.flags, f"-std={standard}", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsyntax-only"]
    defines = ["-DTHIMBLE_SAMPLING", "-DTHIMBLE_PROFILE", "-DTHIMBLE_TEST_COMMANDS"]
    includes = [f"-I{folder}" for folder in (*folders, project / "runtime" / "kernels")]
    sources = [path for folder in folders for path in sorted(folder.glob("*.c"))]
    assert len(sources) > 10
    command: list[str | Path] = [tools.require("arm-none-eabi-gcc"), *flags, *defines, *includes, *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def test_only_the_kernels_that_are_called_come_along(
    project: Path, tokenizer: Tokenizer, board: Board, tmp_path: Path
) -> None:
    assert not list((project / "runtime" / "kernels").glob("*.c")), "the stand-in calls none"
    model, out = tmp_path / "model", tmp_path / "project"
    model.mkdir()
    (model / "model.c").write_text("void step(void)\n{\n    thimble_softmax_s8(0, 0, 0, 0, 0);\n}\n")
    write_project(model, PlainCodec(tokenizer), board, "one kernel", out)
    kernels = {path.name for path in (out / "runtime" / "kernels").glob("*.c")}
    assert kernels == {path.name for path in kernel_sources(model)} and "thimble_softmax_s8.c" in kernels


def test_no_path_leads_back(project: Path) -> None:
    for path in project.rglob("*"):
        if path.is_file() and "build" not in path.relative_to(project).parts[0]:
            text = path.read_text(encoding="utf-8")
            assert str(ROOT) not in text and str(project) not in text, path
            assert not re.search(r'["\s(=](/home|/root|/tmp|/usr|/work|[A-Z]:\\)', text), path
            assert "../" not in text, path


def test_the_image_holds_no_path_and_no_time(firmware: Firmware, project: Path) -> None:
    content = firmware.elf.read_bytes()
    assert str(project).encode() not in content
    assert str(ROOT).encode() not in content


def test_sizes_are_those_of_the_sections(firmware: Firmware) -> None:
    tool = str(tools.require("arm-none-eabi-gcc")).replace("gcc", "size")
    listing = subprocess.run([tool, "-A", firmware.elf], capture_output=True, text=True, check=True).stdout
    sections = dict(re.findall(r"^(\.\S+)\s+(\d+)", listing, re.MULTILINE))
    sizes = firmware.sizes
    assert sizes.code == int(sections[".vectors"]) + int(sections[".text"])
    for size, section in ((sizes.weights, ".weights"), (sizes.tables - 128, ".tables")):
        assert size == int(sections[section])
    assert sizes.model_memory == int(sections[".model_memory"]) >= 304
    assert (sizes.stack, sizes.weights) == (4096, 64)
    summary = subprocess.run([tool, firmware.elf], capture_output=True, text=True, check=True).stdout
    totals = summary.split("\n")[1].split()
    assert sizes.flash == int(totals[0]) + int(totals[1])
    assert sizes.ram == int(totals[2]) + sizes.data
    assert sizes_as_dict(sizes)["flash"] == sizes.flash


def test_application_and_runtime_are_small(firmware: Firmware) -> None:
    """Startup, faults, UART, protocol, tokenizer, checksum: what is there besides the model."""
    assert firmware.sizes.code < 8 * 1024
    assert firmware.sizes.static < 4 * 1024


def test_a_model_that_does_not_compile_is_an_error_with_the_compilers_words(
    tmp_path: Path, tokenizer: Tokenizer, board: Board
) -> None:
    write_project(FOLDER, PlainCodec(tokenizer), board, "broken", tmp_path)
    (tmp_path / "model" / "model.c").write_text("#include <stdint.h>\nint broken = \n")
    with pytest.raises(ThimbleError, match=r"does not build: .*model\.c:\d+:\d+: error"):
        build_project(tmp_path, tmp_path / "build")


def test_a_model_larger_than_the_board_is_an_error_that_says_so(
    tmp_path: Path, tokenizer: Tokenizer, board: Board
) -> None:
    write_project(FOLDER, PlainCodec(tokenizer), board, "large", tmp_path)
    header = tmp_path / "model" / "model.h"
    header.write_text(header.read_text().replace("ARENA_BYTES 300", "ARENA_BYTES (5 * 1024 * 1024)"))
    with pytest.raises(
        ThimbleError, match=r"needs 5,2\d\d,\d{3} bytes of RAM, the board has 4,194,304 \(1,0"
    ) as caught:
        build_project(tmp_path, tmp_path / "build")
    assert "larger board" in caught.value.remedy


@pytest.mark.parametrize("content", [None, b"", b"not an ELF file at all"])
def test_a_missing_or_damaged_image_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "firmware.elf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ThimbleError, match="cannot read the image"):
        read_sizes(path)


def test_a_template_that_asks_for_an_unknown_name_is_refused(tmp_path: Path) -> None:
    template = tmp_path / "file.in"
    template.write_text("{{ nobody_gives_this }}\n", encoding="utf-8")
    with pytest.raises(UndefinedError, match="nobody_gives_this"):
        _render(template, tmp_path / "file", {"title": "x"})
