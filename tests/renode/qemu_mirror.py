"""Renode's Robot keywords, as far as the suites in `renode/` use them, over QEMU. This is not Renode.

It lets the suites run, with their real logic, where there is no Renode: the same script is read, the same ELF loaded,
lines are waited for and instructions counted. What it cannot show is that Renode itself takes the files.

Where it differs from Renode: time-outs are in this machine's time; the platform is QEMU's machine of the board that the
script names, not the `.repl`; a write to memory before the start changes a copy of the image. Instructions come from
QEMU's own counter (`query-replay` of its machine protocol), not from the board's.
"""

# ruff: noqa: N803 - Robot hands named arguments on by the names that Renode gave them
from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from robot.utils import DotDict

from pipeline.emulators.process import ProcessLink
from pipeline.emulators.qemu import Qemu
from pipeline.errors import ThimbleError
from pipeline.targets.boards import load_board
from tests.renode.renode_syntax import commands_of

__all__ = ["qemu_mirror"]


class _Machine:
    """QEMU, stopped at its first instruction, with its machine protocol on a socket."""

    def __init__(self, elf: Path, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mirror-"))
        self.elf = self.folder / "firmware.elf"
        shutil.copyfile(elf, self.elf)
        self.board = load_board(name)
        self.link: ProcessLink | None = None
        self.running = False

    def start(self) -> None:
        """Boots; still stopped. Nothing before this needs QEMU, so that the image can be changed."""
        socket_path = str(self.folder / "qmp")
        command = [*Qemu().command(self.elf, self.board), "-S", "-qmp", f"unix:{socket_path},server=on,wait=off"]
        # An idle board waits in this machine's time. Otherwise its SysTick would wrap without end, and count, between a
        # line and the pause that follows it, which on a busy machine can be long.
        command = [part.replace("sleep=off", "sleep=on") for part in command]
        self.link = ProcessLink.on_pipes("QEMU (Renode's mirror)", command)
        deadline = time.monotonic() + 20
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(socket_path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise AssertionError(f"QEMU did not start: {self.link.read_line(1)}") from None
                time.sleep(0.02)
        self.socket.settimeout(20)
        self.answers = self.socket.makefile("r", encoding="utf-8")
        json.loads(self.answers.readline())  # its greeting
        self.ask("qmp_capabilities")

    def ask(self, order: str) -> Any:
        self.socket.sendall(json.dumps({"execute": order}).encode() + b"\n")
        while True:
            answer = json.loads(self.answers.readline())
            if "event" not in answer:
                assert "return" in answer, answer
                return answer["return"]

    def run(self, on: bool) -> None:
        if on and self.link is None:
            self.start()
        if on != self.running:
            self.ask("cont" if on else "stop")
            self.running = on

    def instructions(self) -> int:
        return int(self.ask("query-replay")["icount"]) if self.link is not None else 0

    def close(self) -> None:
        if self.link is not None:
            self.answers.close()
            self.socket.close()
            self.link.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def symbol(self, name: str) -> int:
        with self.elf.open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            assert isinstance(table, SymbolTableSection)
            symbols = table.get_symbol_by_name(name)
        assert symbols, f"no symbol {name}"
        return int(symbols[0]["st_value"])

    def place_in_image(self, address: int) -> int:
        """The file's offset of what is loaded at the address."""
        with self.elf.open("rb") as file:
            for segment in ELFFile(file).iter_segments("PT_LOAD"):
                start = int(segment["p_paddr"])
                if start <= address < start + int(segment["p_filesz"]):
                    return int(segment["p_offset"]) + address - start
        raise AssertionError(f"nothing of the image is at {address:#x}")

    def read(self, address: int, size: int) -> int:
        data = self.elf.read_bytes()
        offset = self.place_in_image(address)
        return int.from_bytes(data[offset : offset + size], "little")

    def write(self, address: int, size: int, value: int) -> None:
        assert self.link is None, "the mirror writes to memory only before the start"
        data = bytearray(self.elf.read_bytes())
        offset = self.place_in_image(address)
        data[offset : offset + size] = value.to_bytes(size, "little")
        self.elf.write_bytes(data)


class qemu_mirror:  # noqa: N801 - Robot finds a library by the name of its module
    """The library; Robot makes one for all tests."""

    ROBOT_LIBRARY_SCOPE = "GLOBAL"

    def __init__(self) -> None:
        self._variables: dict[str, str] = {}
        self._machine: _Machine | None = None
        self._lines: list[str] = []
        self._pause = False
        self._timeout = 8.0

    def reset_emulation(self) -> None:
        if self._machine is not None:
            self._machine.close()
        self.__init__()  # type: ignore[misc]

    def start_emulation(self) -> None:
        self._the_machine().run(True)

    def execute_command(self, command: str, machine: str | None = None) -> str:
        del machine
        if assignment := re.fullmatch(r"\$(\w+)=@(.+)", command):
            self._variables[assignment[1]] = assignment[2]
            return ""
        board = self._the_machine()
        match command.split():
            case ["sysbus.cpu", "ExecutedInstructions"]:
                return f"0x{board.instructions():016X}\n"
            case ["sysbus", "GetSymbolAddress", name]:
                return f"0x{board.symbol(name.strip(chr(34))):08X}\n"
            case ["sysbus", "ReadDoubleWord", address]:
                return f"0x{board.read(int(address, 16), 4):08X}\n"
            case ["sysbus", "ReadWord", address]:
                return f"0x{board.read(int(address, 16), 2):04X}\n"
            case ["sysbus", "WriteDoubleWord", address, value]:
                board.write(int(address, 16), 4, int(value, 16))
                return ""
        raise AssertionError(f"the mirror does not know the command {command!r}")

    def execute_script(self, path: str) -> str:
        script = Path(path)
        variables = {"ORIGIN": str(script.parent), **self._variables}
        loaded: list[str] = []
        for words in commands_of(script.read_text(encoding="utf-8"), variables):
            match words:
                case ["mach", "create", name]:
                    variables["machine"] = name
                case ["sysbus", "LoadELF", elf]:
                    loaded.append(elf)
        assert len(loaded) == 1, f"{script.name} loads {loaded}"
        self._machine = _Machine(Path(loaded[0]), variables["machine"].strip('"'))
        return ""

    def create_terminal_tester(
        self,
        uart: str,
        timeout: float | None = None,
        machine: str | None = None,
        endLineOption: str | None = None,
        defaultPauseEmulation: bool | None = None,
        defaultWaitForEcho: bool | None = None,
        defaultMatchNextLine: bool | None = None,
        binaryMode: bool = False,
    ) -> int:
        assert defaultWaitForEcho is False, "the board does not echo"
        assert endLineOption is None and machine is None and defaultMatchNextLine is None and not binaryMode
        assert re.fullmatch(r"sysbus\.\w+", uart)
        self._the_machine()
        self._timeout = float(timeout or self._timeout)
        self._pause = bool(defaultPauseEmulation)
        return 0

    def write_char_delay(self, delay: float, testerId: int | None = None) -> None:
        assert testerId is None
        assert float(delay) > 0, "Renode would hand all characters over at once"  # QEMU waits until the UART has room

    def write_line_to_uart(
        self,
        content: str = "",
        testerId: int | None = None,
        waitForEcho: bool | None = None,
        pauseEmulation: bool | None = None,
    ) -> None:
        del testerId, waitForEcho, pauseEmulation
        link = self._the_machine().link
        assert link is not None, "write after the first wait: the board has not started"
        link.send_bytes(content.encode("utf-8") + b"\r")  # as Renode ends a line

    def wait_for_next_line_on_uart(
        self, timeout: float | None = None, testerId: int | None = None, pauseEmulation: bool | None = None
    ) -> DotDict:
        del testerId
        return self._wait(lambda _: [], timeout, pauseEmulation)

    def wait_for_line_on_uart(
        self,
        content: str,
        timeout: float | None = None,
        testerId: int | None = None,
        treatAsRegex: bool = False,
        includeUnfinishedLine: bool = False,
        pauseEmulation: bool | None = None,
        matchNextLine: bool | None = None,
    ) -> DotDict:
        assert not includeUnfinishedLine and matchNextLine is None and testerId is None
        return self._wait(_matcher(content, treatAsRegex), timeout, pauseEmulation)

    def should_not_be_on_uart(
        self,
        content: str,
        timeout: float | None = None,
        testerId: int | None = None,
        treatAsRegex: bool = False,
        includeUnfinishedLine: bool = False,
    ) -> None:
        assert not includeUnfinishedLine and testerId is None
        try:
            self._wait(_matcher(content, treatAsRegex), timeout, False)
        except AssertionError:
            return
        raise AssertionError(f"unexpected on the UART: {self._lines[-1]}")

    def setup(self) -> None:
        self.reset_emulation()

    def teardown(self) -> None:
        self.reset_emulation()

    def test_teardown(self) -> None:
        self.reset_emulation()

    def _the_machine(self) -> _Machine:
        assert self._machine is not None, "no machine: execute the script first"
        return self._machine

    def _wait(self, match: Any, timeout: float | None, pause: bool | None) -> DotDict:
        """Goes on, drops lines until one matches, and stops again."""
        machine = self._the_machine()
        machine.run(True)
        assert machine.link is not None
        deadline = time.monotonic() + float(timeout or self._timeout)
        try:
            while True:
                try:
                    line = machine.link.read_line(max(deadline - time.monotonic(), 0))
                except ThimbleError as error:
                    report = "\n".join(self._lines[-20:])
                    raise AssertionError(f"Terminal tester failed!\n\nFull report:\n{report}\n{error.what}") from None
                self._lines.append(line)
                groups = match(line)
                if groups is not None:
                    return DotDict(Line=line, Timestamp=0.0, Groups=groups)
        finally:
            if self._pause if pause is None else pause:
                with contextlib.suppress(OSError, ValueError):
                    machine.run(False)


def _matcher(content: str, as_regex: bool) -> Any:
    """line → its groups, None where it does not match."""

    def match(line: str) -> list[str] | None:
        if not as_regex:
            return [] if content in line else None
        regex_match = re.search(content, line)
        return list(regex_match.groups()) if regex_match else None

    return match
