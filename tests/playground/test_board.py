"""The page and a board on a port: the firmware's own application with the stand-in model, a process behind a fake Web
Serial in headless Chromium."""

from __future__ import annotations

import os
import select
import subprocess
import tty
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline import tools
from pipeline.device.client import connect
from pipeline.errors import ThimbleError
from tests.playground.test_browser import ask, page_of, ready, unlabelled
from tests.support.browser import DESK, PHONE, opened, sideways
from tests.support.host_boards import Port, answering_codec, build_answering_board, build_board, on_port
from tests.support.playground_models import plain_codec

FAKE = (Path(__file__).parent / "fake_serial.js").read_text(encoding="utf-8")
Change = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def structured(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of the stand-in that the answering board has, with the times of that board."""
    return page_of(answering_codec(), tmp_path_factory.mktemp("page") / "index.html", board="host")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_answering_board(tmp_path_factory.mktemp("board"))


@contextmanager
def beside(
    browser: Any,
    path: Path,
    board: Path | AbstractContextManager[Port],
    *,
    size: dict[str, int] = DESK,
    heard: Change = bytes,
    said: Change = bytes,
    chunk: int = 23,
    greeting: int = 100_000,
) -> Iterator[tuple[Any, Port]]:
    """A page in a browser whose one serial port has the board at its other end.

    Args:
        browser: see `tests.support.browser.chromium`.
        path: of the page.
        board: its program, or a port that has it.
        size: of the window.
        heard: what the line makes of bytes to the board.
        said: and of bytes from it.
        chunk: bytes that come at once: few, so that lines come in parts.
        greeting: milliseconds that the page waits for a board: long, since this machine may have other work.
    """
    with on_port(board) if isinstance(board, Path) else board as port:
        line = os.open(port.name, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(line)

        def read() -> list[int] | None:
            if port.process.poll() is not None:
                return None
            return list(said(os.read(line, chunk) if select.select([line], [], [], 0.01)[0] else b""))

        def write(data: list[int]) -> None:
            os.write(line, heard(bytes(data)))

        def prepare(page: Any) -> None:
            page.expose_function("boardRead", read)
            page.expose_function("boardWrite", write)
            page.add_init_script(FAKE)

        try:
            with opened(browser, path, size, prepare=prepare) as page:
                ready(page)
                page.evaluate(f"BOARD_TIMES.greeting = {greeting}")
                yield page, port
        finally:
            os.close(line)


@contextmanager
def emulated(elf: Path) -> Iterator[Port]:
    """An image on the emulated MPS2 AN386, its UART a pseudo-terminal, as docs/serial.md has it."""
    command = [str(tools.require("qemu-system-arm")), "-M", "mps2-an386", "-display", "none", "-monitor", "none"]
    command += ["-serial", "pty", "-icount", "shift=0,sleep=off", "-kernel", str(elf)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            name = process.stdout.readline().decode().split("redirected to ")[1].split()[0]
            _wait_for(name)
            yield Port(name, process)
        finally:
            process.kill()


def _wait_for(port: str) -> None:
    """Until the board has booted, which may take long on a machine with other work."""
    for _ in range(20):
        with suppress(ThimbleError):
            return connect(port).close()
    raise AssertionError(f"no board on {port}")


def connected(page: Any) -> str:
    """Presses the button; what the page says of the board."""
    page.click("#connect")
    page.wait_for_function("!document.getElementById('connect').disabled", timeout=120_000)
    return str(page.inner_text("#board-state"))


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Lets the page go on until something holds."""
    for _ in range(2_000):
        if holds():
            return
        page.wait_for_timeout(20)
    raise AssertionError("it never held")


def test_a_browser_without_web_serial_says_so(browser: Any, structured: Path) -> None:
    gone = "delete Navigator.prototype.serial"
    with opened(browser, structured, prepare=lambda page: page.add_init_script(gone)) as page:
        ready(page)
        assert page.inner_text("#connect") == "This browser has no Web Serial"
        assert page.is_disabled("#connect") and "Chrome" in page.inner_text("#serial-note")
        assert "not run on silicon by us" in page.inner_text("#serial")


def test_a_board_answers_what_the_page_answers(browser: Any, structured: Path, program: Path) -> None:
    with beside(browser, structured, program) as (page, port):
        assert connected(page).startswith("stand-in on host, another model than this page’s (stand <in>)")
        assert page.evaluate("fakeSerial.baudRate") == 115200
        said = ask(page, "turn on the lamp")
        answer = page.inner_text("#board-answer")
        assert said.endswith(answer) or answer.startswith("NoMatch")
        assert page.inner_text("#board-equal").startswith(
            "Its logits are this page’s, after the prompt and after each of "
        )
        assert unlabelled(page) == []
        page.click("#connect")
        page.wait_for_function("fakeSerial.closed === 1")
        assert page.inner_text("#connect") == "Connect a board" and page.is_hidden("#board-result")
        with connect(port.name) as device:  # what the host's own side of the protocol gets of the same board
            expected = device.prompt("turn on the lamp", device.info().context)
        assert answer == expected.text
        assert connected(page).startswith("stand-in")
        ask(page, "wait for two and a half hours")
        assert page.locator("#board-rows tr").count() == 3


def test_its_counter_stands_beside_the_modelled_time(browser: Any, structured: Path, program: Path) -> None:
    with beside(browser, structured, program) as (page, _):
        connected(page)
        ask(page, "turn on the lamp")
        rows = [row.split("\t") for row in page.locator("#board-rows tr").all_inner_texts()]
        counts = [int(name.split()[1]) for name, *_ in rows[:2]]
        # The counter goes on by 7 each time that it is read, of 1,000,000 in a second; a step reads it twice.
        assert [counter for _, counter, _ in rows] == [f"{0.007 * n:.2f}" for n in (1, counts[1], 1 + counts[1])]
        costs = page.evaluate(
            """([prompt, steps]) => {
              const [board] = JSON.parse(document.getElementById("data").textContent).boards;
              const at = (position) => board.steps[position] ?? board.line[0] + board.line[1] * position;
              const sum = Array.from({ length: steps }, (_, index) => at(prompt + index)).reduce((a, b) => a + b, 0);
              const { prompt: rates, answer } = board.msPerInstruction;
              return [0, 1, 2].map((at) => [prompt * board.promptToken * rates[at], sum * answer[at]]);
            }""",
            counts,
        )
        shown = [[float(part) for part in text.replace("(", "– ").rstrip(")").split("– ")] for *_, text in rows]
        for index, (likely, low, high) in enumerate(shown[:2]):
            assert (low, likely, high) == pytest.approx([span[index] for span in costs], rel=0.06)
        assert shown[2] == pytest.approx([shown[0][at] + shown[1][at] for at in range(3)], rel=0.06)
        assert "host, at 1 MHz" in page.inner_text("#board-note")


def test_a_text_goes_on_as_the_sliders_say(
    browser: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = build_board(tmp_path)
    page_file = page_of(plain_codec(), tmp_path / "index.html")
    with beside(browser, page_file, program) as (page, port):
        connected(page)
        page.fill("#max-new", "12")
        ask(page, "turn")
        greedy = page.inner_text("#board-answer")
        page.focus("#temperature")
        page.keyboard.press("End")
        page.fill("#seed", "7")
        ask(page, "turn")
        drawn = page.inner_text("#board-answer")
        page.click("#connect")
        page.wait_for_function("fakeSerial.closed === 1")
        with connect(port.name) as device:
            device.sample(2000, 0, 1000, 1000, 7)
            assert device.prompt("turn", 12).text.strip() == drawn.strip()
            device.sample()
            assert device.prompt("turn", 12).text.strip() == greedy.strip()
        assert greedy != drawn


def test_what_a_board_refuses_is_said(browser: Any, structured: Path, program: Path) -> None:
    with beside(browser, structured, program) as (page, _):
        connected(page)
        ask(page, "lamp " * 300)
        assert "(line-too-long)" in page.inner_text("#board-failure") and page.is_hidden("#board-result")
        ask(page, "turn on the lamp")
        assert page.is_hidden("#board-failure") and page.is_visible("#board-result")


def test_stop_ends_the_boards_answer_and_the_last_question_counts(
    browser: Any, structured: Path, program: Path
) -> None:
    held, sent = bytearray(), bytearray()
    is_held = False

    def said(data: bytes) -> bytes:
        held.extend(data)
        if is_held:
            return b""
        passed = bytes(held)
        held.clear()
        return passed

    def heard(data: bytes) -> bytes:
        sent.extend(data)
        return data.replace(b"\3", b"")  # a board of silicon takes it from its interrupt

    with beside(browser, structured, program, said=said, heard=heard) as (page, _):
        connected(page)
        is_held = True
        page.fill("#sentence", "turn on the lamp")
        page.keyboard.press("Enter")
        page.wait_for_selector("#stop:visible")
        page.wait_for_function("document.getElementById('status').textContent !== ''")
        until(page, lambda: b"PROMPT" in sent)
        assert b"\3" not in sent
        page.click("#stop")
        until(page, lambda: b"\3" in sent)
        for sentence in ("wait", "wait for two and a half hours"):
            page.fill("#sentence", sentence)
            page.keyboard.press("Enter")
        page.wait_for_function("document.getElementById('status').textContent !== ''")
        is_held = False
        page.wait_for_function("document.getElementById('board-equal').textContent !== ''")
        ready(page)
        assert sent.count(b"PROMPT") == 2 and b"PROMPT 48 wait%20for%20two" in sent


def test_a_changed_line_is_no_answer(browser: Any, structured: Path, program: Path) -> None:
    is_noisy = False

    def said(data: bytes) -> bytes:
        return data.replace(b"E", b"e") if is_noisy else data

    with beside(browser, structured, program, said=said) as (page, _):
        connected(page)
        is_noisy = True
        ask(page, "turn on the lamp")
        assert "changed on its way" in page.inner_text("#board-failure")
        is_noisy = False
        ask(page, "turn on the lamp")
        assert page.is_hidden("#board-failure") and page.is_visible("#board-result")


def test_a_board_that_is_pulled_out_is_told_of(browser: Any, structured: Path, program: Path) -> None:
    with beside(browser, structured, program) as (page, port):
        connected(page)
        port.pull_out()
        page.wait_for_function("document.getElementById('board-state').textContent.includes('pulled out')")
        assert page.inner_text("#connect") == "Connect a board"
        assert ask(page, "turn on the lamp")  # the page goes on without it


@pytest.mark.parametrize(
    ("noise", "reason"),
    [
        (b"login: \r\n", "no Thimble board, or has another speed: it says “login: ”"),
        (b"OK protocol=2 board=x\n", "speaks version 2"),
        (b"FAULT bus pc=1\n", "has stopped: FAULT bus"),
    ],
)
def test_what_is_no_board_of_ours_is_refused(
    browser: Any, structured: Path, program: Path, noise: bytes, reason: str
) -> None:
    with beside(browser, structured, program, said=lambda _: noise, greeting=5_000) as (page, _):
        connected(page)
        assert reason in page.inner_text("#board-failure")
        assert page.evaluate("fakeSerial.closed") == 1 and page.inner_text("#connect") == "Connect a board"


def test_who_chooses_no_port_is_told_so(browser: Any, structured: Path, program: Path) -> None:
    with beside(browser, structured, program) as (page, _):
        page.evaluate("fakeSerial.refuses = true")
        assert connected(page) == "No port was chosen."


def test_a_phone_shows_it(browser: Any, structured: Path, program: Path) -> None:
    with beside(browser, structured, program, size=PHONE) as (page, _):
        connected(page)
        ask(page, "turn on the lamp")
        assert sideways(page) == []


def test_the_shipped_firmware_answers_as_the_shipped_page(browser: Any) -> None:
    path = os.environ.get("THIMBLE_PLAYGROUND")
    if not path:
        pytest.skip("THIMBLE_PLAYGROUND names no page: nox -s playground_tests makes one")
    page_file = Path(path).resolve()
    elf = page_file.parent.parent / "firmware" / "mps2_an386-aot" / "firmware.elf"
    with beside(browser, page_file, emulated(elf), chunk=4096) as (page, _):
        assert connected(page) == "home-en-small on mps2_an386. It is asked what you ask here.", page.inner_text(
            "#serial"
        )
        said = ask(page, "turn off the kitchen lights")
        assert said == f"It understood: {page.inner_text('#board-answer')}"
        assert page.inner_text("#board-equal").startswith("Its logits are this page’s, after the prompt and after each")
        assert page.is_hidden("#board-unknown") and page.locator("#board-rows tr").count() == 3
