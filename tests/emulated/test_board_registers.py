"""What the code of boards that QEMU does not have writes into their registers: clocks, pins and the UART's speed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.firmware.project import write_board
from pipeline.targets.boards import Board, load_board

HERE = Path(__file__).parent / "board_on_host"
FLAGS = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-int-to-pointer-cast")


@dataclass(frozen=True)
class Written:
    """The bytes by address, and the clocks that the board's code gives."""

    core_hz: int
    uart_hz: int
    memory: dict[int, int]

    def word(self, address: int, size: int = 4) -> int:
        return sum(self.memory.get(address + i, 0) << 8 * i for i in range(size))


def written(board: Board, folder: Path, clocks: bool = True, before: dict[int, int] | None = None) -> Written:
    write_board(board, folder, board.stack_bytes)
    sources = [folder / name for name in ("clock.c", "uart.c") if (folder / name).exists()]
    (folder / "cortex_m.h").write_text((HERE / "cortex_m.h").read_text())
    text = (folder / "uart.c").read_text()
    (folder / "uart.c").write_text(text.replace('__asm volatile("cpsie i" ::: "memory");', ""))
    program = folder / "program"
    command = [str(tools.require("gcc")), *FLAGS, "-I", str(folder), "-o", str(program)]
    subprocess.run([*command, str(HERE / "main.c"), *map(str, sources)], check=True)
    presets = [f"{address:x}={value:x}" for address, value in (before or {}).items()]
    lines = subprocess.run(
        [program, "clocks" if clocks else "no-clocks", *presets], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    core_hz, uart_hz = map(int, lines[0].split())
    return Written(core_hz, uart_hz, {int(a, 16): int(b, 16) for a, b in (line.split() for line in lines[1:])})


def test_a_pin_of_port_1_is_set_there(tmp_path: Path) -> None:
    """Arduino Nano 33 BLE: TX is P1.03, RX is P1.10 (nRF52840 product specification 1.7, 6.9.2 and 6.34)."""
    chip = written(load_board("arduino_nano_33_ble"), tmp_path)
    assert chip.word(0x50000808) == chip.word(0x50000818) == 1 << 3  # OUTSET and DIRSET of P1
    assert chip.word(0x50000A00 + 4 * 10) == 0xC  # PIN_CNF[10] of P1
    assert not any(0x50000500 <= address < 0x50000800 for address in chip.memory), "nothing of P0"
    assert (chip.word(0x4000250C), chip.word(0x40002514)) == (1 << 5 | 3, 1 << 5 | 10)  # PSEL: port, pin
    assert chip.word(0xE000E180) == chip.word(0xE000E184) == 0xFFFFFFFF


def test_a_pin_of_port_0_is_set_there(tmp_path: Path) -> None:
    chip = written(load_board("nrf52840dk"), tmp_path)
    assert chip.word(0x50000508) == chip.word(0x50000518) == 1 << 6
    assert chip.word(0x50000700 + 4 * 8) == 0xC
    assert (chip.word(0x4000250C), chip.word(0x40002514)) == (6, 8)


@pytest.mark.parametrize(
    ("chip", "tx", "rx", "says"),
    [
        ("NRF52840", "48u", "8u", "TX_PIN is no pin"),
        ("NRF52840", "35u", "35u", "needs two pins"),
        ("NRF52833", "35u", "42u", "RX_PIN is no pin"),
        ("NRF52832", "6u", "32u", "RX_PIN is no pin"),
        ("NRF51822", "35u", "8u", "TX_PIN is no pin"),
        ("NRF5340", "6u", "8u", "names no chip"),
    ],
)
def test_what_is_no_pin_does_not_compile(tmp_path: Path, chip: str, tx: str, rx: str, says: str) -> None:
    board = load_board("nrf52840dk")
    write_board(board, tmp_path, board.stack_bytes)
    pins = f"#define {chip}\n#define BOARD_UART_TX_PIN {tx}\n#define BOARD_UART_RX_PIN {rx}\n"
    (tmp_path / "pins.h").write_text(pins)
    command = [str(tools.require("arm-none-eabi-gcc")), *board.flags, "-c", "uart.c", "-o", "uart.o"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode and says in result.stderr


def test_the_clocks_and_pins_of_the_nucleo_wba52cg(tmp_path: Path) -> None:
    """RM0493: PLL1CFGR, PLL1DIVR, FLASH_ACR; USART1 is alternate function 7 of PB12 and PA8."""
    board = load_board("nucleo_wba52cg")
    chip = written(board, tmp_path)
    pll, dividers = chip.word(0x46020C28), chip.word(0x46020C34)
    assert pll & 3 == 3 and pll >> 18 & 1, "from the crystal, output R on"
    reference = 32e6 / ((pll >> 8 & 7) + 1)
    assert 4e6 <= reference <= 8e6 and pll >> 2 & 3 == 0
    oscillator = reference * ((dividers & 511) + 1)
    assert 128e6 <= oscillator <= 544e6
    assert oscillator / ((dividers >> 24 & 127) + 1) == board.clock_hz == chip.core_hz == chip.uart_hz
    assert chip.word(0x46020C1C) == 3
    assert {4: 2, 5: 3, 6: 4, 7: 6}[chip.word(0x46020E00) & 7] >= board.clock_hz / 32e6, "the radio's bus"
    assert chip.word(0x40022000) & 15 == board.timing.flash.wait_states
    assert chip.word(0x42020400) >> 24 & 3 == 2 and chip.word(0x42020424) >> 16 & 15 == 7  # PB12
    assert chip.word(0x42020000) >> 16 & 3 == 2 and chip.word(0x42020024) & 15 == 7  # PA8
    assert chip.uart_hz / chip.word(0x4001380C) == pytest.approx(115200, rel=0.005)
    slow = written(board, tmp_path, clocks=False)
    assert slow.core_hz == slow.uart_hz == 16_000_000 and slow.word(0x46020C1C) == 0
    assert slow.uart_hz / slow.word(0x4001380C) == pytest.approx(115200, rel=0.01)


def test_the_clocks_and_the_uart_of_the_ck_ra6m5(tmp_path: Path) -> None:
    """R01UH0891: PLLCCR, SCKDIVCR with the limits of each clock, BRR and MDDR, IELSR, PmnPFS."""
    board = load_board("ck_ra6m5")
    chip = written(board, tmp_path, before={0x4001E03C: 0x28})  # crystal and PLL are stable
    pll = chip.word(0x4001E028, 2)
    assert pll & 1 << 4 == 0, "from the crystal"
    oscillator = 24e6 / ((pll & 3) + 1) * ((pll >> 8 & 63) + 1) / 2
    assert oscillator == board.clock_hz == chip.core_hz
    limits = {24: 200e6, 16: 100e6, 12: 100e6, 8: 50e6, 4: 50e6, 0: 100e6, 28: 50e6}
    divisors = chip.word(0x4001E020)
    assert all(oscillator / 2 ** (divisors >> shift & 7) <= limit for shift, limit in limits.items())
    assert oscillator / 2 ** (divisors >> 12 & 7) == chip.uart_hz  # PCLKA
    assert chip.word(0x4001C11C, 1) == board.timing.flash.wait_states == 3
    assert chip.word(0x4001E026, 1) == 5

    def baud(of: Written) -> float:
        assert of.word(0x40118007, 1) == 0x44 and of.word(0x40118012, 1) >= 128
        return of.uart_hz * of.word(0x40118012, 1) / 256 / 16 / (of.word(0x40118001, 1) + 1)

    assert baud(chip) == pytest.approx(115200, rel=0.01)
    assert chip.word(0x40118002, 1) == 0x70
    assert (chip.word(0x40006300 + 4 * board.uart.rx_irq), chip.word(0x40006300)) == (0x180, 0x183)
    for pin in (10, 11):
        assert chip.word(0x40080800 + 0x40 * 4 + 4 * pin) == 4 << 24 | 1 << 16
    slow = written(board, tmp_path, clocks=False)
    assert slow.core_hz == slow.uart_hz == 8_000_000
    assert baud(slow) == pytest.approx(115200, rel=0.01)


def test_the_clocks_and_the_uart_of_the_max32652(tmp_path: Path) -> None:
    """MAX32650-MAX32652 user guide: CLK_CTRL, UART BAUD0 and BAUD1; UART0 is the first function of P2.11 and P2.12."""
    board = load_board("max32652_evkit")
    chip = written(board, tmp_path)
    assert chip.word(0x40000008) >> 9 & 7 == 4 and chip.core_hz == 2 * chip.uart_hz == 120_000_000
    assert chip.word(0x4000A008) == chip.word(0x4000A070) == 3 << 11

    def baud(of: Written) -> float:
        whole, fraction = of.word(0x40042014), of.word(0x40042018)
        assert whole >> 16 == 4 and fraction < 128
        return of.uart_hz / 8 / ((whole & 0xFFF) + fraction / 128)

    assert baud(chip) == pytest.approx(115200, rel=0.005)
    assert chip.word(0x40042000) == 0x301
    slow = written(board, tmp_path, clocks=False)
    assert slow.word(0x40000008) >> 9 & 7 == 0 and slow.core_hz == 50_000_000
    assert baud(slow) == pytest.approx(115200, rel=0.005)
