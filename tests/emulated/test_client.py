"""`thimble-client`: its wheel in an environment with pyserial alone, and a board behind a port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.device import client
from pipeline.device.command import main
from pipeline.device.serial_port import SerialPort
from pipeline.errors import DeviceError, ThimbleError
from pipeline.resources import ROOT
from pipeline.version import VERSION
from tests.support.host_boards import Port, build_answering_board, build_board, on_port

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
LINES = "turn on the lamp\nwait for two hours\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_answering_board(tmp_path_factory.mktemp("answering"))


@pytest.fixture
def port(program: Path) -> Iterator[Port]:
    with on_port(program) as port:
        yield port


@pytest.fixture
def text_port(tmp_path: Path) -> Iterator[Port]:
    with on_port(build_board(tmp_path)) as port:
        yield port


def test_a_sentence_to_a_port_or_to_a_board_that_is_open(port: Port) -> None:
    understood = client.understand(port.name, "turn on the lamp")
    answer = client.ask(port.name, "turn on the lamp")
    with client.connect(port.name) as board:
        assert client.understand(board, "turn on the lamp") == understood
        assert client.ask(board, "turn on the lamp", max_new=1).end == "length"
        assert board.info().is_structured
    assert answer.text.split()[0] == understood.intent
    assert answer.confidence == round(65536 * understood.confidence)
    assert understood.tokens_out == len(answer.tokens_out) > 1


def test_requests_over_a_port_have_ids(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    with client.connect(port.name) as board:
        monkeypatch.setattr(SerialPort, "send_line", recorded(sent, SerialPort.send_line))
        board.stack()
        board.names()
    assert [line.split(" *")[0] for line in sent] == ["#1 STACK", "#2 NAMES"]


def recorded(sent: list[str], send: Callable[[SerialPort, str], None]) -> Callable[[SerialPort, str], None]:
    def record(link: SerialPort, line: str) -> None:
        sent.append(line)
        send(link, line)

    return record


def test_a_board_that_answers_in_text(text_port: Port) -> None:
    assert client.ask(text_port.name, "turn on", max_new=4).text
    with pytest.raises(DeviceError) as refused:
        client.understand(text_port.name, "turn on")
    assert refused.value.code == "unknown"
    with pytest.raises(ThimbleError, match="no serial port"):
        client.ask("/dev/none", "turn on")


def test_it_draws_tokens_as_it_is_told(text_port: Port) -> None:
    with client.connect(text_port.name) as board:
        board.sample(temperature=2000, seed=5)
        drawn = [client.ask(board, "turn on", max_new=8).tokens_out for _ in range(4)]
        board.sample()
        best = [client.ask(board, "turn on", max_new=8).tokens_out for _ in range(2)]
        with pytest.raises(DeviceError, match="top_k"):
            board.sample(top_k=1000)
    assert len(set(drawn)) > 1 and len(set(best)) == 1


def test_the_command(port: Port, text_port: Port, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", port.name]) == 0
    assert json.loads(capsys.readouterr().out)["formats"] == ["text", "json"]
    assert main(["understand", port.name, "lamp", "wait"]) == 0
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 2
    assert main(["ask", text_port.name, "turn on"]) == 0
    assert len(capsys.readouterr().out) > 1
    assert main(["understand", text_port.name, "turn on"]) == 1
    assert "unknown" in capsys.readouterr().err


def test_a_chat(
    port: Port, text_port: Port, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: str) -> list[str]:
        monkeypatch.setattr("sys.stdin", Lines(LINES))
        assert main(["chat", *arguments]) == 0
        return capsys.readouterr().out.splitlines()

    assert [json.loads(line)["reason"] for line in said(port.name, "--json")] == [
        client.understand(port.name, line).reason for line in LINES.splitlines()
    ]
    first, *answers = said(port.name)
    assert "stand-in on host" in first and len([line for line in answers if "% " in line]) == 2
    first, *answers = said(text_port.name)
    assert len([line for line in answers if "tokens in" in line]) == 2
    assert not any("%" in line and "tokens in" in line for line in answers)


class Lines:
    """Standard input."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines(keepends=True)

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        raise OSError

    def readline(self) -> str:
        return self._lines.pop(0) if self._lines else ""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new environment with the client's wheel and what it depends on; skips without an index."""
    folder = tmp_path_factory.mktemp("client")
    wheel = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT / "client")]
    built = subprocess.run(wheel, capture_output=True, text=True, check=False)
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip(f"the package index cannot be reached: {built.stderr.strip().splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    (file,) = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", str(file)]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    if installed.returncode and "pyserial" in installed.stderr:
        pytest.skip(f"the package index cannot be reached: {installed.stderr.strip().splitlines()[-1]}")
    assert installed.returncode == 0, installed.stderr
    return folder


def run(environment: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of the environment, away from the clone."""
    program, *arguments = command
    return subprocess.run(
        [str(environment / "venv" / "bin" / program), *arguments],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.slow
def test_the_wheel_holds_each_file_of_the_tree_once(environment: Path) -> None:
    (file,) = environment.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        held = {name: archive.read(name) for name in archive.namelist() if ".dist-info" not in name}
    shared = [*(ROOT / "pipeline" / "device").glob("*.py"), ROOT / "pipeline/errors.py", ROOT / "pipeline/version.py"]
    expected = {f"thimble_client/{path.relative_to(ROOT / 'pipeline')}": path.read_bytes() for path in shared}
    assert {name: held[name] for name in expected} == expected
    own = {"__init__.py", "__main__.py", "LICENSE", "py.typed"}
    assert set(held) - set(expected) == {f"thimble_client/{name}" for name in own}


@pytest.mark.slow
def test_a_source_distribution_makes_the_same_wheel(environment: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "install", "-q", "--target", str(tools), "hatchling"], check=True, capture_output=True)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path / "sdist")],
        cwd=ROOT / "client",
        env={**os.environ, "PYTHONPATH": str(tools)},
        check=True,
        capture_output=True,
    )
    (source,) = (tmp_path / "sdist").glob("*.tar.gz")
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)], check=True)
    (first,), (second,) = environment.glob("*.whl"), tmp_path.glob("*.whl")
    assert first.name == second.name == f"thimble_client-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        assert {name: one.read(name) for name in one.namelist()} == {
            name: other.read(name) for name in other.namelist()
        }


@pytest.mark.slow
def test_with_pyserial_alone_it_talks_to_a_board(environment: Path, port: Port, tmp_path: Path) -> None:
    code = (
        "import sys, thimble_client as t\n"
        "from importlib import metadata\n"
        "print(*sorted({d.name for d in metadata.distributions()}))\n"
        "with t.connect(sys.argv[1]) as board:\n"
        "    print(board.info().model, t.ask(board, 'turn on the lamp').text, t.understand(board, 'lamp').intent)\n"
        "    try: t.understand(board, 'lamp', max_new=0)\n"
        "    except t.DeviceError as error: print(error.code)\n"
        "print(any(name.startswith('pipeline') for name in sys.modules))\n"
    )
    done = run(environment, tmp_path, "python", "-c", code, port.name)
    assert done.returncode == 0, done.stderr
    installed, asked, refused, is_pipeline = done.stdout.splitlines()
    assert installed.split() == ["pyserial", "thimble-client"]
    assert asked.startswith("stand-in ") and refused == "out-of-range" and is_pipeline == "False"
    command = run(environment, tmp_path, "thimble-client", "understand", port.name, "turn on the lamp")
    assert command.returncode == 0, command.stderr
    assert json.loads(command.stdout)["tokens_out"] > 1
    assert run(environment, tmp_path, "python", "-m", "thimble_client", "--version").stdout == (
        f"thimble-client {VERSION}\n"
    )
    nowhere = run(environment, tmp_path, "thimble-client", "info", "/dev/none")
    assert nowhere.returncode == 1 and "no serial port" in nowhere.stderr and "Traceback" not in nowhere.stderr
