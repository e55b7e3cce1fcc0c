"""A board for a program that runs for months: where it is pulled out, it is looked for until it is back."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from ..errors import DeviceError, ThimbleError
from .protocol import Device, Info
from .understanding import Understanding

__all__ = ["BoardLost", "KeptBoard"]

_LOST = ("checksum", "fault", "protocol")
"""Codes after which a board is opened anew: it stopped, or what it says is no answer to what was asked."""


class BoardLost(ThimbleError):
    """The board is not there, or has stopped; it is looked for."""


class KeptBoard:
    """A board that is opened again when it was lost.

    `ask` and `look` are called by one thread at a time; `lost` and `info` by any.

    Args:
        open_board: opens it; raises a ThimbleError where it is not there.
        say: is told when the board is lost and when it is back.
        delays: seconds from one look for a lost board to the next; the last one is for all that follow.
        clock: gives seconds.

    Raises:
        ThimbleError: the board is not there now.
    """

    def __init__(
        self,
        open_board: Callable[[], Device],
        say: Callable[[str], None],
        delays: tuple[float, ...] = (0.5, 1, 2, 4, 8, 15, 30),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open, self._say, self._delays, self._clock = open_board, say, delays, clock
        self._lost = ""
        self._looks = 0
        self._next_look = 0.0
        self._is_closed = False
        self._lock = Lock()
        self._device: Device | None = None
        self.info = self._opened()

    @property
    def lost(self) -> str:
        """Why the board cannot be asked; empty where it can."""
        return self._lost

    def ask(self, text: str) -> Understanding | str:
        """What the board makes of a text: what it asks for, or, from a model that answers in text, the answer.

        A board that turns out to be lost is opened anew and asked again at once; nothing is done by asking twice.

        Raises:
            DeviceError: the board refuses the text.
            BoardLost: it is not there.
        """
        for is_again in (False, True):
            if self._device is None:
                raise BoardLost(self._lost, "plug it in; it is looked for")
            try:
                return self._ask(self._device, text)
            except ThimbleError as error:
                if isinstance(error, DeviceError) and error.code not in _LOST:
                    raise
                self._lose(error, is_told=is_again)
                if not is_again:
                    self._try()
        raise BoardLost(self._lost, "plug it in; it is looked for")

    def look(self) -> None:
        """Looks for a lost board, if it is time to."""
        if self._device is None and self._clock() >= self._next_look:
            self._try()

    def close(self) -> None:
        """Ends what the board is doing, and closes it for good; may be called while another thread asks."""
        with self._lock:
            self._is_closed = True
            device, self._device, self._lost = self._device, None, "the service ends"
        if device is not None:
            with suppress(ThimbleError):
                device.stop()
            device.close()

    def _ask(self, device: Device, text: str) -> Understanding | str:
        if self.info.is_structured:
            return device.understand(text, self.info.context)
        return device.prompt(text, self.info.context).text

    def _try(self) -> None:
        if self._is_closed:
            return
        try:
            self.info = self._opened()
        except ThimbleError as error:
            self._lose(error, is_told=self._looks == 0)
            return
        self._say(f"the board is there: {self.info.model} on {self.info.board}")

    def _opened(self) -> Info:
        device = self._open()
        try:
            info = device.info()
        except BaseException:
            device.close()
            raise
        with self._lock:
            if self._is_closed:
                device.close()
                raise BoardLost("the service ends", "start it anew")
            self._device, self._lost, self._looks = device, "", 0
        return info

    def _lose(self, error: ThimbleError, is_told: bool) -> None:
        with self._lock:
            device, self._device = self._device, None
            if self._is_closed:
                return
            self._lost = error.what
        if device is None:  # it was looked for in vain
            self._next_look = self._clock() + self._delays[min(self._looks, len(self._delays) - 1)]
            self._looks += 1
        else:
            device.close()
        if is_told:
            self._say(f"the board cannot be asked, and is looked for: {error.what}")
