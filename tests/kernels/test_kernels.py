"""The kernels' fast bodies on emulated cores: equal to the plain C bodies, within the expected number of
instructions."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.bench.machine import DEVICE
from pipeline.compiler.encodings.block_sparse import PLACES
from pipeline.compiler.encodings.choose import candidate_encodings
from pipeline.compiler.product import Product
from pipeline.targets.cores import packing_of_core
from pipeline.tools import require
from pipeline.verification.host_engine import RUNTIME
from tests.kernels.builds import LINK_SCRIPT, plain_names

pytestmark = pytest.mark.slow

HARNESS = Path(__file__).parent / "on_board"


@dataclass(frozen=True)
class Core:
    """An emulated machine: compiler flags, where code and RAM lie, and instructions a tick of SysTick, as C."""

    machine: str
    flags: tuple[str, ...]
    code: int = 0
    ram: int = 0x20000000
    instructions_per_tick: str = "40"


CORES = {
    "m3": Core("mps2-an385", ("-mcpu=cortex-m3",)),
    "m4": Core("mps2-an386", ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")),
    "m7": Core("mps2-an500", ("-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16")),
    "m33": Core(
        "mps2-an505", ("-mcpu=cortex-m33", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"), 0x10000000, 0x38000000, "50"
    ),
    "m55": Core("mps3-an547", ("-mcpu=cortex-m55", "-mfloat-abi=hard"), 0x10000000, 0x30000000, "125 / 4"),
}
PROGRAMS = {
    "fully_connected": ("fully_connected_pairs", "fully_connected_quads"),
    "fully_connected_rows": ("fully_connected_rows",),
    "blocks": ("fully_connected_blocks4", "fully_connected_blocks8"),
    "nibbles": ("fully_connected_nibbles",),
    "picked": ("fully_connected_picked",),
    "attention": ("attention_pairs", "attention_rows"),
    "embedding": ("embedding_pairs", "embedding_quads", "embedding_rows"),
    "int16": (
        *("fully_connected_s16", "fully_connected_rows_s16", "attention_s16"),
        *("add_s16", "mul_s16", "scale_s16", "root_s16"),
    ),
    "elementwise": ("widen", "add", "mul", "table", "norm", "gate", "sum", "rotary", "rotary_moved"),
}
KERNELS = [(program, kernel) for program, kernels in PROGRAMS.items() for kernel in kernels]
LIMITS = {
    **{
        (core, "fully_connected_pairs", depth): limit
        for core in ("m4", "m7", "m33")
        for depth, limit in {48: 1.03, 64: 0.97, 96: 0.9, 128: 0.87, 172: 0.85, 192: 0.84}.items()
    },
    **{
        (core, "fully_connected_pairs_block", depth): limit
        for core in ("m4", "m7", "m33")
        for depth, limit in {48: 0.85, 64: 0.8, 96: 0.75, 128: 0.72, 172: 0.7, 192: 0.7}.items()
    },
    **{
        ("m3", "fully_connected_quads", depth): limit
        for depth, limit in {48: 2.0, 64: 1.91, 96: 1.82, 128: 1.77, 172: 1.74, 192: 1.72}.items()
    },
    **{
        ("m3", "fully_connected_quads_block", depth): limit
        for depth, limit in {48: 1.75, 64: 1.67, 96: 1.58, 128: 1.54, 172: 1.51, 192: 1.5}.items()
    },
    **{
        (core, name, depth): limit
        for core in ("m4", "m7", "m33", "m55")
        for name, limits in {
            "blocks4_half": (0.62, 0.56, 0.53, 0.51),
            "blocks4_quarter": (0.39, 0.34, 0.31, 0.28),
            "blocks8_half": (0.58, 0.53, 0.5, 0.48),
            "blocks8_quarter": (0.38, 0.32, 0.29, 0.27),
        }.items()
        for depth, limit in zip((64, 96, 128, 192), limits, strict=True)
    },
    **{
        (core, "fully_connected_nibbles", depth): limit
        for core in ("m4", "m7", "m33", "m55")
        for depth, limit in {48: 1.17, 64: 1.11, 96: 1.04, 128: 1.01, 172: 0.985, 192: 0.975}.items()
    },
    **{
        (core, name, depth): limit
        for core in ("m4", "m7", "m33")
        for name, limits in {"picked_1": (1.34, 1.2, 1.03, 0.92), "picked_2": (2.04, 1.83, 1.73, 1.63)}.items()
        for depth, limit in zip((64, 96, 128, 192), limits, strict=True)
    },
    ("m4", "widen_blocks", 128): 4,
    ("m4", "widen_picked_1", 128): 7,
    ("m4", "widen_picked_2", 128): 7,
    ("m3", "attention_pairs", 32): 5,
    ("m4", "attention_pairs", 32): 1.9,
    ("m4", "fully_connected_s16", 64): 1.4,
    ("m4", "fully_connected_s16", 128): 1.25,
    ("m4", "fully_connected_s16", 172): 1.25,
    **{
        (core, "fully_connected_rows_s16", depth): limit
        for core, limits in {"m3": (2.85, 2.75, 2.56, 2.52), "m55": (0.44, 0.41, 0.36, 0.36)}.items()
        for depth, limit in zip((48, 64, 128, 172), limits, strict=True)
    },
    ("m4", "attention_s16", 128): 4.2,
    ("m4", "add_s16", 128): 25,
    ("m4", "mul_s16", 128): 16,
    ("m4", "root_s16", 1): 60,
    ("m3", "embedding_quads", 64): 19.5,
    ("m4", "embedding_pairs", 64): 9.4,
    ("m55", "embedding_rows", 64): 2.9,
    ("m4", "add", 128): 30,
    ("m4", "mul", 128): 30,
    ("m4", "table", 128): 10,
    ("m4", "widen", 128): 2.8,
    ("m4", "norm", 128): 12.6,
    ("m4", "gate", 128): 12.3,
    ("m4", "sum", 128): 14.3,
    ("m4", "rotary", 128): 12.7,
    ("m55", "fully_connected_rows", 48): 0.24,
    ("m55", "fully_connected_rows", 64): 0.21,
    ("m55", "fully_connected_rows", 96): 0.18,
    ("m55", "fully_connected_rows", 128): 0.185,
    ("m55", "fully_connected_rows", 172): 0.225,
    ("m55", "fully_connected_rows", 192): 0.185,
    ("m55", "fully_connected_rows_block", 48): 0.2,
    ("m55", "fully_connected_rows_block", 64): 0.19,
    ("m55", "fully_connected_rows_block", 96): 0.18,
    ("m55", "fully_connected_rows_block", 128): 0.175,
    ("m55", "fully_connected_rows_block", 172): 0.205,
    ("m55", "fully_connected_rows_block", 192): 0.17,
    ("m55", "attention_rows", 32): 0.75,
    ("m55", "add", 128): 7,
    ("m55", "mul", 128): 4.2,
    ("m55", "table", 128): 1.2,
    ("m55", "norm", 128): 3.7,
    ("m55", "gate", 128): 3.5,
    ("m55", "rotary", 128): 6.2,
}
"""Instructions for each of columns × rows, at most."""
_FLAGS = ("-mthumb", "-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-ffunction-sections")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("board")


@cache
def printed(core_name: str, program: str, folder: Path) -> list[str]:
    """What the program prints on the core."""
    core = CORES[core_name]
    folder = folder / core_name
    folder.mkdir(exist_ok=True)
    objects = [_compiled(core, source, folder) for source in (HARNESS / "harness.c", HARNESS / f"{program}.c")]
    for source in sorted((RUNTIME / "kernels").glob("*.c")):
        objects += [_compiled(core, source, folder), _plain(core, source, folder)]
    script, image = folder / "harness.ld", folder / f"{program}.elf"
    script.write_text(LINK_SCRIPT.format(code=core.code, ram=core.ram))
    flags = [*core.flags, *_FLAGS, "-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", f"-T{script}"]
    subprocess.run([require("arm-none-eabi-gcc"), *flags, *objects, "-o", image], check=True)
    return _printed_by(core, image)


def _printed_by(core: Core, image: Path) -> list[str]:
    command: list[str | Path] = [
        *(require("qemu-system-arm"), "-M", core.machine, "-nographic", "-monitor", "none", "-serial", "none"),
        *("-icount", "shift=0,sleep=off", "-semihosting-config", "enable=on,target=native", "-kernel", image),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines[-1:] == ["END"], lines
    return lines


def _compiled(core: Core, source: Path, folder: Path, *flags: str, name: str = "") -> Path:
    object_file = folder / f"{name or source.stem}.o"
    if not object_file.exists():
        options = [*core.flags, *_FLAGS, *_defines(core), *flags]
        subprocess.run([require("arm-none-eabi-gcc"), *options, "-c", source, "-o", object_file], check=True)
    return object_file


def _defines(core: Core) -> list[str]:
    """What harness.c wants, and where headers are."""
    defines = (f"-DINSTRUCTIONS_PER_TICK={core.instructions_per_tick}", f"-DSTACK_TOP={core.ram + (1 << 18)}")
    return [*defines, f"-I{RUNTIME}", f"-I{RUNTIME / 'kernels'}", f"-I{DEVICE}"]


def _plain(core: Core, source: Path, folder: Path) -> Path:
    """The plain bodies: every function of the kernels' headers under a name of its own."""
    return _compiled(core, source, folder, "-DTHIMBLE_PLAIN_C", *plain_names(), name=f"plain_{source.stem}")


@pytest.mark.variants(keep=16)
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(("program", "kernel"), KERNELS)
def test_fast_bodies_equal_the_plain_ones(folder: Path, core: str, program: str, kernel: str) -> None:
    lines = printed(core, program, folder)
    matches = [re.fullmatch(rf"KERNEL {kernel} cases (\d+) different (\d+)", line) for line in lines]
    (match,) = [candidate for candidate in matches if candidate]
    assert int(match[1]) >= 300
    assert int(match[2]) == 0


@pytest.mark.variants(keep=2)
@pytest.mark.parametrize(("offset", "shift"), [(0, 0), (1, 0), (128, 7), (-127, 3)])
@pytest.mark.parametrize("core", ["m3", "m4", "m55"])
def test_linked_with_constants(folder: Path, core: str, offset: int, shift: int) -> None:
    """Where a compiler knows that operands of assembler are equal, as offsets and sums of 0, they stay apart."""
    core_folder = folder / core
    core_folder.mkdir(exist_ok=True)
    kernels = sorted((RUNTIME / "kernels").glob("*.c"))
    plain = [_plain(CORES[core], source, core_folder) for source in kernels]
    script, image = core_folder / "harness.ld", core_folder / "constants.elf"
    script.write_text(LINK_SCRIPT.format(code=CORES[core].code, ram=CORES[core].ram))
    flags = [
        *CORES[core].flags,
        *_FLAGS,
        "-flto",
        "-nostartfiles",
        "--specs=nano.specs",
        "-Wl,--gc-sections",
        f"-T{script}",
    ]
    defines = [*_defines(CORES[core]), f"-DOFFSET={offset}", f"-DSHIFT={shift}"]
    sources = [HARNESS / "harness.c", HARNESS / "constants.c", *kernels]
    subprocess.run([require("arm-none-eabi-gcc"), *flags, *defines, *sources, *plain, "-o", image], check=True)
    lines = _printed_by(CORES[core], image)
    assert "KERNEL constants cases 16 different 0" in lines


@pytest.mark.parametrize("core", ["m3", "m4", "m55"])
def test_what_the_compiler_counts_is_what_a_board_counts(folder: Path, core: str) -> None:
    """Of 64 rows with every second or fourth block kept; plain weights too."""
    packing = packing_of_core(f"cortex-{core}")
    counts = {}
    for program in ("blocks", "nibbles", "picked", "fully_connected", "fully_connected_rows"):
        for line in printed(core, program, folder):
            match = re.fullmatch(r"COUNT (\w+) (\d+) (\d+) (\d+)", line)
            if match:
                counts[match[1], int(match[2])] = int(match[4])
    for depth in (64, 96, 128, 192):
        expected = {
            f"fully_connected_{packing}": candidate_encodings(_strided_blocks(depth, 4, 1), packing)[0].instructions
        }
        for columns in PLACES:
            for name, part in {"half": 2, "quarter": 4}.items():
                by_name = {
                    form.name: form for form in candidate_encodings(_strided_blocks(depth, columns, part), packing)
                }
                expected[f"blocks{columns}_{name}"] = by_name[f"blocks{columns}"].instructions
        by_name = {form.name: form for form in candidate_encodings(_strided_blocks(depth, 4, 1), packing)}
        expected["fully_connected_nibbles"] = by_name["nibbles"].instructions
        for nonzeros in (1, 2):
            weights = np.tile(np.array([1, nonzeros - 1, 0, 0], np.int8), (64, depth // 4))
            expected[f"picked_{nonzeros}"] = candidate_encodings(_product(weights), packing)[-1].instructions
        for name, instructions in expected.items():
            assert counts[name, depth] == pytest.approx(instructions, rel=0.1), (name, depth)


def _strided_blocks(depth: int, columns: int, part: int) -> Product:
    weights = np.zeros((64, depth), np.int8)
    weights[:, np.arange(depth) // columns % part == 0] = 1
    return _product(weights)


def _product(weights: NDArray[np.int8]) -> Product:
    return Product(weights, None, np.full(64, 1 << 30, np.int32), np.full(64, 8, np.int64))


@pytest.mark.parametrize("core", sorted({core for core, _, _ in LIMITS}))
def test_instructions(folder: Path, core: str) -> None:
    counts = {}
    for program in PROGRAMS:
        for line in printed(core, program, folder):
            match = re.fullmatch(r"COUNT (\w+) (\d+) (\d+) (\d+)", line)
            if match:
                counts[core, match[1], int(match[2])] = int(match[4]) / (int(match[2]) * int(match[3]))
    print({f"{name} {columns}": round(count, 3) for (_, name, columns), count in counts.items()})
    beyond = {key: round(counts[key], 3) for key, limit in LIMITS.items() if key[0] == core and counts[key] > limit}
    assert not beyond
