"""The emulators' processes: picked, started, hung, ended. None of these tests needs an emulator."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.device.protocol import Device
from pipeline.emulators.process import ProcessLink, spawn
from pipeline.emulators.qemu import Qemu
from pipeline.emulators.renode.launcher import Renode, find_renode, private_folder
from pipeline.emulators.select import pick
from pipeline.errors import DeviceError, ThimbleError
from pipeline.targets.boards import Board, load_board

BOARD = load_board("mps2_an386")
no_windows = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals, no process groups")


def running(code: str) -> ProcessLink:
    return ProcessLink.on_pipes("Test 1.0", [sys.executable, "-u", "-c", code])


def test_lines_go_both_ways() -> None:
    link = running("import sys\nfor line in sys.stdin: print(line.strip().upper(), end='\\r\\n')")
    link.send_line("hello")
    link.send_line("board")
    assert [link.read_line(20), link.read_line(20)] == ["HELLO", "BOARD"]
    link.close()
    link.close()


def test_a_hung_board_is_an_error_with_its_last_lines() -> None:
    link = running("import time\nprint('one')\nprint('two')\ntime.sleep(60)")
    assert [link.read_line(20), link.read_line(20)] == ["one", "two"]
    with pytest.raises(ThimbleError, match=r"Test 1\.0 gave no line for 0\.2 s; last it said: one \| two"):
        link.read_line(0.2)
    link.close()


def test_an_emulator_that_ends_is_an_error_with_its_complaint() -> None:
    link = running(
        "import sys, time\nprint('boot'); print('no such machine', file=sys.stderr); time.sleep(0.2); sys.exit(3)"
    )
    assert link.read_line(20) == "boot"
    for _ in range(2):
        with pytest.raises(ThimbleError, match=r"ended.*boot.*no such machine"):
            link.read_line(20)
    link.close()
    with pytest.raises(ThimbleError, match="ended"):
        link.read_line(1)


def test_closing_ends_the_process_even_if_it_ignores_that() -> None:
    link = running("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up')\ntime.sleep(60)")
    link.read_line(20)
    started = time.monotonic()
    link.close()
    assert time.monotonic() - started < 10
    assert link._process.returncode is not None


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ThimbleError, match="cannot start Nothing"):
        spawn("Nothing", ["/no/such/program"])


def test_the_uart_over_a_socket() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]

    def answer() -> None:
        connection, _ = server.accept()
        connection.sendall(b"READY thimble 1\n" + connection.recv(100))
        connection.close()

    threading.Thread(target=answer, daemon=True).start()
    process = spawn("Sleeper", [sys.executable, "-c", "import time; time.sleep(60)"])
    link = ProcessLink.on_socket("Sleeper", process, port, 20)
    link.send_line("STACK")
    assert [link.read_line(20), link.read_line(20)] == ["READY thimble 1", "STACK"]
    link.close()
    server.close()


def test_a_socket_that_never_opens_is_an_error_with_the_programs_last_words() -> None:
    process = spawn("Quitter", [sys.executable, "-c", "print('no such platform')"])
    process.wait()
    with pytest.raises(ThimbleError, match="did not open the UART's port 1; last it said: no such platform"):
        ProcessLink.on_socket("Quitter", process, 1, 20)


TERMINAL = """
import os, sys, tty
ours, theirs = os.openpty()
tty.setraw(theirs)
os.write(ours, b"READY thimble 1\\n")  # before anybody has opened it
print("(monitor) a machine", flush=True)
os.symlink(os.ttyname(theirs), sys.argv[1])
while data := os.read(ours, 4096):
    os.write(ours, data.upper())
"""


@no_windows
def test_the_uart_on_a_pseudo_terminal(tmp_path: Path) -> None:
    path = tmp_path / "uart"
    process = spawn("Terminal 1.0", [sys.executable, "-c", TERMINAL, str(path)])
    link = ProcessLink.on_terminal("Terminal 1.0", process, path, 20)
    link.send_line("x" * 9000)
    assert [link.read_line(20), link.read_line(20)] == ["READY thimble 1", "X" * 9000]
    with pytest.raises(ThimbleError, match=r"gave no line .* \(monitor\) a machine"):
        link.read_line(0.2)
    process.kill()
    with pytest.raises(ThimbleError, match="ended"):
        link.read_line(20)
    link.close()


@no_windows
def test_a_terminal_that_never_appears_is_an_error_with_the_programs_last_words(tmp_path: Path) -> None:
    code = "import time; print('no such platform', flush=True); time.sleep(60)"
    process = spawn("Silent", [sys.executable, "-c", code])
    with pytest.raises(ThimbleError, match=r"did not open the UART's terminal .*last it said: no such platform"):
        ProcessLink.on_terminal("Silent", process, tmp_path / "uart", 1)
    assert process.returncode is not None


@no_windows
@pytest.mark.parametrize("how", ["exits", "ignores"])
def test_closing_ends_what_a_script_has_started(tmp_path: Path, how: str) -> None:
    """A distribution's `renode` is a script around the real program, which may ignore a polite request."""
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " if how == "ignores" else ""
    child = f"import os, signal, time; {deaf}print(os.getpid(), flush=True); time.sleep(60)"
    script = tmp_path / "renode"
    script.write_text(f'#!/bin/sh\n"{sys.executable}" -c "{child}"\necho never\n')
    script.chmod(0o755)
    link = ProcessLink.on_pipes("Script", [str(script)])
    pid = int(link.read_line(20))
    link.close()
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody has waited for does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@no_windows
def test_renode_gets_a_folder_without_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spaced = tmp_path / "with a space"
    spaced.mkdir()
    for name in (str(spaced), str(tmp_path)):
        monkeypatch.setattr("tempfile.tempdir", name)
        folder = private_folder()
        assert " " not in str(folder) and folder.stat().st_mode & 0o777 == 0o700
        assert (folder.parent == tmp_path) is (name == str(tmp_path))
        folder.rmdir()
    monkeypatch.setattr("tempfile.tempdir", str(spaced))
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ThimbleError, match="without a space"):
        private_folder()


@no_windows
def test_a_renode_that_does_not_start_leaves_no_folder(nothing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENODE", str(program(nothing / "renode")))
    monkeypatch.setattr("tempfile.tempdir", str(nothing / "folders"))
    (nothing / "folders").mkdir()
    (nothing / "x.elf").touch()
    with pytest.raises(ThimbleError, match=r"Renode 1\.17\.0 did not open the UART's terminal"):
        Renode().start(nothing / "x.elf", BOARD)
    assert not list((nothing / "folders").iterdir())


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RENODE", raising=False)
    monkeypatch.setattr("pipeline.emulators.renode.launcher.PORTABLE", tmp_path / "portable")
    return tmp_path


def program(path: Path, says: str = "Renode v1.17.0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_renode_is_the_first_choice_wherever_it_is(nothing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(nothing / "qemu-system-arm")
    assert isinstance(pick(BOARD), Qemu)
    portable = program(nothing / "portable" / "1.17.0" / "renode")
    assert find_renode() == portable
    on_path = program(nothing / "renode")
    assert find_renode() == on_path
    named = program(nothing / "elsewhere" / "renode")
    monkeypatch.setenv("RENODE", str(named.parent))
    assert find_renode() == named
    emulator = pick(BOARD)
    assert isinstance(emulator, Renode)
    assert emulator.version == "1.17.0"
    assert isinstance(pick(BOARD, "qemu"), Qemu)


def test_no_emulator_is_an_error_with_the_commands(nothing: Path) -> None:
    with pytest.raises(ThimbleError, match="qemu-system-arm") as caught:
        pick(BOARD)
    assert "sudo apt-get install qemu-system-arm" in caught.value.remedy


def test_renode_that_is_wanted_but_missing_is_an_error(nothing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elf = nothing / "x.elf"
    elf.touch()
    with pytest.raises(ThimbleError, match="Renode is not installed"):
        pick(BOARD, "renode").start(elf, BOARD)
    monkeypatch.setenv("RENODE", "/no/renode")
    with pytest.raises(ThimbleError, match="no Renode at /no/renode"):
        pick(BOARD, "renode").start(elf, BOARD)


def only(board: Board, *names: str) -> Board:
    return board.replace(emulators={name: entry for name, entry in board.emulators.items() if name in names})


def test_an_emulator_that_does_not_know_the_board_is_an_error(nothing: Path) -> None:
    program(nothing / "qemu-system-arm")
    with pytest.raises(ThimbleError, match="renode does not emulate mps2_an386"):
        pick(only(BOARD, "qemu"), "renode")
    with pytest.raises(ThimbleError, match="no emulator for mps2_an386"):
        pick(only(BOARD, "renode"))
    with pytest.raises(ThimbleError, match="QEMU does not emulate"):
        Qemu().command(nothing / "x.elf", only(BOARD, "renode"))


def test_a_missing_image_is_an_error(tmp_path: Path) -> None:
    for emulator in (Qemu(), Renode()):
        with pytest.raises(ThimbleError, match="no image at"):
            emulator.start(tmp_path / "firmware.elf", BOARD)


def test_qemu_that_refuses_the_image_is_an_error_with_its_words(tmp_path: Path) -> None:
    tools.require("qemu-system-arm")
    path = tmp_path / "firmware.elf"
    path.write_bytes(b"\x7fELF, but no more")
    with pytest.raises(ThimbleError, match=r"ended|gave no line"):
        Device(Qemu().start(path, BOARD), timeout=5)


class ScriptedLink:
    """A link whose board says what the test wrote down."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.sent: list[str] = []
        self.closed = False

    def send_line(self, line: str) -> None:
        self.sent.append(line)

    def send_bytes(self, data: bytes) -> None:
        self.sent.append(data.decode())

    def read_line(self, timeout: float) -> str:
        return self.lines.pop(0)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["READY thimble 2"], "protocol"),
        (["ERR init the model refused its memory"], "start"),
        (["", "FAULT hard pc=00000000"], "fault"),
    ],
)
def test_a_board_that_does_not_start_well(lines: list[str], code: str) -> None:
    link = ScriptedLink(*lines)
    with pytest.raises(DeviceError) as caught:
        Device(link)
    assert caught.value.code == code
    assert link.closed


@pytest.mark.parametrize(
    "lines",
    [
        ["OK"],
        ["OK 1 1 10 never text"],
        ["OK 2 1 10 eos text"],
        ["OK 0 0 10 eos text"],
        ["STEP 0 1 zzzzzzzz 10 3", "OK 1 1 10 eos text"],
        ["STEP 0 1 00000000 10", "OK 1 1 10 eos text"],
        ["STEP 0 1 00000000 10 3", "STEP 1 3 00000000 10 3", "OK 1 1 10 eos text"],
        ["noise", "OK 1 1 10 eos text"],
    ],
)
def test_an_answer_that_breaks_the_protocol_is_an_error(lines: list[str]) -> None:
    device = Device(ScriptedLink("noise before", "READY thimble 1", *lines))
    with pytest.raises(DeviceError) as caught:
        device.ask("x", 1)
    assert caught.value.code == "protocol"


def test_an_info_without_its_fields_is_an_error() -> None:
    device = Device(ScriptedLink("READY thimble 1", "OK protocol=1 board=x"))
    with pytest.raises(DeviceError, match="INFO lacks"):
        device.info()


def test_sentences_are_percent_encoded() -> None:
    link = ScriptedLink("READY thimble 1", "STEP 0 1 000000ff 10 3", "OK 1 1 12 eos a%20b=%C3%A9")
    answer = Device(link).ask("turn on\n50 %é", 7)
    assert link.sent == ["ASK 7 turn%20on%0A50%20%25%C3%A9"]
    assert (answer.text, answer.tokens_out, answer.steps[0].crc) == ("a b=é", (3,), 255)


def test_no_process_is_left_behind() -> None:
    link = running("import time\nprint('up')\ntime.sleep(60)")
    link.read_line(20)
    process: subprocess.Popen[bytes] = link._process
    link.close()
    assert process.poll() is not None
