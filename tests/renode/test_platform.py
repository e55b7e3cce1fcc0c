"""The Renode files, without Renode: against the board, against the linker script, against Renode's names."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.boards import Board, all_boards
from pipeline.emulators.renode import SCRIPTS, Renode, find_renode

NAMES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "renode_names.yaml").read_text())
BOARDS = [board for board in all_boards() if "renode" in board.emulators]
each_board = pytest.mark.parametrize("board", BOARDS, ids=[board.name for board in BOARDS])


def peripherals(board: Board) -> dict[str, dict[str, Any]]:
    """name → {class, address, properties, interrupts} of the platform description."""
    found: dict[str, dict[str, Any]] = {}
    current: dict[str, Any] = {}
    text = (SCRIPTS / board.emulators["renode"]["platform"]).read_text()
    for line in text.splitlines():
        line = line.partition("//")[0].rstrip()
        if head := re.fullmatch(r"(\w+): ([\w.]+) @ sysbus(?: (0x[0-9A-Fa-f]+))?", line):
            current = {"class": head[2], "address": int(head[3] or "0", 16), "properties": {}, "interrupts": {}}
            found[head[1]] = current
        elif wire := re.fullmatch(r"    (\w+) -> (\w+)@(\d+)", line):
            current["interrupts"][wire[1]] = (wire[2], int(wire[3]))
        elif setting := re.fullmatch(r"    (\w+): (.+)", line):
            current["properties"][setting[1]] = setting[2]
        else:
            assert not line, f"not understood: {line}"
    return found


@each_board
def test_memory_uart_and_clock_are_the_boards(board: Board) -> None:
    platform = peripherals(board)
    for name, region in (("flash", board.flash), ("ram", board.ram)):
        assert platform[name]["address"] == region.origin
        assert int(platform[name]["properties"]["size"], 16) == region.size
    uart = platform["uart0"]
    assert uart["class"] == f"UART.{board.uart.model}"
    assert uart["address"] == board.uart.address
    assert uart["interrupts"]["RxInterrupt"] == ("nvic", board.uart.rx_irq)
    assert uart["interrupts"]["TxInterrupt"] == ("nvic", board.uart.tx_irq)
    assert int(platform["nvic"]["properties"]["systickFrequency"]) == board.clock_hz
    assert int(uart["properties"]["frequency"]) == board.clock_hz


@each_board
def test_the_linker_script_and_the_driver_are_the_boards(board: Board) -> None:
    script = (board.folder / "link.ld").read_text()
    for name, region in (("FLASH", board.flash), ("RAM", board.ram)):
        found = re.search(rf"{name} .*ORIGIN = (\w+), LENGTH = (\d+)([KM])", script)
        assert found
        assert int(found[1], 16) == region.origin
        assert int(found[2]) * {"K": 1024, "M": 1024**2}[found[3]] == region.size
    assert f"STACK_SIZE = {board.stack_bytes};" in script
    driver = (board.folder / "board.c").read_text()
    assert f"0x{board.uart.address:08X}u" in driver
    assert f"CLOCK_HZ {board.clock_hz}u" in driver
    assert f"UART_RX_IRQ {board.uart.rx_irq}\n" in driver
    assert f'board_name[] = "{board.name}"' in driver


@each_board
def test_classes_and_their_parameters_exist_in_renode(board: Board) -> None:
    platform = peripherals(board)
    for name, part in platform.items():
        known = NAMES["classes"][part["class"]]
        assert set(part["properties"]) <= set(known["parameters"]), name
        assert set(part["interrupts"]) <= set(known["outputs"]), name
        for target, _ in part["interrupts"].values():
            assert target in platform
    cpu = platform["cpu"]["properties"]
    assert cpu["cpuType"].strip('"') in NAMES["cpu_types"]
    assert cpu["cpuType"].strip('"').startswith(board.core)


@each_board
def test_the_script_orders_what_renode_knows(board: Board) -> None:
    script = (SCRIPTS / board.emulators["renode"]["script"]).read_text()
    orders = re.findall(r"^ *(cpu|emulation|machine|sysbus|connector|mach) (\w+)", script, re.MULTILINE)
    assert {"LoadPlatformDescription", "LoadELF", "PerformanceInMips"} <= {order for _, order in orders}
    for target, order in orders:
        assert order in NAMES["monitor"][target]
    assert f"$ORIGIN/{board.emulators['renode']['platform']}" in script


@each_board
def test_a_tick_is_as_many_instructions_as_the_board_says(board: Board) -> None:
    script = (SCRIPTS / board.emulators["renode"]["script"]).read_text()
    mips = int(re.search(r"PerformanceInMips (\d+)", script)[1])  # type: ignore[index]
    assert mips * 1_000_000 / board.clock_hz == board.emulators["renode"]["instructions_per_tick"]


@each_board
def test_the_command_line_has_options_and_orders_that_renode_knows(board: Board, tmp_path: Path) -> None:
    renode = Renode()
    renode.__dict__["program"] = Path("/somewhere/renode")
    command = renode.command(tmp_path, board, 4321)
    assert {option.removeprefix("--") for option in command if option.startswith("--")} <= set(NAMES["options"])
    orders = [word for flag, word in itertools.pairwise(command) if flag == "-e"]
    assert orders[0] == f"$elf=@{tmp_path}/firmware.elf"
    for order in orders:
        if found := re.match(r"(emulation|connector) (\w+)", order):
            assert found[2] in NAMES["monitor"][found[1]]


def test_the_suite_runs_dry_with_renodes_keywords(tmp_path: Path) -> None:
    stub = tmp_path / "renode-keywords.resource"
    lines = ["*** Keywords ***"]
    for keyword, arguments in NAMES["keywords"].items():
        lines += [keyword, *([f"    [Arguments]    {'    '.join(arguments)}"] if arguments else []), "    No Operation"]
    stub.write_text("\n".join(lines) + "\n")
    result = subprocess.run(
        [sys.executable, "-m", "robot", "--dryrun", "--output", "NONE", "--log", "NONE", "--report", "NONE"]
        + ["--variable", f"RENODEKEYWORDS:{stub}", "--variable", "ELF:/x.elf", "--variable", "EXPECTED:/x.json"]
        + [str(path) for path in sorted(SCRIPTS.glob("*.robot"))],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_names_are_those_of_renodes_sources() -> None:
    """With RENODE_SOURCES (a checkout with its infrastructure in src/Infrastructure) the list itself is checked."""
    sources = os.environ.get("RENODE_SOURCES")
    if not sources:
        pytest.skip("RENODE_SOURCES does not name a checkout of Renode with its submodules")
    code = "\n".join(path.read_text("utf-8-sig", "replace") for path in Path(sources).glob("src/**/*.cs"))
    for name, known in NAMES["classes"].items():
        constructor = re.search(rf"public {name.rpartition('.')[2]}\(([^{{]*)\)", code)
        assert constructor, name
        for parameter in known["parameters"]:
            assert re.search(rf"\b{parameter}\b", constructor[1]), (name, parameter)
        for output in known["outputs"]:
            assert re.search(rf"public GPIO {output} ", code), output
    for orders in (NAMES["monitor"]["cpu"], NAMES["monitor"]["emulation"], NAMES["monitor"]["sysbus"]):
        for order in orders:
            assert re.search(rf"public .*\b{order}\b", code), order
    for keyword in NAMES["keywords"]:
        name = keyword.replace(" ", "")
        if keyword not in ("Setup", "Teardown", "Test Teardown"):
            assert re.search(rf"RobotFrameworkKeyword[^\n]*\n\s*public [\w]+ {name}\(", code), keyword


@pytest.mark.skipif(find_renode() is None, reason="Renode is not installed; it is in no package registry")
def test_renode_itself_loads_the_platform(tmp_path: Path) -> None:
    shutil.copy(SCRIPTS / "mps2_an386.repl", tmp_path)
    order = f"mach create; machine LoadPlatformDescription @{tmp_path}/mps2_an386.repl; quit"
    program = Renode().program
    command = [program, "--plain", "--console", "--disable-gui", "-e", order]
    result = subprocess.run(command, capture_output=True, timeout=120)
    assert b"rror" not in result.stdout + result.stderr
