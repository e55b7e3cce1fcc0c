"""A board as a service of the Wyoming protocol: what the package's own client is answered, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wyoming", reason="the extra `serve` is not installed")

from wyoming.asr import Transcript
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_read_event
from wyoming.handle import Handled, NotHandled
from wyoming.info import Describe, Info
from wyoming.intent import Intent, NotRecognized, Recognize
from wyoming.ping import Ping, Pong

from pipeline.device.client import connect
from pipeline.device.kept_board import BoardLost, KeptBoard
from pipeline.device.protocol import Device
from pipeline.device.understanding import Choice, Slot, Understanding
from pipeline.device.wyoming_service import Address, WyomingService, parse_uri, serve
from pipeline.errors import DeviceError, ThimbleError
from pipeline.resources import ROOT
from tests.support.host_boards import Port, build_answering_board, build_board, on_port

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
ANYWHERE = Address("127.0.0.1", 0)
FAST = (0.01, 0.02)
SENTENCES = [f"turn on the lamp {'a' * number}" for number in range(12)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_answering_board(tmp_path_factory.mktemp("answering"))


@pytest.fixture(scope="module")
def text_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_board(tmp_path_factory.mktemp("text"))


@pytest.fixture
def port(program: Path) -> Iterator[Port]:
    with on_port(program) as port:
        yield port


def served(
    board: KeptBoard, use: Callable[[WyomingService, Address], Awaitable[None]], languages: tuple[str, ...] = ()
) -> None:
    """Runs a service while it is used."""

    async def run() -> None:
        service = WyomingService(board, languages)
        address = await service.start(ANYWHERE)
        try:
            await asyncio.wait_for(use(service, address), 60)
        finally:
            await service.stop()

    asyncio.run(run())


async def asked(address: Address, *events: Eventable) -> list[Event]:
    """What comes back on one connection, an event for each."""
    answers = []
    async with AsyncTcpClient(address.host, address.port) as client:
        for event in events:
            await client.write_event(event.event())
            answer = await client.read_event()
            assert answer is not None, "it closed the connection"
            answers.append(answer)
    return answers


def kept(port: str, said: list[str] | None = None) -> KeptBoard:
    return KeptBoard(lambda: connect(port), (said if said is not None else []).append, FAST)


def test_an_intent_service_is_described(port: Port) -> None:
    async def use(_: WyomingService, address: Address) -> None:
        (event,) = await asked(address, Describe())
        info = Info.from_event(event)
        (offered,) = info.intent
        (model,) = offered.models
        assert offered.installed and model.installed and not info.handle
        assert (offered.name, model.name, model.languages) == ("thimble", "stand-in", ["en", "de"])

    served(kept(port.name), use, ("en", "de"))


def test_sentences_are_answered_as_the_board_does(port: Port) -> None:
    with connect(port.name) as device:
        expected = [device.understand(sentence, 48) for sentence in SENTENCES]
    assert {"NoMatch"} < {understood.intent for understood in expected}, "both kinds of answers are among them"
    context = {"conversation_id": "7"}

    async def use(_: WyomingService, address: Address) -> None:
        for kind in (Transcript, Recognize):
            events = await asked(address, *(kind(sentence, context=context) for sentence in SENTENCES))
            for understood, event in zip(expected, events, strict=True):
                if understood.intent == "NoMatch":
                    refused = NotRecognized.from_event(event)
                    assert NotRecognized.is_type(event.type) and understood.reason in (refused.text or "")
                    assert refused.context == context
                else:
                    answer = Intent.from_event(event)
                    assert answer.name == understood.intent
                    assert [entity.name for entity in answer.entities] == [slot.name for slot in understood.slots]
                    assert answer.context == context

    served(kept(port.name), use)


class MadeDevice:
    """A board that answers what the test says."""

    def __init__(self, understood: Understanding) -> None:
        self._understood = understood

    def info(self) -> Any:
        from types import SimpleNamespace

        return SimpleNamespace(is_structured=True, model="made", board="made", context=48)

    def understand(self, text: str, max_new: int) -> Understanding:
        return replace(self._understood, reason=text)

    def stop(self) -> None: ...

    def close(self) -> None: ...


def test_values_are_numbers_where_home_assistant_takes_numbers() -> None:
    slots = (
        Slot("area", "name", "Kitchen", entry=3, layer=1),
        Slot("brightness", "percent", "40", number=40.0),
        Slot("temperature", "degrees", "21.5", number=21.5),
        Slot("domain", "choice", "light", entry=0),
        Slot("time", "time", "08:15", seconds=29700),
    )
    device: Any = MadeDevice(Understanding("Set", slots, "", 1.0, 1, 1, 1))

    async def use(_: WyomingService, address: Address) -> None:
        (event,) = await asked(address, Recognize("x"))
        values = [entity.value for entity in Intent.from_event(event).entities]
        assert values == ["Kitchen", 40, 21.5, "light", "08:15"]
        assert isinstance(values[1], int)

    served(KeptBoard(lambda: device, lambda _: None), use)


def test_what_may_be_two_things_is_asked_for() -> None:
    choices = (
        Choice("Set", (Slot("area", "name", "Kitchen", entry=3, layer=1),), 0.4),
        Choice("NoMatch", (), 0.3),
    )
    device: Any = MadeDevice(Understanding("NoMatch", (), "low-confidence", 0.4, 1, 1, 1, choices))

    async def use(_: WyomingService, address: Address) -> None:
        (event,) = await asked(address, Recognize("x"))
        assert NotRecognized.is_type(event.type)
        assert NotRecognized.from_event(event).text == "Set area=Kitchen or NoMatch?"

    served(KeptBoard(lambda: device, lambda _: None), use)


def test_a_model_that_answers_in_text_is_a_handle_service(text_program: Path) -> None:
    async def use(_: WyomingService, address: Address) -> None:
        described, handled, refused = await asked(address, Describe(), Transcript("turn on"), Transcript("\u2603" * 40))
        info = Info.from_event(described)
        assert info.handle[0].models[0].name == "stand-in" and not info.intent
        assert Handled.is_type(handled.type) and Handled.from_event(handled).text == expected
        assert NotHandled.is_type(refused.type) and "too-long" in (NotHandled.from_event(refused).text or "")

    with on_port(text_program) as port:
        with connect(port.name) as device:
            expected = device.prompt("turn on", 48).text
        served(kept(port.name), use)


def test_what_no_board_takes_does_not_end_the_service(port: Port) -> None:
    async def use(_: WyomingService, address: Address) -> None:
        for text in (r"\udcff", r"\ud800"):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(f'{{"type": "recognize", "data": {{"text": "{text}"}}}}\n'.encode())
            event = await async_read_event(reader)
            assert event is not None and "not-utf8" in (NotRecognized.from_event(event).text or "")
            writer.close()
        refused, controls, pong = await asked(
            address, Transcript("x" * 2000), Transcript("lamp\nSTACK\x03"), Ping("still there?")
        )
        assert NotRecognized.is_type(refused.type) and "line-too-long" in (NotRecognized.from_event(refused).text or "")
        assert controls.type in ("intent", "not-recognized")
        assert Pong.from_event(pong).text == "still there?"

    served(kept(port.name), use)


def test_what_is_no_event_does_not_end_the_service(port: Port) -> None:
    async def use(_: WyomingService, address: Address) -> None:
        for data in (
            b"\n",
            b"no json\n",
            b"[1]\n",
            b"{}\n",
            b'{"type": 1}\n',
            b'{"type":"x","data_length":9}\nx',
            b"\xff\n",
        ):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(data)
            writer.write_eof()
            await reader.read()
            writer.close()
        for event in (Event("recognize", {}), Event("transcript", {"text": 7})):
            async with AsyncTcpClient(address.host, address.port) as client:
                await client.write_event(event)
                answer = await client.read_event()
                assert answer is not None and Error.from_event(answer).code == "malformed"
        async with AsyncTcpClient(address.host, address.port) as client:
            await client.write_event(Event("audio-start", {"rate": 16000}))
            await client.write_event(Describe().event())
            answer = await client.read_event()
            assert answer is not None and Info.is_type(answer.type)

    served(kept(port.name), use)


def test_one_sentence_at_a_time(port: Port) -> None:
    running = 0

    class Counted(Device):
        def understand(self, text: str, max_new: int) -> Understanding:
            nonlocal running
            running += 1
            assert running == 1, "two at once"
            try:
                return super().understand(text, max_new)
            finally:
                running -= 1

    def opened() -> Device:
        device = connect(port.name)
        device.__class__ = Counted
        return device

    async def use(_: WyomingService, address: Address) -> None:
        expected = await asked(address, *(Transcript(sentence) for sentence in SENTENCES[:6]))
        together = await asyncio.gather(*(asked(address, Transcript(sentence)) for sentence in SENTENCES[:6] * 3))
        assert [events[0] for events in together] == expected * 3

    served(KeptBoard(opened, lambda _: None), use)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():
        await asyncio.sleep(0.02)


def test_a_board_that_is_pulled_out_is_found_again(program: Path, tmp_path: Path) -> None:
    name = tmp_path / "ttyBoard"
    said: list[str] = []

    async def answer(address: Address) -> Event:
        (event,) = await asked(address, Transcript(SENTENCES[0]))
        return event

    async def use(_: WyomingService, address: Address) -> None:
        before = await answer(address)
        first.pull_out()
        name.unlink()
        for _i in range(3):
            lost = await answer(address)
            assert NotRecognized.is_type(lost.type) and "no serial port" in (NotRecognized.from_event(lost).text or "")
        with on_port(program) as second:
            name.symlink_to(second.name)

            async def is_back() -> bool:
                return bool(await answer(address) == before)

            await until(is_back)
            second.pull_out()
            name.unlink()
            with on_port(program) as third:  # it is back before anybody asks
                name.symlink_to(third.name)
                assert await answer(address) == before
        assert [line.split(":")[0] for line in said] == [
            "the board cannot be asked, and is looked for",
            "the board is there",
            "the board is there",
        ]

    with on_port(program) as first:
        name.symlink_to(first.name)
        served(kept(str(name), said), use)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_looks_ever_less_often() -> None:
    clock, looks = Clock(), []
    device: Any = MadeDevice(Understanding("Set", (), "", 1.0, 1, 1, 1))
    is_there = True

    def opened() -> Any:
        looks.append(clock.now)
        if not is_there:
            raise ThimbleError("it is gone", "plug it in")
        return device

    def fail(text: str, max_new: int) -> Understanding:
        raise DeviceError("fault", "FAULT bus")

    board = KeptBoard(opened, lambda _: None, (1, 2, 4), clock)
    is_there = False
    device.understand = fail
    with pytest.raises(BoardLost, match="it is gone"):
        board.ask("x")
    assert board.lost == "it is gone"
    looks.clear()
    for _ in range(2000):
        clock.now += 0.01
        board.look()
    assert [round(look - 100, 1) for look in looks] == [1.0, 3.0, 7.0, 11.0, 15.0, 19.0]
    is_there = True
    clock.now += 4
    board.look()
    assert not board.lost
    board.close()
    with pytest.raises(BoardLost):
        board.ask("x")


@pytest.mark.parametrize(
    "uri",
    [
        *("", "10400", "127.0.0.1:10400", "tcp://", "tcp://127.0.0.1", "tcp://:10400", "tcp://h:port", "tcp://h:70000"),
        *("udp://127.0.0.1:1", "unix:///tmp/x", "tcp://u@h:1", "tcp://h:1/x", "tcp://[::1:10400", "tcp://h:-1"),
    ],
)
def test_a_wrong_uri_is_one_error(uri: str) -> None:
    with pytest.raises(ThimbleError, match="no address of a service") as refused:
        parse_uri(uri)
    assert "tcp://127.0.0.1:10400" in refused.value.remedy


def test_who_reaches_an_address(port: Port) -> None:
    for uri in ("tcp://127.0.0.1:0", "tcp://localhost:0", "tcp://[::1]:0", "tcp://127.9.9.9:1"):
        assert parse_uri(uri).is_loopback
    for uri in ("tcp://0.0.0.0:0", "tcp://192.168.1.2:0", "tcp://[::]:0", "tcp://example.org:0"):
        assert not parse_uri(uri).is_loopback
    assert str(parse_uri("tcp://[::1]:7")) == "tcp://[::1]:7"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ThimbleError, match="cannot listen at"):
            serve(f"tcp://127.0.0.1:{taken.getsockname()[1]}", lambda: connect(port.name), lambda _: None)


def test_a_port_without_a_board_is_an_error_at_once() -> None:
    with pytest.raises(ThimbleError, match="no serial port"):
        serve("tcp://127.0.0.1:0", lambda: connect("/dev/none"), lambda _: None)


@pytest.mark.parametrize("command", [["-m", "pipeline", "serve"], ["-m", "pipeline.device.command", "serve"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_cleanly(command: list[str], number: signal.Signals, port: Port) -> None:
    process = subprocess.Popen(
        [sys.executable, *command, port.name, "--wyoming", "tcp://0.0.0.0:0", "--language", "en"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    killer = threading.Timer(60, process.kill)
    killer.start()
    warning, offered = process.stderr.readline(), process.stderr.readline()
    assert warning.startswith("warning: ") and "no authentication" in warning
    assert offered.startswith("stand-in on host at tcp://0.0.0.0:"), offered
    address = Address("127.0.0.1", int(offered.partition("0.0.0.0:")[2].partition(";")[0]))
    (event,) = asyncio.run(asked(address, Transcript(SENTENCES[0])))
    assert event.type in ("intent", "not-recognized")
    idle = socket.create_connection((address.host, address.port))  # a client that stays is no reason not to end
    time.sleep(0.1)
    process.send_signal(number)
    out, rest = process.communicate(timeout=60)
    killer.cancel()
    idle.close()
    assert (process.returncode, out, rest) == (0, "", "ended\n")


def test_the_command_says_what_is_wrong(port: Port) -> None:
    def said(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "serve", *arguments],
            cwd=ROOT,
            env={**os.environ, "TERM": "dumb"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 1 and "Traceback" not in done.stderr
        return done.stderr

    assert "no address of a service" in said(port.name, "--wyoming", "tcp://x")
    assert "add --recipe" in said("mps2_an386")
    assert "no serial port" in said("/dev/none")
    assert "leave --recipe out" in said(port.name, "--recipe", "models/home-en-small/recipe.yaml")


def test_the_answers_are_lines_of_json(port: Port) -> None:
    """What another implementation of the protocol reads."""

    async def use(_: WyomingService, address: Address) -> None:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b'{"type": "recognize", "data": {"text": "turn on the lamp"}}\n')
        header = json.loads(await reader.readline())
        data = json.loads(await reader.readexactly(header["data_length"]))
        assert header["type"] in ("intent", "not-recognized") and data
        writer.close()

    served(kept(port.name), use)
