"""The boards' registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.boards import BOARDS, all_boards, load_board, read_board
from pipeline.errors import ThimbleError
from pipeline.timing.cores import load_core


def test_every_folder_with_a_description_is_a_board() -> None:
    names = [board.name for board in all_boards()]
    assert "mps2_an386" in names
    assert sorted(names) == sorted(path.parent.name for path in BOARDS.glob("*/board.yaml"))


@pytest.mark.parametrize("board", all_boards(), ids=lambda board: board.name)
def test_a_board_is_whole(board: Any) -> None:
    assert all(folder.is_dir() for folder in board.folders)
    files = {path.name for folder in board.folders for path in folder.iterdir()}
    assert files >= {"link.ld", "startup.c", "faults.c", "board.c", "uart.c", "counter.c"}
    assert board.emulators
    for settings in board.emulators.values():
        assert settings["instructions_per_tick"] > 0
    assert board.ram.origin % 2**20 == 0, "the MPU guards the megabyte below"
    assert set(board.summary()) >= {"name", "core", "clock_hz", "flash_bytes", "ram_bytes", "emulators"}


def test_milliseconds_at_the_boards_clock() -> None:
    board = load_board("mps2_an386")
    assert board.milliseconds(250_000, cycles_per_instruction=1.5) == pytest.approx(15.0)
    assert board.milliseconds(250_000) == pytest.approx(10.0 * load_core("cortex-m4").mean.likely)


def test_an_unknown_board_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ThimbleError) as caught:
        load_board("mps9")
    assert "mps9" in caught.value.what
    assert "mps2_an386" in caught.value.remedy


def _without(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda data: _without(data, "uart"), "uart"),
        (lambda data: {**data, "colour": "blue"}, "unknown keys: colour"),
        (lambda data: {**data, "memory": {**data["memory"], "tape": {}}}, "unknown keys: memory.tape"),
        (lambda data: {**data, "clock_hz": "fast"}, "fast"),
        (lambda data: {**data, "uart": {"model": "x"}}, "address"),
        (lambda data: {**data, "timing": {"flash": {"waits": 5}, "source": "a manual"}}, "waits"),
        (lambda data: {**data, "timing": {"flash": {"wait_states": -1}, "source": "a manual"}}, "0 or more"),
        (lambda data: {**data, "timing": {"flash": {}}}, "source"),
        (
            lambda data: {**data, "timing": {**data["timing"], "cycles_per_instruction": 1}},
            "unknown keys: timing.cycles",
        ),
        (lambda data: [], "does not describe a board"),
        (lambda data: {**data, "name": "other"}, "names the board 'other'"),
    ],
)
def test_a_bad_description_is_an_error_that_names_the_file(tmp_path: Path, change: Any, complaint: str) -> None:
    data = yaml.safe_load((BOARDS / "mps2_an386" / "board.yaml").read_text())
    path = tmp_path / "mps2_an386" / "board.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(change(data)))
    with pytest.raises(ThimbleError) as caught:
        read_board(path)
    assert complaint in caught.value.what
    assert str(path) in caught.value.what
