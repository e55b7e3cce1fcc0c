"""Requests with ids and checksums: no answer is taken for another's, none that was changed."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest

from pipeline.device.protocol import Device
from pipeline.errors import DeviceError


class MadeLink:
    """A board that answers a request as `answers` says, which may be late or wrong."""

    def __init__(self, answers: Callable[[str, str], list[str]]) -> None:
        self._answers = answers
        self.sent: list[str] = []
        self._lines: list[str] = []

    def send_line(self, line: str) -> None:
        self.sent.append(line)
        beginning, _, rest = line.partition(" ")
        self._lines += self._answers(beginning, rest)

    def send_bytes(self, data: bytes) -> None: ...

    def read_line(self, timeout: float) -> str:
        return self._lines.pop(0)

    def close(self) -> None: ...


def marked(line: str) -> str:
    return f"{line} *{zlib.crc32(line.encode()):08x}"


def device(answers: Callable[[str, str], list[str]]) -> tuple[Device, MadeLink]:
    link = MadeLink(answers)
    return Device(link, booted=True, has_ids=True), link


def test_each_request_has_an_id_of_its_own_and_a_checksum() -> None:
    board, link = device(lambda beginning, _: [marked(f"{beginning} OK peak=1 size=2")])
    assert board.stack() == board.stack() == (1, 2)
    assert link.sent == [marked("#1 STACK"), marked("#2 STACK")]


def test_answers_of_requests_before_are_passed_over() -> None:
    board, _ = device(
        lambda beginning, _: [
            marked("#77 OK peak=9 size=9"),
            "OK peak=8 size=8",
            marked(f"{beginning} OK peak=1 size=2"),
        ]
    )
    assert board.stack() == (1, 2)


@pytest.mark.parametrize("line", ["{0} OK peak=1 size=3 *00000000", "{0} OK peak=1 size=2", "{0} OK *1"])
def test_an_answer_that_was_changed_is_an_error(line: str) -> None:
    board, _ = device(lambda beginning, _: [line.format(beginning)])
    with pytest.raises(DeviceError) as changed:
        board.stack()
    assert changed.value.code == "checksum"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("ERR overrun bytes were lost", "overrun"),
        ("FAULT bus pc=1", "fault"),
        ("READY thimble 1", "protocol"),
    ],
)
def test_what_concerns_any_request_has_no_id(line: str, code: str) -> None:
    board, _ = device(lambda *_: [line])
    with pytest.raises(DeviceError) as raised:
        board.stack()
    assert raised.value.code == code


def test_a_refusal_has_the_id_too() -> None:
    board, _ = device(lambda beginning, _: [marked(f"{beginning} ERR unsupported no such thing")])
    with pytest.raises(DeviceError, match="no such thing"):
        board.profile()


def test_a_line_that_would_be_too_long_goes_as_it_is() -> None:
    board, link = device(lambda *_: ["OK 1 2"])
    assert board.request("ENC " + "a" * 1018) == ["OK 1 2"]
    assert link.sent[0].startswith("ENC ")
    assert board.request("ENC " + "ü") == ["OK 1 2"], "which the board refuses"


def test_boards_that_take_none_get_none() -> None:
    link = MadeLink(lambda *_: ["OK peak=1 size=2"])
    assert Device(link, booted=True).stack() == (1, 2) and link.sent == ["STACK"]
