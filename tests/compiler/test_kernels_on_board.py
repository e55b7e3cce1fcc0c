"""The kernels' DSP bodies on an emulated Cortex-M4F: equal to the plain C bodies, in so many instructions."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pipeline.host_engine import RUNTIME
from pipeline.toolchain import require

pytestmark = pytest.mark.slow

HARNESS = Path(__file__).parent / "kernels_on_board.c"
KERNELS = ("fully_connected", "attention", "widen", "add", "mul", "table")
_NEEDED = (*KERNELS, "limit")
_FLAGS = (
    *("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-std=c11", "-O2"),
    *("-Wall", "-Wextra", "-Wconversion", "-Werror"),
)
_LINK = """\
SECTIONS
{
    . = 0;
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) }
    . = 0x20000000;
    .data : { *(.data*) }
    .bss : { *(.bss*) *(COMMON) }
    /DISCARD/ : { *(.ARM.exidx*) }
}
"""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the harness prints."""
    folder = tmp_path_factory.mktemp("board")
    compiler, emulator = require("arm-none-eabi-gcc"), require("qemu-system-arm")
    include = f"-I{RUNTIME / 'kernels'}"
    objects = []
    for source in [HARNESS, *(RUNTIME / "kernels" / f"thimble_{name}_s8.c" for name in _NEEDED)]:
        objects.append(folder / f"{source.stem}.o")
        subprocess.run([compiler, *_FLAGS, include, "-c", source, "-o", objects[-1]], check=True)
        if source is not HARNESS:
            plain = (f"-D{source.stem}=plain_{source.stem}", "-DTHIMBLE_PLAIN_C")
            objects.append(folder / f"plain_{source.stem}.o")
            subprocess.run([compiler, *_FLAGS, *plain, include, "-c", source, "-o", objects[-1]], check=True)
    script, image = folder / "harness.ld", folder / "harness.elf"
    script.write_text(_LINK)
    link = [compiler, *_FLAGS, "-nostartfiles", "--specs=nano.specs", f"-T{script}", *objects, "-o", image]
    subprocess.run(link, check=True)
    command = [
        *(emulator, "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none"),
        *("-icount", "shift=0,sleep=off", "-semihosting-config", "enable=on,target=native", "-kernel", image),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL)
    printed = (done.stdout + done.stderr).splitlines()
    assert printed[-1:] == ["END"], printed
    return printed


@pytest.mark.parametrize("kernel", KERNELS)
def test_dsp_bodies_equal_the_plain_ones(lines: list[str], kernel: str) -> None:
    found = [re.fullmatch(rf"KERNEL {kernel} cases (\d+) different (\d+)", line) for line in lines]
    (match,) = [one for one in found if one]
    assert int(match[1]) >= 300
    assert int(match[2]) == 0


def test_instructions(lines: list[str]) -> None:
    counts = {}
    for line in lines:
        match = re.fullmatch(r"COUNT (\w+) (\d+) (\d+) (\d+)", line)
        if match:
            counts[match[1], int(match[2])] = int(match[4]) / (int(match[2]) * int(match[3]))
    print({f"{name} {width}": round(count, 2) for (name, width), count in counts.items()})
    assert counts["fully_connected", 64] <= 1.5
    assert counts["fully_connected", 128] <= 1.5
    assert counts["add", 128] <= 50
    assert counts["mul", 128] <= 30
    assert counts["table", 128] <= 10
    assert counts["widen", 128] <= 10
