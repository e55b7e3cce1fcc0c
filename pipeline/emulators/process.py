"""A program with lines in and lines out, on pipes or a socket."""

from __future__ import annotations

import contextlib
import queue
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO

from pipeline.errors import ThimbleError

__all__ = ["ProcessLink", "spawn"]

_END = None


class ProcessLink:
    """The lines of a running emulator.

    Args:
        name: the emulator, for messages.
        process: it. It is ended when the link is closed.
        read: gives what came, waiting for at least a byte; b"" at the end.
        write: sends bytes.
        listen: reads the program's stderr to its end, in a thread; otherwise its last lines are kept for messages.
        hang_up: closes what is not the process's own, after the process ended.
    """

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        read: Callable[[], bytes],
        write: Callable[[bytes], object],
        listen: Callable[[IO[bytes]], None] | None = None,
        hang_up: Callable[[], None] | None = None,
    ) -> None:
        self._name = name
        self._process = process
        self._write = write
        self._hang_up = hang_up
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._recent: deque[str] = deque(maxlen=6)
        self._complaints: deque[str] = deque(maxlen=4)
        self._listener: threading.Thread | None = None
        threading.Thread(target=self._pump, args=(read,), daemon=True).start()
        if process.stderr is not None:
            self._listener = threading.Thread(target=listen or self._listen, args=(process.stderr,), daemon=True)
            self._listener.start()

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
    def on_socket(cls, name: str, process: subprocess.Popen[bytes], port: int, timeout: float) -> ProcessLink:
        """Connects to the port of this machine where the running process offers the UART.

        Raises:
            ThimbleError: it does not within the time, or it ended.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", port), timeout=1)
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    _end(process)
                    raise ThimbleError(
                        f"{name} did not open the UART's port {port}", "run it by hand with the same script to see why"
                    ) from None
                time.sleep(0.1)
        connection.settimeout(None)
        return cls(name, process, lambda: connection.recv(65536), connection.sendall, hang_up=connection.close)

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
        _end(self._process, self._listener)
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
        lines = " | ".join([*self._recent, *self._complaints]) or "nothing"
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


def _end(process: subprocess.Popen[bytes], listener: threading.Thread | None = None) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if listener is not None:
        listener.join(timeout=60)  # it reads what the pipe still holds
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.close()
