"""A real board on a serial port: the same lines as from an emulator."""

from __future__ import annotations

import time
from collections import deque

import serial

from ..errors import ThimbleError

__all__ = ["SerialPort", "connect"]

_PROBE_TIMEOUT = 5.0  # seconds in which a board that is up answers
_DRAIN_QUIET_TIME = 0.2  # seconds without a byte after which nothing more comes of what was asked


class SerialPort:
    """The board's UART behind a port of this machine, 8N1.

    Attributes:
        has_ids: whether the board takes requests with ids, where `connect` has asked it.

    Raises:
        ThimbleError: no such port, no permission, or another program has it.
    """

    def __init__(self, port: str, baud: int = 115200) -> None:
        self.port, self.baud = port, baud
        self.has_ids = False
        try:
            self._port = serial.Serial(port, baud, timeout=0.05, exclusive=True)
        except (serial.SerialException, ValueError, OSError) as error:
            raise _not_opened(port, error) from None
        self._pending = b""
        self._recent: deque[str] = deque(maxlen=6)

    def send_line(self, line: str) -> None:
        self.send_bytes(line.encode("utf-8", "surrogateescape") + b"\n")

    def send_bytes(self, data: bytes) -> None:
        """Sends bytes as they are."""
        try:
            self._port.write(data)
            self._port.flush()
        except (serial.SerialException, OSError) as error:
            raise self._lost(error) from None

    def read_line(self, timeout: float) -> str:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            try:
                self._pending += self._port.read(max(self._port.in_waiting, 1))
            except (serial.SerialException, OSError, TypeError) as error:
                raise self._lost(error) from None
            if time.monotonic() > deadline and b"\n" not in self._pending:
                raise ThimbleError(
                    f"the board on {self.port} gave no line for {timeout:g} s; last it said: {self._last()}",
                    f"check its wiring, that {self.baud} baud is its speed, and that the firmware is on it; reset it",
                )
        line, self._pending = self._pending.split(b"\n", 1)
        text = line.rstrip(b"\r").decode("ascii", "replace")
        self._recent.append(text)
        return text

    def drain(self, quiet: float) -> None:
        """Discards input until the line was silent for `quiet` seconds."""
        self._pending = b""
        end = time.monotonic() + quiet
        while time.monotonic() < end:
            try:
                if self._port.read(max(self._port.in_waiting, 1)):
                    end = time.monotonic() + quiet
            except (serial.SerialException, OSError, TypeError) as error:
                raise self._lost(error) from None

    def close(self) -> None:
        self._port.close()

    def _last(self) -> str:
        left = [self._pending.decode("ascii", "replace")] if self._pending else []
        return " | ".join([*self._recent, *left]) or "nothing"

    def _lost(self, error: Exception) -> ThimbleError:
        return ThimbleError(
            f"{self.port} was lost ({error}); last the board said: {self._last()}", "plug it in again and start anew"
        )


def connect(port: str, baud: int = 115200) -> SerialPort:
    """Opens the port and waits until the board there is ready for a request, whatever it was doing: it may be booting,
    serving another program's request, or holding half a line.

    Raises:
        ThimbleError: the port cannot be opened, or nothing that answers as a Thimble board does is on it.
    """
    link = SerialPort(port, baud)
    try:
        link.send_line("")  # ends a line that was begun
        link.send_line("INFO")
        deadline = time.monotonic() + _PROBE_TIMEOUT
        while not (line := link.read_line(_PROBE_TIMEOUT)).startswith("OK protocol="):
            if line.startswith("FAULT "):
                raise ThimbleError(f"the board on {port} has stopped: {line}", "reset it; firmware.map names the place")
            if line.startswith(("STEP ", "PREFILL ")):
                deadline = time.monotonic() + _PROBE_TIMEOUT  # it finishes another program's request
            if time.monotonic() > deadline:
                raise ThimbleError(
                    f"what is on {port} is no Thimble board, or has another speed than {baud} baud: it says {line!r}",
                    "name the port of the board, and --baud as in its board.yaml",
                )
        link.has_ids = " ids=yes " in line
        link.drain(_DRAIN_QUIET_TIME)
    except ThimbleError:
        link.close()
        raise
    return link


def _not_opened(port: str, error: Exception) -> ThimbleError:
    reason = str(error)
    if "No such file" in reason or "could not find" in reason.lower() or "FileNotFound" in reason:
        from serial.tools.list_ports import comports

        known = ", ".join(sorted(info.device for info in comports())) or "none"
        return ThimbleError(f"there is no serial port {port}", f"plug the board in; ports here: {known}")
    if "Permission" in reason or "Access is denied" in reason:
        return ThimbleError(
            f"no permission to open {port}", "add yourself to the group `dialout` (log in again), or run as its owner"
        )
    if "exclusively lock" in reason or "busy" in reason.lower():
        return ThimbleError(f"another program has {port} open", "close it, a terminal program for one")
    return ThimbleError(f"cannot open {port}: {reason}", "name a serial port, such as /dev/ttyACM0 or COM3")
