"""A board as a service of the Wyoming protocol, as Home Assistant's conversation agents are.

A model with answer tokens is an intent service: a sentence comes as `transcript` or `recognize`, and `intent` or
`not-recognized` goes back. A model that answers in text is a handle service: `handled` or `not-handled`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from wyoming.asr import Transcript
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.handle import Handled, NotHandled
from wyoming.info import Attribution, Describe, HandleModel, HandleProgram, Info, IntentModel, IntentProgram
from wyoming.intent import Entity, Intent, NotRecognized, Recognize
from wyoming.ping import Ping, Pong
from wyoming.server import AsyncEventHandler

from ..errors import ThimbleError
from ..version import VERSION
from .kept_board import BoardLost, KeptBoard
from .protocol import Device
from .understanding import Slot

__all__ = ["DEFAULT_URI", "Address", "WyomingService", "parse_uri", "serve"]

DEFAULT_URI = "tcp://127.0.0.1:10400"
_NO_MATCH = "NoMatch"
_LOOK_INTERVAL = 0.1  # seconds
_ATTRIBUTION = Attribution(name="Thimble", url="")


@dataclass(frozen=True)
class Address:
    """Where a service listens; port 0 is any that is free."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"


def parse_uri(uri: str) -> Address:
    """The address of `tcp://HOST:PORT`.

    Raises:
        ThimbleError: it is no such URI.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.scheme != "tcp" or parts.path or parts.query or parts.username:
        raise ThimbleError(f"{uri!r} is no address of a service", f"write tcp://HOST:PORT, such as {DEFAULT_URI}")
    return Address(host, port)


def serve(
    uri: str, open_board: Callable[[], Device], say: Callable[[str], None], languages: Sequence[str] = ()
) -> None:
    """Offers a board until SIGINT (Ctrl-C) or SIGTERM.

    Args:
        uri: `tcp://HOST:PORT`.
        open_board: opens the board, again where it was lost.
        say: is told what happens, a line each.
        languages: codes of the languages that the model understands; none: it is offered for any.

    Raises:
        ThimbleError: the URI is wrong, the board is not there, or the address is not to be had.
    """
    address = parse_uri(uri)
    if not address.is_loopback:
        say(
            f"warning: whoever reaches {address} may ask this board, since the Wyoming protocol has no authentication "
            "and no encryption"
        )
    service = WyomingService(KeptBoard(open_board, say), languages)
    with suppress(KeyboardInterrupt):  # where the system has no signal handlers in loops
        asyncio.run(_serve(service, address, say))


async def _serve(service: WyomingService, address: Address, say: Callable[[str], None]) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        say(f"{service.title} at {await service.start(address)}; Ctrl-C ends it")
        await ended.wait()
    finally:
        await service.stop()
    say("ended")


class WyomingService:
    """A board that any number of clients may ask, one after the other.

    Args:
        board: asked for each sentence.
        languages: codes of the languages that the model understands.
    """

    def __init__(self, board: KeptBoard, languages: Sequence[str] = ()) -> None:
        self._board, self._languages = board, list(languages)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="board")
        self._server: asyncio.Server | None = None
        self._looking: asyncio.Task[None] | None = None
        self._clients: set[asyncio.Task[None]] = set()

    @property
    def title(self) -> str:
        """What is offered, for people."""
        return f"{self._board.info.model} on {self._board.info.board}"

    async def start(self, address: Address) -> Address:
        """Begins to listen; returns where.

        Raises:
            ThimbleError: the address is not to be had.
        """
        try:
            self._server = await asyncio.start_server(self._connected, address.host, address.port)
        except OSError as error:
            raise ThimbleError(
                f"cannot listen at {address}: {error.strerror or error}",
                "name another port, or an address of this machine",
            ) from None
        self._looking = asyncio.create_task(self._look())
        host, port, *_ = self._server.sockets[0].getsockname()
        return Address(host, port)

    async def stop(self) -> None:
        """Ends the request at hand and all connections, and closes the board."""
        if self._server is not None:
            self._server.close()
        self._board.close()
        tasks = [*self._clients, *([self._looking] if self._looking is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown(wait=True, cancel_futures=True)

    def describe(self) -> Info:
        """What is offered, for programs."""
        common: dict[str, Any] = {
            "attribution": _ATTRIBUTION,
            "installed": True,
            "description": self.title,
            "version": VERSION,
        }
        model: dict[str, Any] = {**common, "name": self._board.info.model, "languages": self._languages}
        if self._board.info.is_structured:
            return Info(intent=[IntentProgram(**common, name="thimble", models=[IntentModel(**model)])])
        return Info(handle=[HandleProgram(**common, name="thimble", models=[HandleModel(**model)])])

    async def answer(self, text: str, context: dict[str, Any] | None = None) -> Eventable:
        """The event that answers a sentence.

        Args:
            text: the sentence.
            context: of the conversation; goes back as it came.
        """
        is_structured = self._board.info.is_structured
        try:
            if lost := self._board.lost:
                raise BoardLost(lost, "it is looked for")
            answer = await asyncio.get_running_loop().run_in_executor(self._thread, self._board.ask, text)
        except ThimbleError as error:
            return NotRecognized(error.what, context) if is_structured else NotHandled(error.what, context)
        if isinstance(answer, str):
            return Handled(answer, context)
        if answer.choices:
            # No event of the protocol asks back; what an assistant says of this one is the question.
            return NotRecognized(" or ".join(choice.text for choice in answer.choices) + "?", context)
        if answer.intent == _NO_MATCH:
            reason = f" ({answer.reason})" if answer.reason else ""
            return NotRecognized(f"nothing that can be done was understood{reason}", context)
        return Intent(answer.intent, [Entity(slot.name, _value(slot)) for slot in answer.slots], None, context)

    async def _look(self) -> None:
        """Looks for a lost board."""
        while True:
            await asyncio.sleep(_LOOK_INTERVAL)
            if self._board.lost:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._board.look)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.create_task(_Client(reader, writer, self).run())
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)


class _Client(AsyncEventHandler):  # type: ignore[misc,unused-ignore]
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: WyomingService) -> None:
        super().__init__(reader, writer)
        self._service = service

    async def run(self) -> None:
        """Answers events until the client goes away, or says what is none; then the connection is closed."""
        with suppress(OSError, ValueError, KeyError, AttributeError, TypeError, asyncio.IncompleteReadError):
            await super().run()

    async def handle_event(self, event: Event) -> bool:
        """Answers an event; others than those of this service are passed over."""
        data = event.data or {}
        if Describe.is_type(event.type):
            await self._send(self._service.describe())
        elif Ping.is_type(event.type):
            await self._send(Pong(text=data.get("text")))
        elif Transcript.is_type(event.type) or Recognize.is_type(event.type):
            text, context = data.get("text"), data.get("context")
            if isinstance(text, str):
                await self._send(await self._service.answer(text, context if isinstance(context, dict) else None))
            else:
                await self._send(Error(f"the event {event.type} has no text", "malformed"))
        return True

    async def _send(self, event: Eventable) -> None:
        await self.write_event(event.event())


def _value(slot: Slot) -> str | int | float:
    """A slot as Home Assistant takes it: a number where it is one."""
    if slot.number is None:
        return slot.value
    return int(slot.number) if slot.number.is_integer() else slot.number
