"""A home's names to a running board: `thimble home push`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.commands.main import main
from pipeline.device.client import connect
from pipeline.device.names import push_names
from pipeline.errors import ThimbleError
from tests.support.host_boards import Port, build_answering_board, build_board, on_port

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
HOME = """\
areas: [{name: Kitchen}, {name: Attic}]
entities:
  - {name: Reading Light, domain: light, aliases: [desk lamp]}
  - {name: Garage Door, domain: cover}
  - {name: Mini Split, domain: climate}
  - {name: Front Door, domain: cover}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_answering_board(tmp_path_factory.mktemp("store"), 32768, ["-DTHIMBLE_STORE"])


@pytest.fixture
def port(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Port]:
    monkeypatch.setitem(os.environ, "THIMBLE_FLASH", str(tmp_path / "flash"))
    with on_port(program) as port:
        yield port


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home.yaml"
    path.write_text(HOME)
    return path


def test_the_command_says_what_it_did(
    port: Port, program: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["home", "push", port.name, str(home)]) == 0
    said = capsys.readouterr().out.splitlines()
    # Four words; two names of two words; of one the value is the other in capitals.
    used = 6 + 4 * 2 + len("readinglightdesklamp") + 2 * (9 + 2) + 4 + 2
    assert said == [
        f"2 names in {used} of 32,768 bytes, {used / 2:.1f} a name",
        "left out, since the model knows no such kinds: area 2, cover 2, climate 1",
        "kept over a loss of power",
    ]
    port.pull_out()
    with on_port(program) as again, connect(again.name) as board:
        assert (board.names().count, board.names().is_stored) == (2, True)


def test_names_that_are_not_to_be_kept(port: Port, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["home", "push", port.name, str(home), "--until-reset"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "gone when the board starts anew"
    with connect(port.name) as board:
        assert not board.names().is_stored
        pushed = push_names(board, [("light", "a", "?!"), ("light", "b", "b" * 300), ("light", "c", "see")])
    assert (pushed.names.count, set(pushed.refused), pushed.names.is_stored) == (1, {"?!", "b" * 300}, True)


@pytest.mark.slow
def test_names_for_which_there_is_no_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home.yaml"
    lamps = "\n".join(f"  - {{name: Lamp {number}, domain: light}}" for number in range(40))
    home.write_text(f"entities:\n{lamps}\n")
    with on_port(build_answering_board(tmp_path, 200)) as port:
        assert main(["home", "push", port.name, str(home)]) == 1
        out, err = capsys.readouterr()
        with connect(port.name) as board:
            names = board.names()
    assert names.used <= 200 and 40 > names.count == int(out.split()[0]) > 5
    assert "gone when the board starts anew: this board keeps no names" in out
    assert f"error: {40 - names.count} names found no memory: Lamp " in err and "THIMBLE_NAMES_BYTES" in err


@pytest.mark.slow
def test_boards_that_take_no_names(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "text").mkdir()
    for program in (build_answering_board(tmp_path / "none", 0), build_board(tmp_path / "text")):
        with on_port(program) as port:
            assert main(["home", "push", port.name, str(home)]) == 1
            assert "takes no names" in capsys.readouterr().err


def test_a_board_that_is_lost_on_the_way_is_an_error(port: Port) -> None:
    def lost(count: int) -> None:
        if count == 2:
            port.pull_out()

    with connect(port.name) as board, pytest.raises(ThimbleError, match="was lost"):
        push_names(board, [("light", str(number), f"lamp {number}") for number in range(9)], progress=lost)


def test_five_hundred_names(port: Port) -> None:
    """How much memory they take: a made home of 20 rooms with 25 things in each."""
    rooms = ["Kitchen", "Living Room", "Bedroom", "Guest Room", "Bathroom", "Hallway", "Office", "Garage", "Attic"]
    rooms += ["Basement", "Garden", "Terrace", "Laundry Room", "Dining Room", "Nursery", "Workshop", "Pantry"]
    rooms += ["Balcony", "Library", "Sauna"]
    things = ["Ceiling Light", "Lamp", "Floor Lamp", "Blinds", "Curtain", "Thermostat", "Fan", "TV", "Speaker"]
    things += ["Window", "Motion", "Temperature", "Humidity", "Outlet", "Heater", "Door Lock", "Camera", "LED Strip"]
    things += ["Night Light", "Reading Lamp", "Air Purifier", "Battery", "Power", "Radiator", "Vacuum"]
    names = [f"{room} {thing}" for room in rooms for thing in things]
    assert len(names) == len(set(names)) == 500
    with connect(port.name) as board:
        pushed = push_names(board, [("light", name, name) for name in names])
    assert pushed.names.count == 500
    words = {word for name in names for word in name.lower().split()}
    assert pushed.names.used == 6 + sum(2 + len(word) for word in words) + sum(9 + len(name.split()) for name in names)
    assert pushed.names.used <= 8192
    assert "too small" in pushed.not_stored  # for the flash of this board
