"""A program with lines in and lines out, on pipes, a pseudo-terminal or a socket."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TypeVar

from pipeline.errors import ThimbleError

__all__ = ["ProcessLink", "spawn"]

_T = TypeVar("_T")
_END = None
_MAX_SAID = 200  # characters of a line that a message repeats
_POLL = 0.1  # seconds between two looks whether a UART is there
_GRACE = 3.0  # seconds for a program to end by itself


class ProcessLink:
    """The lines of a running emulator.

    Args:
        name: the emulator, for messages.
        process: it. It is ended, with what it started, when the link is closed.
        read: gives what came, waiting for at least a byte; b"" at the end.
        write: sends bytes.
        listen: reads the program's stderr to its end, in a thread; otherwise its last lines are kept for messages.
        hang_up: closes what is not the process's own, after the process ended.
        stdout: what the program says beside the UART, kept for messages as its stderr; None where that is the UART.
    """

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        read: Callable[[], bytes],
        write: Callable[[bytes], object],
        listen: Callable[[IO[bytes]], None] | None = None,
        hang_up: Callable[[], None] | None = None,
        stdout: IO[bytes] | None = None,
    ) -> None:
        self._name = name
        self._process = process
        self._write = write
        self._hang_up = hang_up
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._recent: deque[str] = deque(maxlen=6)
        self._complaints: deque[str] = deque(maxlen=4)
        self._listeners: list[threading.Thread] = []
        self._closed = False
        threading.Thread(target=self._pump, args=(read,), daemon=True).start()
        for stream, reader in ((process.stderr, listen or self._listen), (stdout, self._listen)):
            if stream is not None:
                self._listeners.append(threading.Thread(target=reader, args=(stream,), daemon=True))
                self._listeners[-1].start()

    @classmethod
    def on_pipes(
        cls, name: str, command: Sequence[str], listen: Callable[[IO[bytes]], None] | None = None
    ) -> ProcessLink:
        """Starts the command, whose stdin and stdout are the UART.

        Raises:
            ThimbleError: it cannot be started.
        """
        process = spawn(name, command)
        assert process.stdin is not None and process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def write(data: bytes) -> None:
            stdin.write(data)
            stdin.flush()

        return cls(name, process, lambda: stdout.read1(65536), write, listen)  # type: ignore[attr-defined]

    @classmethod
    def on_terminal(cls, name: str, process: subprocess.Popen[bytes], path: Path, timeout: float) -> ProcessLink:
        """Opens the pseudo-terminal that the running process makes for the UART. What was said before stays readable.

        Args:
            path: the terminal's, or of a link to it, which appears when it is ready.
            timeout: seconds.

        Raises:
            ThimbleError: it does not appear within the time, or the process ended.
        """
        terminal = _awaited(
            name, process, f"the UART's terminal {path}", timeout, lambda: os.open(path, os.O_RDWR | os.O_NOCTTY)
        )
        _make_raw(terminal)

        def write(data: bytes) -> None:
            while data:
                data = data[os.write(terminal, data) :]

        def read() -> bytes:
            return os.read(terminal, 65536)

        return cls(name, process, read, write, hang_up=lambda: os.close(terminal), stdout=process.stdout)

    @classmethod
    def on_socket(cls, name: str, process: subprocess.Popen[bytes], port: int, timeout: float) -> ProcessLink:
        """Connects to the port of this machine where the running process offers the UART.

        Raises:
            ThimbleError: it does not within the time, or the process ended.
        """
        connection = _awaited(
            name,
            process,
            f"the UART's port {port}",
            timeout,
            lambda: socket.create_connection(("127.0.0.1", port), timeout=1),
        )
        connection.settimeout(None)
        hang_up, stdout = connection.close, process.stdout
        return cls(name, process, lambda: connection.recv(65536), connection.sendall, hang_up=hang_up, stdout=stdout)

    def send_line(self, line: str) -> None:
        try:
            self._write(line.encode("utf-8", "surrogateescape") + b"\n")
        except OSError:
            raise self._failure("ended before the request could be sent") from None

    def send_bytes(self, data: bytes) -> None:
        try:
            self._write(data)
        except OSError:
            raise self._failure("ended before the request could be sent") from None

    def read_line(self, timeout: float) -> str:
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise self._failure(f"gave no line for {timeout:g} s") from None
        if line is _END:
            self._lines.put(_END)
            raise self._failure("ended")
        self._recent.append(line)
        return line

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        _end(self._process)
        for listener in self._listeners:
            listener.join(timeout=60)  # it reads what the pipe still holds
        _close_streams(self._process)
        if self._hang_up is not None:
            self._hang_up()

    def _pump(self, read: Callable[[], bytes]) -> None:
        left = b""
        with contextlib.suppress(OSError, ValueError):
            while data := read():
                *lines, left = (left + data).split(b"\n")
                for line in lines:
                    self._lines.put(line.rstrip(b"\r").decode("ascii", "replace"))
        self._lines.put(_END)

    def _listen(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in stream:
                self._complaints.append(line.decode("utf-8", "replace").strip())

    def _failure(self, what: str) -> ThimbleError:
        status = self._process.poll()
        ended = "" if status is None else f" (exit status {status})"
        said = [*self._recent, *self._complaints]
        lines = " | ".join(line if len(line) <= _MAX_SAID else f"{line[:_MAX_SAID]}…" for line in said) or "nothing"
        return ThimbleError(
            f"the board under {self._name} {what}{ended}; last it said: {lines}",
            "a FAULT line names the failing instruction, to look up in firmware.map; "
            "without one the firmware hangs: build the stage again with --force",
        )


def spawn(name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts a program in a session of its own, so that Ctrl-C reaches only this one, which then ends it.

    Raises:
        ThimbleError: it cannot be started.
    """
    try:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ThimbleError(f"cannot start {name}: {error}", f"check that {command[0]} runs") from None


def _awaited(name: str, process: subprocess.Popen[bytes], what: str, timeout: float, attempt: Callable[[], _T]) -> _T:
    """What `attempt` gives once it raises no OSError; the process is ended where that takes too long.

    Raises:
        ThimbleError: it does so for longer than the time in seconds, or the process ended; with its last words.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return attempt()
        except OSError:
            if process.poll() is None and time.monotonic() < deadline:
                time.sleep(_POLL)
                continue
        _end(process)
        said = b""
        with contextlib.suppress(subprocess.TimeoutExpired):
            said = b"\n".join(process.communicate(timeout=_GRACE))
        _close_streams(process)
        lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
        last = " | ".join(lines[-4:]) or "nothing"
        raise ThimbleError(
            f"{name} did not open {what}; last it said: {last}", "run it by hand with the same script to see why"
        )


def _make_raw(terminal: int) -> None:
    """Bytes pass unchanged and one at a time. Nothing that lies there already is dropped, as pyserial would do."""
    import termios  # not on Windows

    attributes = termios.tcgetattr(terminal)
    attributes[0] = attributes[1] = attributes[3] = 0
    attributes[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
    attributes[4] = attributes[5] = termios.B115200
    attributes[6][termios.VMIN], attributes[6][termios.VTIME] = 1, 0
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that `spawn` started and all that it started itself: it may be a script around the real one."""
    deadline = time.monotonic() + _GRACE
    _signal_group(process, "SIGTERM")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_GRACE)
    while _signal_group(process, None) and time.monotonic() < deadline:
        time.sleep(_POLL / 4)
    _signal_group(process, "SIGKILL")
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], name: str | None) -> bool:
    """Sends a signal (None: none) to the process's group; False where nobody is left in it."""
    if os.name == "nt":
        alive = process.poll() is None
        if alive and name is not None:
            process.terminate()
        return alive
    try:
        os.killpg(process.pid, 0 if name is None else getattr(signal, name))
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group whose processes have all ended
        return False
    return True


def _close_streams(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.close()
