"""The ring between the receiving interrupt and the application, compiled for the host, against a list."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import tools
from pipeline.resources import ROOT

BYTES, LOST = 256, 0xFF
Operation = tuple[str, int]

operations = st.lists(
    st.one_of(
        st.tuples(st.just("K"), st.integers(0, 255)),
        st.tuples(st.sampled_from("LT"), st.just(0)),
        # Runs fill and empty it, which single steps seldom do.
        st.tuples(st.sampled_from(("K" * 300, "T" * 300, "T")), st.integers(0, 255)),
    ),
    max_size=60,
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ring") / "ring"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsanitize=address,undefined"]
    include = f"-I{ROOT / 'firmware_templates/boards/cortex_m'}"
    source = Path(__file__).with_name("receive_ring_ops.c")
    subprocess.run([tools.require("gcc"), *flags, include, "-o", out, source], check=True)
    return out


def expected(steps: list[Operation]) -> tuple[list[int], int]:
    """What is taken, and how many bytes find no room."""
    kept: list[int] = []
    taken: list[int] = []
    refused = 0
    for operation, byte in steps:
        if operation == "K":
            if len(kept) > BYTES - 3:
                refused += 1
            else:
                kept.append(min(byte, LOST - 1))
        elif operation == "L":
            if not kept or kept[-1] != LOST:
                kept.append(LOST)
        elif kept:
            taken.append(kept.pop(0))
    return taken, refused


@settings(max_examples=300, deadline=None)
@given(operations)
@example([("K" * 300, 10), ("L", 0), ("L", 0), ("T", 0), ("L", 0), ("K", 10), ("T" * 300, 0)])
def test_no_kept_byte_is_ever_lost(program: Path, runs: list[Operation]) -> None:
    steps = [(letter, byte) for letters, byte in runs for letter in letters]
    data = b"".join(letter.encode() + (bytes([byte]) if letter == "K" else b"") for letter, byte in steps)
    done = subprocess.run([program], input=data, capture_output=True, check=True)
    taken, refused = expected(steps)
    assert list(done.stdout) == taken
    assert len(done.stderr) == refused


def test_every_driver_asks_for_room_before_it_takes_a_byte() -> None:
    drivers = sorted((ROOT / "firmware_templates/boards").glob("*/uart.c"))
    assert len(drivers) >= 6
    for driver in drivers:
        handler = driver.read_text().partition("void uart_handler(void)\n{")[2].partition("\n}\n")[0]
        assert "receive_has_room()" in handler.partition("receive_keep(")[0], driver
