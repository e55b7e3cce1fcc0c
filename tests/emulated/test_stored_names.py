"""Names that outlive a loss of power: on the host, with flash in a file, and on QEMU's micro:bit, with its own."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from pipeline import tools
from pipeline.device.protocol import Device
from pipeline.device.serial_port import SerialPort
from pipeline.firmware.build import build_project
from pipeline.firmware.project import write_project
from pipeline.resources import ROOT
from pipeline.targets.boards import load_board
from tests.support.host_boards import answering_codec, build_answering_board
from tests.support.standin import FOLDER

CAPACITY = 2048 - 32  # of a slot of tests/emulated/host_board.c, without its header


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_answering_board(tmp_path_factory.mktemp("store"), 4096, ["-DTHIMBLE_STORE"])


def run(program: Path, flash: Path, *lines: str, is_broken: bool = False) -> list[str]:
    """What a board answers from when power comes until it goes."""
    environment = {**os.environ, "THIMBLE_FLASH": str(flash), **({"THIMBLE_FLASH_IS_BROKEN": "1"} if is_broken else {})}
    data = "".join(f"{line}\n" for line in lines).encode()
    done = subprocess.run([program], input=data, capture_output=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()[1:]


def name(text: str, value: str, kind: str = "light") -> str:
    return f"NAME {kind} {quote(value, safe='')} {quote(text, safe='')}"


def count_of(line: str) -> int:
    """Of names; their memory may be less, since values that were replaced are not stored."""
    return int(told(line)["names"])


def told(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def test_names_are_there_after_a_loss_of_power(program: Path, tmp_path: Path) -> None:
    flash = tmp_path / "flash"
    *added, stored = run(program, flash, name("desk lamp", "Reading Light"), name("café", "café"), "NAMES store")
    assert stored.startswith("OK names=2 ") and stored.endswith(" stored=yes"), added
    names, understood, changed, again = run(
        program, flash, "NAMES", "UNDERSTAND 48 desk%20lamp", name("x", "y"), "NAMES"
    )
    assert names == stored and changed.startswith("OK names=3 ") and again.endswith(" stored=no")
    assert json.loads(understood.removeprefix("OK "))["tokens_in"] > 0
    assert run(program, flash, "NAMES") == [stored], "what was not stored is gone"
    cleared, kept = run(program, flash, "NAMES clear", "NAMES store")
    assert cleared.endswith(" stored=no") and kept == "OK names=0 names_used=6 names_bytes=4096 stored=yes"
    assert run(program, flash, "NAMES") == [kept]


def test_the_example_of_the_protocols_page(program: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    example = re.findall(r"^    (NAMES? .*)\n    (OK .*)$", page, re.MULTILINE)
    assert [request.split()[0] for request, _ in example] == ["NAME", "NAMES"]
    answers = run(program, tmp_path / "flash", *(request for request, _ in example))
    assert answers == [answer for _, answer in example]


def test_what_is_stored_already_is_not_written_again(program: Path, tmp_path: Path) -> None:
    flash = tmp_path / "flash"
    run(program, flash, name("desk lamp", "Reading Light"), "NAMES store")
    before = flash.read_bytes()
    (answer,) = run(program, flash, "NAMES store")
    assert answer.endswith("stored=yes") and flash.read_bytes() == before
    run(program, flash, "NAMES clear", name("desk lamp", "Other"), "NAMES store")
    assert flash.read_bytes() != before


@pytest.mark.slow
def test_any_names_come_back_as_they_were(program: Path, tmp_path: Path) -> None:
    rng = random.Random(5)
    flash = tmp_path / "flash"
    texts = ["Küche", "lamp", "LAMP", "двор", "a", "☃ x", "20 °C", "don't", "x" * 200, "café", "½"]
    for _ in range(40):
        count = rng.randrange(9)
        lines = [name(" ".join(rng.choices(texts, k=rng.randrange(1, 4))), rng.choice(texts)) for _ in range(count)]
        *_, stored, before = run(program, flash, "NAMES clear", *lines, "NAMES store", "INFO")
        if not stored.startswith("OK"):
            assert stored.startswith("ERR full "), stored
            continue
        sentences = [f"UNDERSTAND 48 {quote(' '.join(rng.choices(texts, k=3)))}" for _ in range(4)]
        first = run(program, flash, "NAMES", *sentences)
        assert count_of(first[0]) == count_of(stored) and first[0].endswith(" stored=yes")
        assert run(program, tmp_path / "other", *lines, *sentences)[count:] == first[1:]
        assert told(before)["names_stored"] == str(CAPACITY)


def test_what_does_not_fit_leaves_what_was_there(program: Path, tmp_path: Path) -> None:
    flash = tmp_path / "flash"
    (_, stored) = run(program, flash, name("desk lamp", "Reading Light"), "NAMES store")
    lines = [name(f"lamp {number} {'x' * 200}", f"lamp {number} {'x' * 200}") for number in range(12)]
    *_, refused = run(program, flash, *lines, "NAMES store")
    assert refused.startswith("ERR full ")
    (answer,) = run(program, flash, "NAMES")
    assert answer == stored


def test_a_flash_that_does_not_do_what_it_is_told(program: Path, tmp_path: Path) -> None:
    flash = tmp_path / "flash"
    (_, stored) = run(program, flash, name("desk lamp", "Reading Light"), "NAMES store")
    *_, refused, names = run(program, flash, name("x", "y"), "NAMES store", "NAMES", is_broken=True)
    assert refused.startswith("ERR store ") and names.startswith("OK names=2 ") and names.endswith(" stored=no")
    assert run(program, flash, "NAMES") == [stored]


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_flash_that_holds_anything_is_no_names(program: Path, tmp_path: Path, share: float) -> None:
    rng = random.Random(3)
    flash = tmp_path / "flash"
    run(program, flash, name("desk lamp", "Reading Light"), "NAMES store")
    good = flash.read_bytes()
    for _ in range(20):
        flash.write_bytes(bytes(rng.randrange(256) if rng.random() < share else byte for byte in good))
        (answer,) = run(program, flash, "NAMES")
        assert answer.startswith("OK names=1 " if share == 0 else ("OK names=0 ", "OK names=1 "))


@pytest.mark.slow
def test_a_build_without_a_store_says_so(tmp_path: Path) -> None:
    program = build_answering_board(tmp_path)
    info, refused = run(program, tmp_path / "flash", "INFO", "NAMES store")
    assert told(info)["names_stored"] == "no" and refused.startswith("ERR unsupported ")


class Microbit:
    """QEMU's micro:bit, which stands still until its monitor lets it go on."""

    def __init__(self, elf: Path, folder: Path) -> None:
        monitor = folder / "monitor"
        self.process = subprocess.Popen(
            [
                *(str(tools.require("qemu-system-arm")), "-M", "microbit", "-display", "none", "-serial", "pty"),
                *("-monitor", f"unix:{monitor},server=on,wait=off", "-icount", "shift=0,sleep=off"),
                *("-S", "-kernel", str(elf)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        match = re.search(r"(/dev/\S+)", self.process.stdout.readline())
        assert match
        self.port = match[1]
        self._monitor = socket.socket(socket.AF_UNIX)
        self._monitor.connect(str(monitor))

    def order(self, command: str) -> None:
        self._monitor.sendall(f"{command}\n".encode())

    def close(self) -> None:
        self._monitor.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def microbit(tmp_path: Path) -> Iterator[Microbit]:
    board = load_board("microbit")
    write_project(FOLDER, answering_codec(), board, "stand-in", tmp_path / "project")
    elf = build_project(tmp_path / "project", tmp_path / "build", sampling=False, names_bytes=512).elf
    microbit = Microbit(elf, tmp_path)
    yield microbit
    microbit.close()


@pytest.mark.slow
def test_the_flash_of_the_nrf51_keeps_names_over_a_reset(microbit: Microbit) -> None:
    link = SerialPort(microbit.port)
    microbit.order("cont")
    with Device(link) as board:
        assert board.request("NAMES")[-1].startswith("OK names=0 ")
        for round_ in range(3):  # both slots, and the first again
            board.clear_names()
            for number in range(round_ + 2):
                board.add_name("light", f"Value {round_}", f"name {number} of {round_}")
            (stored,) = board.request("NAMES store")
            assert stored.endswith(" stored=yes")
            board.add_name("light", "Lost", "not kept")
            microbit.order("system_reset")
            while not link.read_line(60).startswith("READY "):
                pass
            assert board.request("NAMES") == [stored]
            assert board.info().corrupt == ()
        limits = told(board.request("INFO")[-1])
        assert (limits["names"], limits["names_bytes"], limits["names_stored"]) == ("4", "512", "2016")
