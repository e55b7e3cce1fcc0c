"""Faults are reported on the UART by name."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

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


def places_of(firmware: Firmware) -> dict[str, int]:
    """Addresses of an image's symbols."""
    with firmware.elf.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        return {symbol.name: int(symbol["st_value"]) for symbol in symbols.iter_symbols()}


ARENA, CACHE = 300, 4  # of the stand-in
GUARDED = {
    "below the stack": ("stack", "stack_bottom", 3),
    "above the stack": ("stack", "stack_top", 12),
    "before the arena": ("arena", "model_memory", 15),
    "behind the arena": ("arena", "model_memory", 16 + ARENA),
    "before the cache": ("arena", "model_memory", 16 + ARENA + 15),
    "behind the cache": ("cache", "model_memory", 32 + ARENA + CACHE),
    "at the end of RAM that is used": ("cache", "ram_end", -1),
}


@pytest.mark.parametrize("name", GUARDED)
def test_what_writes_around_the_stack_the_arena_or_the_cache_ends_in_a_fault(
    name: str, test_firmware: Firmware, board: Board
) -> None:
    kind, symbol, offset = GUARDED[name]
    address = places_of(test_firmware)[symbol] + offset
    link = Qemu().start(test_firmware.elf, board)
    with Device(link, timeout=10) as device:
        device.generate([5, 6], 3)
        link.send_line(f"CRASH poke {address}")
        told = ""
        while not told.startswith("FAULT "):
            told = link.read_line(10)
        match = FAULT.fullmatch(told)
        assert match and match[1] == f"{kind}-overwritten"
        assert address - 3 <= int(match[6], 16) <= address, "the stack's are words"


def test_a_byte_inside_of_them_is_no_fault(test_firmware: Firmware, board: Board) -> None:
    """The test's own means: it changes what it is told to, and guards are all that is looked at."""
    places = places_of(test_firmware)
    with Device(Qemu().start(test_firmware.elf, board), timeout=10) as device:
        for address in (places["stack_bottom"] + 16, places["model_memory"] + 16, places["model_memory"] + 32 + ARENA):
            with pytest.raises(DeviceError, match="a byte was changed"):
                device.request(f"CRASH poke {address}")
        assert device.stack()[0] > 4000, "the peak is where the paint is gone"


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
    link = Qemu().start(test_firmware.elf, board)
    with Device(link, timeout=20) as device:
        fault(device, "bus")
        link.send_line("INFO")
        with pytest.raises(ThimbleError, match=r"gave no line for 1 s; last it said: .*FAULT bus"):
            link.read_line(1)


def test_an_unknown_crash_is_refused(test_device: Device) -> None:
    with pytest.raises(DeviceError, match="malformed"):
        test_device.request("CRASH politely")


def checked(device: Device) -> tuple[int, int]:
    """Bytes of the image that were compared in idle time, and all of them."""
    words = dict(word.split("=") for word in device.request("CHECK")[-1].split()[1:])
    return int(words["checked"]), int(words["of"])


def test_the_image_is_compared_in_idle_time_and_requests_wait_for_no_more_than_a_part(
    test_firmware: Firmware, board: Board
) -> None:
    with Device(Qemu().start(test_firmware.elf, board), timeout=20) as device:
        before = device.info()
        done, size = checked(device)
        assert done == size, "INFO has just compared all of it"
        seen = [checked(device)[0]]
        while seen[-1] < size:  # what is at work goes on
            seen.append(checked(device)[0])
        assert seen == sorted(seen)
        assert device.generate([5, 6], 3).tokens_out
        assert device.info() == before


@pytest.mark.parametrize("part", ["weights", "code"])
def test_what_breaks_while_a_board_runs_is_found_in_idle_time(part: str, test_firmware: Firmware, board: Board) -> None:
    """The emulated board's flash can be written to."""
    places = places_of(test_firmware)
    address = places["weights_start"] if part == "weights" else places["crash"] & ~1
    with Device(Qemu().start(test_firmware.elf, board), timeout=20) as device:
        with pytest.raises(DeviceError, match="a byte was changed"):
            device.request(f"CRASH poke {address}")
        assert device.generate([5, 6], 3).tokens_out, "nobody has looked"
        checked(device)
        done = size = 1
        while done >= size:  # begun, and not at work yet
            done, size = checked(device)
        while done < size:
            done, size = checked(device)
        with pytest.raises(DeviceError, match="flash does not hold what was built") as refused:
            device.generate([5, 6], 3)
        assert refused.value.code == "image"
        assert device.info().corrupt == (part,)


def test_the_longest_step_is_measured_when_the_board_starts(device: Device) -> None:
    info = device.info()
    steps = [step.ticks for text in ("turn on", "a b c d e f g h i") for step in device.ask(text, 12).steps]
    assert 0 < info.step_ticks <= info.tick_hz
    assert max(steps) <= 1.05 * info.step_ticks + 2, "a tick is 40 instructions"
    assert info.step_ticks <= 2 * max(steps)
