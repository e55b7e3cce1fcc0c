"""A board behind a serial port: QEMU's UART on a pseudo-terminal, with everything that can be wrong with a port."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from pipeline import tools
from pipeline.commands import verify_on_port as serial_command
from pipeline.commands.verify_on_port import verify_on_port
from pipeline.device.protocol import Device
from pipeline.device.serial_port import SerialPort, connect
from pipeline.errors import ThimbleError
from pipeline.firmware.build import Firmware
from pipeline.firmware.image import sizes_as_dict
from pipeline.recipes.schema import AnswersConfig, Budgets
from pipeline.resources import ROOT
from pipeline.targets.boards import Board
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.verification.checks import reference_run
from pipeline.verification.result import EmulatorVersion, RunResult
from pipeline.workflow.artifacts import TFLITE
from pipeline.workflow.workspace import Workspace
from tests.support.standin import VOCAB, Standin

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
CONTEXT = 48


@pytest.fixture
def port(firmware: Firmware, board: Board) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The name of a terminal behind which the stand-in's board runs, and its emulator."""
    program = str(tools.require("qemu-system-arm"))
    options = ["-M", board.emulators["qemu"].machine, "-display", "none", "-monitor", "none", "-serial", "pty"]
    process = subprocess.Popen(
        [program, *options, "-icount", "shift=0,sleep=off", "-kernel", str(firmware.elf)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    match = re.search(r"(/dev/\S+)", process.stdout.readline())
    assert match
    yield match[1], process
    process.kill()
    process.wait()


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """A terminal with nothing behind it, and the file descriptor that plays the board."""
    board_end, host_end = pty.openpty()
    tty.setraw(board_end)
    yield os.ttyname(host_end), board_end
    for descriptor in (board_end, host_end):
        os.close(descriptor)


class Known(Standin):
    """The stand-in, with what an oracle knows of its model."""

    context, vocab = CONTEXT, VOCAB


@pytest.fixture
def built(tmp_path: Path, firmware: Firmware, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A recipe and a workspace in which the stand-in lies as a built model."""
    workspace = Workspace(tmp_path / "build", "stand-in")
    recipe = SimpleNamespace(
        name="stand-in",
        path=Path("standin.yaml"),
        boards=("mps2_an386",),
        engine="aot",
        prompts=("turn on", "x"),
        task={"name": "home_assistant"},
        budgets=Budgets(),
        answers=AnswersConfig(),
        grammar_path=None,
        model=SimpleNamespace(context=CONTEXT),
        evaluate=SimpleNamespace(host_sentences=None),
        quick=False,
    )
    stage = workspace.stage("firmware", "mps2_an386-aot")
    stage.mkdir(parents=True)
    facts = {**sizes_as_dict(firmware.sizes), "weights_crc": firmware.weights_crc, "build_id": firmware.build_id}
    (stage / "sizes.json").write_text(json.dumps(facts))
    (stage / "compiled.json").write_text(
        json.dumps({"macs": 64, "kv_cache_bytes": 4, "arena_bytes": 300, "largest_live_set": 300})
    )
    workspace.stage("data").mkdir(parents=True)
    tokenizer.save(workspace.stage("data") / "tokenizer.json")
    tflite = workspace.path(TFLITE.of("quantize"))
    tflite.parent.mkdir(parents=True)
    tflite.touch()
    monkeypatch.setattr(serial_command, "Oracle", lambda _: Known())
    monkeypatch.setattr(serial_command, "load_task", lambda _: SimpleNamespace(text=lambda *_: None))
    monkeypatch.setattr(
        serial_command,
        "reference_runs",
        lambda recipe, _, codec, _t: [reference_run(Standin(), codec, CONTEXT, text, 20) for text in recipe.prompts],
    )
    return recipe, workspace


def later(descriptor: int, data: bytes) -> None:
    """Writes once the port is open, which drops what lay there."""
    threading.Timer(0.2, os.write, (descriptor, data)).start()


def run(built: Any, port: str, **options: Any) -> RunResult:
    recipe, workspace = built
    return verify_on_port(recipe, workspace, port, Console(file=io.StringIO()), instructions_per_tick=40.0, **options)


def test_the_whole_verification(port: Any, built: Any) -> None:
    result = run(built, port[0])
    assert result.ok and result.checks["logits_crc_match"] and result.checks["prefill_match"]
    assert result.emulator == EmulatorVersion(name="serial", version=f"{port[0]} at 115200 baud")
    assert result.milliseconds.decode_mean.likely > 0
    written = built[1].folder / "mps2_an386-aot-serial" / "result.json"
    assert RunResult.load(written) == result


def test_half_a_line_of_somebody_elses_does_not_matter(port: Any) -> None:
    link = SerialPort(port[0])
    link.read_line(20)  # READY
    link.send_bytes(b"ASK 4 tur")
    link.close()
    with Device(connect(port[0]), booted=True) as device:
        assert device.info().board == "mps2_an386"
        assert device.ask("turn on", 4).tokens_out


def test_a_request_that_still_runs_is_waited_for(port: Any) -> None:
    link = SerialPort(port[0])
    link.read_line(20)
    link.send_line("ASK 40 turn%20on")
    link.close()
    with Device(connect(port[0]), booted=True) as device:
        assert not device.info().corrupt


def test_another_build_is_refused_and_an_earlier_result_stays(port: Any, built: Any) -> None:
    folder = built[1].folder / "mps2_an386-aot-serial"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("earlier")
    path = built[1].stage("firmware", "mps2_an386-aot") / "sizes.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "build_id": "0123456789abcdef"}))
    with pytest.raises(ThimbleError, match=r"runs build .* this recipe's is 0123456789abcdef"):
        run(built, port[0])
    assert (folder / "result.json").read_text() == "earlier"


def test_the_same_sources_with_another_option_are_another_build(port: Any, built: Any, test_firmware: Firmware) -> None:
    """The recipe's image has the request CRASH, the board's has not."""
    path = built[1].stage("firmware", "mps2_an386-aot") / "sizes.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "build_id": test_firmware.build_id}))
    with pytest.raises(ThimbleError, match=rf"this recipe's is {test_firmware.build_id}"):
        run(built, port[0])


def test_wrong_logits_fail_and_are_written(port: Any, built: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Standin):
        def step(self, token: int) -> Any:
            return super().step(token)[::-1].copy()

    monkeypatch.setattr(
        serial_command,
        "reference_runs",
        lambda _r, _w, codec, _t: [reference_run(Other(), codec, CONTEXT, "turn on", 5)],
    )
    with pytest.raises(ThimbleError, match=r"mps2_an386 on .*tokens_match"):
        run(built, port[0])
    written = json.loads((built[1].folder / "mps2_an386-aot-serial" / "result.json").read_text())
    assert not written["ok"]


def test_nothing_built_is_an_error_with_the_command(port: Any, built: Any) -> None:
    shutil.rmtree(built[1].stage("firmware", "mps2_an386-aot"))
    with pytest.raises(ThimbleError, match="no firmware of stand-in is built") as caught:
        run(built, port[0])
    assert "thimble firmware standin.yaml --board mps2_an386" in caught.value.remedy


def test_a_board_that_is_unplugged_is_an_error(port: Any) -> None:
    name, process = port
    with Device(connect(name), booted=True) as device:
        process.kill()
        process.wait()
        with pytest.raises(ThimbleError, match=r"was lost|gave no line"):
            [device.info() for _ in range(3)]


def test_a_silent_port_is_an_error(silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.device.serial_port._PROBE_TIMEOUT", 0.5)
    with pytest.raises(ThimbleError, match=r"gave no line for 0.5 s; last it said: nothing") as caught:
        connect(silent[0])
    assert "baud" in caught.value.remedy


def test_garbage_is_an_error_that_shows_it(silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.device.serial_port._PROBE_TIMEOUT", 0.5)
    later(silent[1], b"\xfe\x80garbage\n" * 40)
    with pytest.raises(ThimbleError, match="garbage"):
        connect(silent[0])


def test_a_board_that_has_stopped_is_an_error(silent: tuple[str, int]) -> None:
    later(silent[1], b"FAULT bus pc=00000000\n")
    with pytest.raises(ThimbleError, match="has stopped: FAULT bus"):
        connect(silent[0])


def test_a_port_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ThimbleError, match="there is no serial port /dev/ttyNOWHERE") as caught:
        SerialPort("/dev/ttyNOWHERE")
    assert "ports here" in caught.value.remedy


def test_a_port_that_is_in_use_is_an_error(silent: tuple[str, int]) -> None:
    first = SerialPort(silent[0])
    with pytest.raises(ThimbleError, match="another program has"):
        SerialPort(silent[0])
    first.close()


def test_no_permission_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import serial

    def refuse(*_: object, **__: object) -> None:
        raise serial.SerialException("[Errno 13] could not open port /dev/ttyACM0: [Errno 13] Permission denied")

    monkeypatch.setattr(serial, "Serial", refuse)
    with pytest.raises(ThimbleError, match="no permission") as caught:
        SerialPort("/dev/ttyACM0")
    assert "dialout" in caught.value.remedy


def test_ticks_of_32_bits_become_64(tmp_path: Path) -> None:
    """The firmware's own function, on this machine."""
    source = tmp_path / "wide.c"
    source.write_text(
        '#include <stdio.h>\n#include "counter.h"\nint main(void) {\n'
        "    wide_count wide = {0, 0};\n"
        "    const uint32_t seen[] = {5, 4000000000u, 4294967295u, 0, 7, 6, 6};\n"
        "    for (int i = 0; i < 7; i++)\n"
        '        printf("%llu ", (unsigned long long)widened(&wide, seen[i]));\n}\n'
    )
    folder = ROOT / "firmware_templates" / "boards" / "counter"
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", f"-I{folder}", source, "-o", tmp_path / "wide"], check=True)
    printed = subprocess.run([tmp_path / "wide"], capture_output=True, text=True, check=True).stdout.split()
    turn = 1 << 32
    assert [int(word) for word in printed] == [5, 4000000000, turn - 1, turn, turn + 7, 2 * turn + 6, 2 * turn + 6]
