"""The Renode files, without Renode: against their templates, the board, the linker script, and Renode's names."""

from __future__ import annotations

import itertools
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.commands.main import main
from pipeline.emulators.renode import files
from pipeline.emulators.renode.files import FOLDER, entry_of, render
from pipeline.emulators.renode.launcher import Renode, find_renode
from pipeline.errors import ThimbleError
from pipeline.targets.boards import Board, BoardMemory, Uart, all_boards, load_board
from pipeline.targets.memories import MemoryRegion
from tests.renode.renode_syntax import Entry, SyntaxProblem, commands_of, entries_of

NAMES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "renode_names.yaml").read_text())
BOARDS = [board for board in all_boards() if "renode" in board.emulators]
each_board = pytest.mark.parametrize("board", BOARDS, ids=[board.name for board in BOARDS])


def made_up(name: str, core: str, code: int, data: int, uart: Uart, clock: int, **more: Any) -> Board:
    """A board of Arm's, as `board.yaml` could describe it."""
    entry = {"platform": f"{name}.repl", "cpu": core, "uart": "uart0", "mips": 1000, **more}
    flash, ram = (MemoryRegion(origin=origin, size=0x00200000) for origin in (code, data))
    return load_board("mps2_an386").replace(
        name=name,
        core=core,
        clock_hz=clock,
        memory=BoardMemory(flash=flash, ram=ram),
        uart=uart,
        emulators={"renode": {**entry, "instructions_per_tick": 1e9 / clock}},
    )


def cmsdk_uart(address: int, rx_irq: int) -> Uart:
    return Uart(model="CMSDK_APB_UART", address=address, rx_irq=rx_irq, tx_irq=rx_irq + 1)


USART2 = Uart(model="STM32_UART", address=0x40004400, rx_irq=38, tx_irq=38)
MADE_UP = [
    made_up("plain", "cortex-m3", 0x0, 0x20000000, cmsdk_uart(0x40004000, 0), 25_000_000),
    made_up("secure", "cortex-m33", 0x10000000, 0x38000000, cmsdk_uart(0x50200000, 32), 20_000_000, trustzone=True),
    made_up("helium", "cortex-m55", 0x11000000, 0x31000000, cmsdk_uart(0x59303000, 33), 32_000_000, trustzone=True),
]
OURS = [*(board for board in BOARDS if not entry_of(board).in_tree), *MADE_UP]
each_of_ours = pytest.mark.parametrize("board", OURS, ids=[board.name for board in OURS])
IN_TREE = made_up("in_tree", "cortex-m4", 0x08000000, 0x20000000, USART2, 168_000_000)
IN_TREE = IN_TREE.replace(
    memory=IN_TREE.memory.replace(ram=MemoryRegion(origin=0x20000000, size=0x00020000)),
    emulators={
        "renode": {
            "platform": "platforms/boards/stm32f4_discovery.repl",
            "uart": "usart2",
            "mips": 168,
            "instructions_per_tick": 1,
        }
    },
)
THEIRS = [IN_TREE, *(board for board in BOARDS if entry_of(board).in_tree)]
ALL = [*OURS, *THEIRS]
each_of_all = pytest.mark.parametrize("board", ALL, ids=[board.name for board in ALL])
each_of_theirs = pytest.mark.parametrize("board", THEIRS, ids=[board.name for board in THEIRS])


def platform_of(board: Board) -> dict[str, Entry]:
    return entries_of(render(board)[entry_of(board).platform])


def commands(board: Board) -> list[list[str]]:
    script = render(board)[f"{board.name}.resc"]
    return commands_of(script, {"elf": "@/x/firmware.elf", "ORIGIN": "@/x"})


@each_board
def test_the_files_are_what_their_templates_give(board: Board) -> None:
    for name, text in render(board).items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, "run thimble renode files"


def test_no_other_platform_or_script_lies_there() -> None:
    rendered = {name for board in BOARDS for name in render(board)}
    assert {path.name for pattern in ("*.repl", "*.resc") for path in FOLDER.glob(pattern)} == rendered


@each_of_ours
def test_memory_uart_and_clock_are_the_boards(board: Board) -> None:
    platform = platform_of(board)
    regions = {"flash": board.flash, "ram": board.ram, **({"vectors": board.vectors} if board.vectors else {})}
    for name, region in regions.items():
        assert platform[name].address == region.origin
        assert platform[name].parameters["size"] == region.size
    uart = platform[entry_of(board).uart]
    assert uart.kind == f"UART.{board.uart.model}"
    assert uart.address == board.uart.address
    assert uart.wires == {"RxInterrupt": ("nvic", board.uart.rx_irq), "TxInterrupt": ("nvic", board.uart.tx_irq)}
    assert platform["nvic"].parameters["systickFrequency"] == board.clock_hz
    assert uart.parameters["frequency"] == board.clock_hz


@each_of_ours
def test_nothing_overlaps(board: Board) -> None:
    ranges = sorted(
        (registration.address, registration.address + entry.parameters.get("size", 0x1000), entry.name)
        for entry in platform_of(board).values()
        for registration in entry.registrations
        if registration.address is not None
    )
    for (_, end, name), (start, _, next_name) in itertools.pairwise(ranges):
        assert end <= start, (name, next_name)


@each_of_ours
def test_the_core_is_the_boards(board: Board) -> None:
    cpu = platform_of(board)["cpu"].parameters
    kind = cpu["cpuType"].strip('"')
    assert kind in NAMES["cpu_types"]
    assert kind.startswith(board.core)
    secure = board.core in ("cortex-m33", "cortex-m55")
    assert cpu.get("enableTrustZone", False) is secure
    if secure:  # bit 28 selects the secure alias of an address on Arm's boards
        assert board.flash.origin & board.ram.origin & board.uart.address & 1 << 28


@each_of_ours
def test_classes_and_their_parameters_exist_in_renode(board: Board) -> None:
    platform = platform_of(board)
    for entry in platform.values():
        known = NAMES["classes"][entry.kind]
        assert set(entry.parameters) <= set(known["parameters"]), entry.name
        assert set(entry.wires) <= set(known["outputs"]), entry.name
        assert {target for target, _ in entry.wires.values()} <= set(platform)
        for registration in entry.registrations:
            assert registration.bus == "sysbus"
            if registration.kind:
                assert set(registration.parameters) <= set(NAMES["classes"][registration.kind]["parameters"])
                assert registration.parameters["cpu"] in platform
    assert platform["nvic"].address == 0xE000E000
    assert platform["nvic"].wires == {"IRQ": ("cpu", 0)}
    assert platform["cpu"].parameters["nvic"] == "nvic"


@each_of_theirs
def test_the_board_fits_the_platform_that_renode_brings(board: Board) -> None:
    entry = entry_of(board)
    known = NAMES["platforms"][entry.platform]
    joined: list[list[int]] = []
    for start, size in sorted(known["memories"]):
        if joined and joined[-1][1] == start:  # two banks in a row
            joined[-1][1] += size
        else:
            joined.append([start, start + size])
    for region in (board.flash, board.ram):
        assert any(start <= region.origin and region.origin + region.size <= end for start, end in joined), region
    kind, address, irq = known["uarts"][entry.uart]
    model = board.uart.model if "." in board.uart.model else f"UART.{board.uart.model}"
    assert (kind, address, irq) == (model, board.uart.address, board.uart.rx_irq)
    assert known.get("counter_hz") == entry.counter_hz
    assert known["cpu"].startswith(board.core) or board.core.startswith(known["cpu"])


@each_of_all
def test_the_script_orders_what_renode_knows(board: Board) -> None:
    orders = commands(board)
    for target, order, *_ in orders:
        if target != "using":
            assert order in NAMES["monitor"][target], (target, order)
    entry = entry_of(board)
    where = f"@{entry.platform}" if entry.in_tree else f"@/x/{entry.platform}"
    assert orders[:3] == [
        ["using", "sysbus"],
        ["mach", "create", f'"{board.name}"'],
        ["machine", "LoadPlatformDescription", where],
    ]
    assert orders[-2:] == [
        ["sysbus", "LoadELF", "@/x/firmware.elf"],
        ["cpu", "VectorTableOffset", f"0x{(board.vectors or board.flash).origin:08X}"],
    ]


@each_of_all
def test_a_tick_is_as_many_instructions_as_the_board_says(board: Board) -> None:
    entry = entry_of(board)
    orders = {" ".join(order[:2]): order[2:] for order in commands(board)}
    mips = int(orders["cpu PerformanceInMips"][0])
    if entry.in_tree:
        frequency = int(orders["nvic Frequency"][0])
    else:
        frequency = platform_of(board)["nvic"].parameters["systickFrequency"]
    assert frequency == board.clock_hz
    assert mips * 1_000_000 / (entry.counter_hz or frequency) == pytest.approx(entry.instructions_per_tick)
    if board in BOARDS:  # at the board's own clock Renode's SysTick advances in steps, and equal runs differ
        assert mips == 1000
    qemu = board.emulators.get("qemu")
    if qemu is not None and not entry.in_tree:  # one nanosecond an instruction on both
        assert qemu.instructions_per_tick == entry.instructions_per_tick


@each_of_all
@pytest.mark.parametrize("port", [None, 4321], ids=["terminal", "port"])
def test_the_command_line_has_options_and_orders_that_renode_knows(
    board: Board, port: int | None, tmp_path: Path
) -> None:
    renode = Renode()
    renode.__dict__["program"] = Path("/somewhere/renode")
    command = renode.command(tmp_path, board, port)
    assert {option.removeprefix("--") for option in command if option.startswith("--")} <= set(NAMES["options"])
    orders = [word for flag, word in itertools.pairwise(command) if flag == "-e"]
    assert orders[:2] == [f"$elf=@{tmp_path}/firmware.elf", f"include @{tmp_path}/{board.name}.resc"]
    assert f"connector Connect sysbus.{entry_of(board).uart} serial" in orders
    # Nothing listens: Renode's monitor and its socket terminal would, on all interfaces.
    assert "--console" in command and not {"--port", "-P", "--server-mode", "--robot-server-port"} & set(command)
    assert any("ServerSocket" in order for order in orders) is (port is not None)
    for order in orders:
        if match := re.match(r"(emulation|connector) (\w+)", order):
            assert match[2] in NAMES["monitor"][match[1]]


def changed(**more: Any) -> Board:
    board = load_board("mps2_an386")
    entry = {**board.emulators["renode"].model_dump(), **more}
    return board.replace(emulators={"renode": {k: v for k, v in entry.items() if v is not None}})


def test_an_entry_that_cannot_be_is_an_error() -> None:
    for more, says in (
        ({"uart": None}, "uart"),
        ({"colour": "red"}, "colour"),
        ({"mips": 25}, "is 40, and 25 MIPS at 25,000,000 Hz are 1 instructions a tick"),
        ({"cpu": None}, "cpu"),
        ({"platform": "platforms/cpus/stm32f4.repl"}, "cpu"),
    ):
        with pytest.raises(ValueError, match=says):
            changed(**more)
    with pytest.raises(ThimbleError, match="does not emulate"):
        entry_of(load_board("mps2_an386").replace(emulators={}))


def test_files_that_are_not_current_are_told_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for template in FOLDER.glob("*.in"):
        (tmp_path / template.name).write_bytes(template.read_bytes())
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    assert main(["renode", "files", "--check"]) == 1
    assert "mps2_an386.repl" in capsys.readouterr().out
    assert not (tmp_path / "mps2_an386.repl").exists()
    assert main(["renode", "files"]) == 0
    assert main(["renode", "files", "--check"]) == 0
    assert (tmp_path / "mps2_an386.resc").read_bytes() == (FOLDER / "mps2_an386.resc").read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "uart0 UART.PL011 @ sysbus 0x10",
        "uart0: UART.PL011 @ sysbus 0x10\n  frequency: 1",
        "uart0: UART.PL011 @ sysbus 0x10\n    frequency 1",
        "uart0: UART.PL011 @ sysbus 0x10\n    frequency: 0y1",
        "uart0: UART.PL011 @ sysbus 0x10\n    IRQ -> nvic",
        "uart0: UART.PL011 @ sysbus 0x10\nuart0: UART.PL011 @ sysbus 0x20",
        "uart0: UART.PL011 @ sysbus 0x10\n    frequency: 1\n    frequency: 2",
        "uart0: UART.PL011 @ {\n    sysbus 0x10",
        "uart0: UART.PL011 @ { sysbus new Bus.X { address } }",
        "    frequency: 1",
        "uart0: UART.PL011 @ sysbus 0x10\n\tfrequency: 1",
    ],
)
def test_a_platform_with_other_syntax_is_refused(text: str) -> None:
    with pytest.raises(SyntaxProblem):
        entries_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "sysbus LoadELF $nothing",
        "runMacro $nothing",
        'macro reset\n"""\nsysbus LoadELF @x',
        "macro reset\nsysbus LoadELF @x",
        "LoadELF",
        "sysbus  LoadELF @x",
        "$name=",
    ],
)
def test_a_script_with_other_syntax_is_refused(text: str) -> None:
    with pytest.raises(SyntaxProblem):
        commands_of(text, {})


@pytest.mark.skipif(find_renode() is None, reason="Renode is not installed; `nox -s renode` fetches it")
@each_board
def test_renode_itself_loads_the_platform(board: Board, tmp_path: Path) -> None:
    where = entry_of(board).platform
    if not entry_of(board).in_tree:
        (tmp_path / where).write_bytes((FOLDER / where).read_bytes())
        where = f"{tmp_path}/{where}"
    order = f"mach create; machine LoadPlatformDescription @{where}; quit"
    command = [str(Renode().program), "--plain", "--console", "--disable-gui", "-e", order]
    result = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert result.returncode == 0
    assert b"There was an error executing command" not in result.stdout + result.stderr  # the monitor's words
