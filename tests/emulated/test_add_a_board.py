"""docs/add-a-board.md, followed to the letter: its board is listed, builds, and runs on QEMU."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.errors import ThimbleError
from pipeline.firmware.build import build_project
from pipeline.firmware.project import write_project
from pipeline.resources import ROOT
from pipeline.targets.boards import all_boards, load_board
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import Tokenizer
from pipeline.timing.costs import load_core
from pipeline.timing.measure import TracedPrompt, check_instructions_per_tick, measure
from pipeline.verification.checks import reference_run, verify
from tests.support.standin import FOLDER, Standin

PAGE = (ROOT / "docs" / "add-a-board.md").read_text(encoding="utf-8")


def write_page_board(folder: Path) -> Path:
    """Writes the files that the page shows, as it names them; the folder of boards."""
    for file_name, kind in re.findall(r"^## \d\. [^\n]*`(\S+/\S+)`\n.*?```(\w+)\n", PAGE, re.MULTILINE | re.DOTALL):
        text = PAGE.split(f"`{file_name}`\n", 1)[1].split(f"```{kind}\n", 1)[1].split("```", 1)[0]
        path = folder / file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's board, named by THIMBLE_BOARDS."""
    monkeypatch.setenv("THIMBLE_BOARDS", str(write_page_board(tmp_path)))
    return tmp_path


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> TracedPrompt:
    """A prompt on the page's board, traced."""
    folder = tmp_path_factory.mktemp("traced")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THIMBLE_BOARDS", str(write_page_board(folder / "boards")))
        board = load_board("weather_station")
        write_project(FOLDER, PlainCodec(tokenizer), board, "stand-in", folder / "project")
        elf = build_project(folder / "project", folder / "build").elf
        return measure(elf, board, load_core(board.core), board.timing.flash, "turn on", 20)


def test_the_page_makes_a_board(boards: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    assert sorted(path.name for path in (boards / "weather_station").iterdir()) == ["board.yaml", "clock.c"]
    board = load_board("weather_station")
    assert board in all_boards() and len(all_boards()) > 10
    write_project(FOLDER, PlainCodec(tokenizer), board, "stand-in", tmp_path / "project")
    firmware = build_project(tmp_path / "project", tmp_path / "build")
    expected = reference_run(Standin(), PlainCodec(tokenizer), 48, "turn on", 20)
    with Device(Qemu().start(firmware.elf, board), timeout=20) as device:
        assert device.info().board == "weather_station"
        per_tick = board.instructions_per_tick("qemu")
        result = verify(device, [expected], macs_per_step=1, instructions_per_tick=per_tick)
    assert result.ok, result.failures


def test_the_pages_count_a_tick_is_right(boards: Path, traced: TracedPrompt) -> None:
    check_instructions_per_tick(load_board("weather_station"), [traced])


@pytest.mark.parametrize("written", [62.5, 8.33, 6.2, 5.8, 1])
def test_a_wrong_count_a_tick_is_refused_with_the_right_one(boards: Path, traced: TracedPrompt, written: float) -> None:
    """The page's own clock would give 1000 / 16 = 62.5; QEMU's machine runs its counter at 168 MHz."""
    path = boards / "weather_station" / "board.yaml"
    text = path.read_text(encoding="utf-8")
    right = re.findall(r"instructions_per_tick: ([\d.]+)", text)[0]
    path.write_text(text.replace(right, str(written)), encoding="utf-8")
    with pytest.raises(ThimbleError, match=f"says {written:g} instructions a tick.*168.0 MHz") as caught:
        check_instructions_per_tick(load_board("weather_station"), [traced])
    advised = re.findall(r"`instructions_per_tick: ([\d.]+)`", caught.value.remedy)[0]
    assert float(advised) == pytest.approx(float(right), rel=1e-6)


def test_it_is_listed(boards: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pipeline", "boards"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "weather_station" in listed


def test_a_change_of_a_file_changes_the_digest(boards: Path) -> None:
    board = load_board("weather_station")
    before = board.digest
    (boards / "weather_station" / "clock.c").write_text("/* nothing */\n")
    assert board.digest != before


def test_a_board_whose_name_is_taken_is_left_out(boards: Path, caplog: pytest.LogCaptureFixture) -> None:
    (boards / "weather_station").rename(boards / "mps2_an386")
    path = boards / "mps2_an386" / "board.yaml"
    path.write_text(path.read_text().replace("weather_station", "mps2_an386"))
    assert load_board("mps2_an386").folder != boards / "mps2_an386"
    assert "two boards are called mps2_an386" in caplog.text


def test_a_folder_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THIMBLE_BOARDS", "/nowhere/at/all")
    with pytest.raises(ThimbleError, match="THIMBLE_BOARDS names no folder"):
        all_boards()


def test_a_shared_folder_that_is_not_there_is_refused(boards: Path) -> None:
    path = boards / "weather_station" / "board.yaml"
    path.write_text(path.read_text().replace("stm32_usart]", "stm33_usart]"))
    with pytest.raises(ThimbleError, match="`shared` names no folder 'stm33_usart'"):
        load_board("weather_station")
