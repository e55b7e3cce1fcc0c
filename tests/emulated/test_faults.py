"""Faults are reported on the UART by name."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.device.protocol import STOP, Device
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


def test_a_fault_in_a_thread_with_a_stack_of_its_own(test_device: Device, test_firmware: Firmware) -> None:
    report = fault(test_device, "thread")
    assert report[1] == "usage"
    assert function_at(test_firmware.elf, int(report[2], 16)) in ("crash", "main")
    assert int(report[2], 16) % 2 == 0 and int(report[3], 16), "the frame of the thread's stack is read"


def test_it_starts_whatever_a_boot_loader_left(test_firmware: Firmware, board: Board) -> None:
    link = Qemu().start(test_firmware.elf, board)
    with Device(link, timeout=10) as device:
        before = device.generate([5, 6], 3)
        link.send_line("CRASH restart")  # from a thread with a stack of its own, interrupts off
        assert link.read_line(10) == "READY thimble 1"
        assert device.generate([5, 6], 3).tokens_out == before.tokens_out
        assert device.stack()[0] > 0


def test_masked_interrupts_stay_masked(test_device: Device) -> None:
    with pytest.raises(DeviceError, match="stayed off"):
        test_device.request("CRASH masked")


def test_a_stop_counts_for_the_request_that_has_begun(test_firmware: Firmware, board: Board) -> None:
    link = Qemu().start(test_firmware.elf, board)
    with Device(link, timeout=10) as device:
        whole = device.generate([5, 6], 20)
        assert len(whole.tokens_out) > 2
        for _ in range(3):
            link.send_bytes(STOP)  # of no request
            assert device.generate([5, 6], 20).tokens_out == whole.tokens_out
            link.send_bytes(b"GEN 20 5 " + STOP + b"6\n")  # of this one, before the model is at work
            lines = [link.read_line(10)]
            while not lines[-1].startswith("OK"):
                lines.append(link.read_line(10))
            assert " stopped " in lines[-1]


def test_after_a_fault_the_board_is_silent_and_the_host_says_so(test_firmware: Firmware, board: Board) -> None:
    with Device(Qemu().start(test_firmware.elf, board), timeout=1) as device:
        fault(device, "bus")
        with pytest.raises(ThimbleError, match=r"gave no line for 1 s; last it said: .*FAULT bus"):
            device.info()


def test_an_unknown_crash_is_refused(test_device: Device) -> None:
    with pytest.raises(DeviceError, match="malformed"):
        test_device.request("CRASH politely")
