"""The link to a board: its UART as lines of text, emulated or real."""

from __future__ import annotations

from typing import Protocol

__all__ = ["SerialLink"]


class SerialLink(Protocol):
    """Connection to a board's UART."""

    def send_line(self, line: str) -> None:
        """Sends a request; the line end is added."""

    def send_bytes(self, data: bytes) -> None:
        """Sends bytes as they are."""

    def read_line(self, timeout: float) -> str:
        """The next line from the board, without its end.

        Args:
            timeout: seconds on this machine's clock.

        Raises:
            ThimbleError: no line came in that time, or the emulator ended; says what came last.
        """

    def close(self) -> None:
        """Ends the emulation. May be called again."""
