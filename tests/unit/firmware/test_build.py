"""What a build that fails says; CMake and Ninja are played by a script."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.errors import MissingTool, ThimbleError
from pipeline.firmware.build import build_project


def _build(folder: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """A build in which CMake says this, with the environment that it got in `environment`."""
    script = folder / "cmake"
    script.write_text(f"#!/bin/sh\nenv > '{folder}/environment'\ncat '{folder}/said'\nexit 1\n", encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (folder / "said").write_text(said, encoding="utf-8")
    (folder / "project" / "board").mkdir(parents=True)
    (folder / "project" / "board" / "memory.ld").write_text("", encoding="ascii")
    monkeypatch.setattr(tools, "require", lambda program: script)
    build_project(folder / "project", folder / "build")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "-- The C compiler identification is GNU 12.2.1\nCMake Error at CMakeLists.txt:6 (project):\n"
            "  The CMAKE_C_COMPILER:\n\n    arm-none-eabi-gcc\n\n  is not a full path\n\n-- Configuring incomplete\n",
            r"CMake Error at CMakeLists.txt:6 \(project\): The CMAKE_C_COMPILER: arm-none-eabi-gcc is not a full path$",
        ),
        ("-- fine\n/x/main.c:3:1: error: unknown type\nninja: build stopped\n", r"/x/main.c:3:1: error: unknown type$"),
        ("-- fine\nninja: error: dupbuild\n", "ninja: error: dupbuild$"),
        ("-- fine\nno space left on device\n", "no space left on device$"),
        ("", "no output$"),
    ],
)
def test_the_first_error_is_shown_and_not_the_first_line(
    said: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ThimbleError, match="the firmware does not configure: ") as caught:
        _build(tmp_path, monkeypatch, said)
    assert re.search(shown, caught.value.what)


@pytest.mark.parametrize(
    "said",
    [
        "arm-none-eabi-gcc: fatal error: cannot read spec file 'nano.specs': No such file or directory",
        "/x/thimble.c:1:10: fatal error: string.h: No such file or directory",
        "/usr/bin/ld: cannot find -lc_nano\n/usr/bin/ld: cannot find -lc: No such file",
    ],
)
def test_a_missing_c_library_is_named_with_its_package(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingTool, match="the Arm compiler has no C library") as caught:
        _build(tmp_path, monkeypatch, said)
    assert "libnewlib-arm-none-eabi" in caught.value.remedy


def test_a_folder_with_letters_that_mean_something_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a;b"
    folder.mkdir()
    with pytest.raises(ThimbleError) as caught:
        _build(folder, monkeypatch, "CMake Error: no source\n")
    assert f"the folder {folder / 'project'} has ; in its name" in caught.value.remedy


def test_the_environment_reaches_no_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CMAKE_TOOLCHAIN_FILE", "CPATH", "C_INCLUDE_PATH", "CFLAGS", "CMAKE_C_COMPILER_LAUNCHER"):
        monkeypatch.setenv(name, "/nowhere")
    with pytest.raises(ThimbleError):
        _build(tmp_path, monkeypatch, "")
    assert "/nowhere" not in (tmp_path / "environment").read_text(encoding="utf-8")
