"""Faults are reported on the UART by name."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.errors import DeviceError, ThimbleError
from pipeline.firmware.build import Firmware
from pipeline.targets.boards import Board

FAULT = re.compile(
    r"FAULT (\S+) pc=([0-9a-f]{8}) lr=([0-9a-f]{8}) sp=([0-9a-f]{8}) cfsr=([0-9a-f]{8}) hfsr=[0-9a-f]{8} "
    r"address=([0-9a-f]{8})"
)


def fault(device: Device, how: str) -> re.Match[str]:
    with pytest.raises(DeviceError) as caught:
        device.request(f"CRASH {how}")
    assert caught.value.code == "fault"
    match = FAULT.fullmatch(caught.value.text)
    assert match, caught.value.text
    return match


def function_at(elf: Path, address: int) -> str:
    """The function whose code holds the address."""
    tool = str(tools.require("arm-none-eabi-gcc")).replace("gcc", "addr2line")
    done = subprocess.run([tool, "-f", "-e", elf, hex(address)], capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0]


def test_an_access_to_nothing(test_device: Device, test_firmware: Firmware) -> None:
    report = fault(test_device, "bus")
    assert (report[1], report[6]) == ("bus", "f0f00000")
    assert function_at(test_firmware.elf, int(report[2], 16)) in ("crash", "main")


def test_an_undefined_instruction(test_device: Device, test_firmware: Firmware) -> None:
    report = fault(test_device, "undefined")
    assert report[1] == "usage"
    assert int(report[5], 16) & 1 << 16, "UNDEFINSTR"
    assert function_at(test_firmware.elf, int(report[2], 16)) in ("crash", "main")


def test_a_stack_overflow_is_caught_before_it_overwrites_anything(test_device: Device, board: Board) -> None:
    report = fault(test_device, "stack")
    assert report[1] == "stack-overflow"
    assert int(report[4], 16) < board.ram.origin


def test_after_a_fault_the_board_is_silent_and_the_host_says_so(test_firmware: Firmware, board: Board) -> None:
    with Device(Qemu().start(test_firmware.elf, board), timeout=1) as device:
        fault(device, "bus")
        with pytest.raises(ThimbleError, match=r"gave no line for 1 s; last it said: .*FAULT bus"):
            device.info()


def test_an_unknown_crash_is_refused(test_device: Device) -> None:
    with pytest.raises(DeviceError, match="malformed"):
        test_device.request("CRASH politely")
