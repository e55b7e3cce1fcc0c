"""Finding and installing the programs that are not Python."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.commands.main import main
from pipeline.errors import ThimbleError

Script = Callable[[str, str], Path]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A PATH with nothing on it but what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("RENODE", raising=False)
    tools.version.cache_clear()
    yield folder
    tools.version.cache_clear()


@pytest.fixture
def script(bare: Path) -> Script:
    def write(name: str, body: str) -> Path:
        path = bare / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write


def user(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: number)


def test_a_missing_tool_is_an_error_with_a_command_for_each_system(bare: Path) -> None:
    with pytest.raises(ThimbleError) as caught:
        tools.require("arm-none-eabi-gcc")
    assert "arm-none-eabi-gcc" in caught.value.what
    for command in (
        "Debian, Ubuntu: sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
        "Fedora: sudo dnf install arm-none-eabi-gcc-cs arm-none-eabi-newlib",
        "macOS: brew install --cask gcc-arm-embedded",
        "Windows: winget install Arm.GnuArmEmbeddedToolchain",
    ):
        assert command in caught.value.remedy


def test_cmake_and_ninja_come_with_their_python_packages(bare: Path) -> None:
    assert tools.find("cmake") is not None
    assert tools.find("ninja") is not None


def test_the_path_comes_first(script: Script) -> None:
    path = script("qemu-system-arm", "echo 'QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)'")
    assert tools.require("qemu-system-arm") == path
    assert tools.version("qemu-system-arm") == "7.2.22"


@pytest.mark.parametrize(
    ("program", "says", "version"),
    [
        ("arm-none-eabi-gcc", "arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205", "12.2.1"),
        ("qemu-system-arm", "QEMU emulator version 10.1.0", "10.1.0"),
        ("qemu-system-arm", "no number", "?"),
    ],
)
def test_versions(script: Script, program: str, says: str, version: str) -> None:
    script(program, f"echo '{says}'")
    assert tools.version(program) == version


def test_missing_tools_and_renode_instead_of_qemu(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"arm-none-eabi-gcc", "qemu-system-arm"} <= {tool.program for tool in tools.missing()}
    monkeypatch.setenv("RENODE", "/opt/renode")
    assert "qemu-system-arm" not in {tool.program for tool in tools.missing()}


def test_apt_as_root_installs_what_is_missing(
    script: Script, bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    user(monkeypatch, 0)
    log = tmp_path / "log"
    programs = " ".join(f"{bare}/{tool.program}" for tool in tools.TOOLS.values())
    script(
        "apt-get",
        f'echo "$DEBIAN_FRONTEND $@" >> {log}\n[ "$1" = update ] || for p in {programs}; do\n'
        f'[ -e "$p" ] || {{ echo "#!/bin/sh" > "$p"; /bin/chmod +x "$p"; }}\ndone',
    )
    assert {"arm-none-eabi-gcc", "qemu-system-arm"} <= set(tools.install_missing())
    calls = log.read_text().splitlines()
    assert calls[0] == "noninteractive update -qq"
    assert "gcc-arm-none-eabi libnewlib-arm-none-eabi" in calls[1]
    assert tools.install_missing() == []


def test_without_root_and_sudo_the_error_has_the_commands(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    user(monkeypatch, 1000)
    script("apt-get", "exit 99")
    script("sudo", "exit 1")
    with pytest.raises(ThimbleError, match="neither root nor passwordless sudo"):
        tools.install_missing()


def test_passwordless_sudo_is_used(script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    user(monkeypatch, 1000)
    log = tmp_path / "log"
    script("sudo", f'echo "$@" >> {log}\n[ "$2" = true ] && exit 0\nexit 1')
    script("apt-get", "exit 99")
    with pytest.raises(ThimbleError, match="apt-get could not install"):
        tools.install_missing()
    assert any("apt-get install" in line for line in log.read_text().splitlines())


def test_where_there_is_no_apt_the_error_has_the_commands(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user(monkeypatch, 0)
    with pytest.raises(ThimbleError, match="there is no apt-get here"):
        tools.install_missing()


def test_apt_that_installs_nothing_is_an_error(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    user(monkeypatch, 0)
    script("apt-get", "exit 0")
    with pytest.raises(ThimbleError, match="still missing after apt-get"):
        tools.install_missing()


def test_the_command(bare: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    user(monkeypatch, 1000)
    assert main(["tools"]) == 1
    assert "missing" in capsys.readouterr().out
    assert main(["tools", "--install"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_variables_that_reach_a_compiler_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = (
        "CFLAGS", "CPPFLAGS", "LDFLAGS", "CC", "CXX", "LD", "CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH",
        "GCC_EXEC_PREFIX", "DEPENDENCIES_OUTPUT", "SOURCE_DATE_EPOCH", "CMAKE_TOOLCHAIN_FILE",
        "CMAKE_C_COMPILER_LAUNCHER",
        "CMAKE_GENERATOR", "NINJA_STATUS", "MAKEFLAGS", "DESTDIR", "LANG", "LANGUAGE", "LC_MESSAGES",
    )  # fmt: skip
    for name in hostile:
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("CHARLIE", "stays")
    environment = tools.compiler_environment()
    assert not set(hostile) & set(environment)
    assert (environment["LC_ALL"], environment["CHARLIE"]) == ("C.UTF-8", "stays") and environment["PATH"]
