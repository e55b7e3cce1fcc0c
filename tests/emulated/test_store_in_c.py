"""What outlives a loss of power, compiled for the host under sanitizers: the old value or the new one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.resources import ROOT

RUNTIME = ROOT / "firmware_templates" / "runtime"
DRIVER = Path(__file__).parent / "cut_power.c"


def built(folder: Path, source: str | None = None) -> Path:
    """The driver; with another source of the store where one is given."""
    store = RUNTIME / "thimble_store.c"
    if source is not None:
        store = folder / "store.c"
        store.write_text(source)
    flags = ["-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command: list[str | Path] = [tools.require("gcc"), *flags, *sanitizers, "-I", RUNTIME, "-o", folder / "program"]
    done = subprocess.run(
        [*command, store, *RUNTIME.glob("*crc32.c"), DRIVER], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "program"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("store"))


def cut(program: Path, *numbers: int) -> subprocess.CompletedProcess[str]:
    """Pages of so many bytes, so many a slot, bytes a unit, and a seed; an odd one finds flash full of anything."""
    return subprocess.run([program, *map(str, numbers)], capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("numbers", [(64, 1, 1, 0), (64, 3, 4, 7), (128, 2, 8, 1), (256, 1, 32, 4), (64, 2, 16, 9)])
def test_after_a_loss_of_power_it_is_the_old_or_the_new_value(program: Path, numbers: tuple[int, ...]) -> None:
    done = cut(program, *numbers)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.fullmatch(r"(\d+) old, (\d+) new\n", done.stdout)
    assert counts is not None
    # Six values, three ways in which an erasure stops; all but the end of each write leave the old one.
    assert int(counts[1]) > 500 and int(counts[2]) >= 18


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("is_there && slot == 0 ? flash->slot_bytes : 0", "is_there && slot == 0 ? 0 : flash->slot_bytes", "neither"),
        ("word_at(header + VALUE_CRC_AT) == thimble_crc32(", "length + 1 != thimble_crc32(", "not noticed"),
        (".sequence = is_there ? sequence + 1 : 0", ".sequence = 0", "nothing can be written"),
        ("writer->is_good = flash->erase(writer->slot + at)", "writer->is_good = true", "not erased"),
    ],
)
def test_a_store_that_is_wrong_is_found_out(good: str, bad: str, said: str, tmp_path: Path) -> None:
    source = (RUNTIME / "thimble_store.c").read_text()
    assert source.count(good) == 1
    done = cut(built(tmp_path, source.replace(good, bad)), 64, 3, 4, 7)
    assert done.returncode == 1 and said in done.stdout, done.stdout
