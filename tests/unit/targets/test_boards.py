"""The boards' registry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import ConfigError, ThimbleError
from pipeline.targets.boards import BOARDS, all_boards, load_board, read_board


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
    for name in board.emulators:
        assert board.instructions_per_tick(name) > 0
    assert board.ram.origin % 2**20 == 0, "the MPU guards the megabyte below"
    assert set(board.summary()) >= {"name", "core", "clock_hz", "flash_bytes", "ram_bytes", "emulators"}


@pytest.mark.parametrize("board", all_boards(), ids=lambda board: board.name)
def test_a_board_says_how_it_is_flashed(board: Any) -> None:
    data = yaml.safe_load((board.folder / "board.yaml").read_text())
    assert {"image", "boot_offset"} <= set(data), "it says both"
    if board.program:
        assert f"build/firmware.{board.image}" in board.program
        assert board.uart.where
    page = (BOARDS.parents[1] / "docs" / "serial.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{board.name}` |")] or [""]
    if board.program:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[-1].startswith(f"`.{board.image}`"), row
        assert (f"{board.boot_offset:#x}" in cells[-1]) is bool(board.boot_offset), row
    else:
        assert not row, "an FPGA's image is not wired"


@pytest.mark.parametrize(("name", "crystal"), [("stm32f4_discovery", 8e6), ("stm32f746_discovery", 25e6)])
def test_the_pll_makes_the_boards_clock(name: str, crystal: float) -> None:
    """The numbers in clock.c against board.yaml and the limits of RM0090, 7.3.2, and RM0385, 5.3.2."""
    board = load_board(name)
    text = re.sub(r"\s*\\\n\s*", " ", (board.folder / "clock.c").read_text())
    defined = dict(re.findall(r"^#define (\w+) \(?(.+?)\)?(?: */\*.*)?$", text, re.MULTILINE))

    def value(prefix: str) -> int:
        (expression,) = (text for name, text in defined.items() if name.startswith(prefix))
        return int(eval(re.sub(r"(\d)u", r"\1", expression)))

    pll = value("PLL_")
    divider, factor, post, usb = pll & 63, pll >> 6 & 511, 2 * (pll >> 16 & 3) + 2, pll >> 24 & 15
    assert pll >> 22 & 1, "from the crystal"
    assert 1e6 <= crystal / divider <= 2e6
    oscillator = crystal / divider * factor
    assert 100e6 <= oscillator <= 432e6
    assert oscillator / post == board.clock_hz
    assert oscillator / usb == 48e6
    slow, fast = {"stm32f4_discovery": (42e6, 84e6), "stm32f746_discovery": (54e6, 108e6)}[name]
    assert board.clock_hz / 2 ** ((value("CFGR_APB1") >> 10 & 3) + 1) <= slow
    assert board.clock_hz / 2 ** ((value("CFGR_APB2") >> 13 & 3) + 1) <= fast
    assert value("ACR_") & 15 == board.timing.flash.wait_states == -(-board.clock_hz // 30_000_000) - 1


def test_the_pll_of_an_stm32h7_makes_the_boards_clock() -> None:
    """The numbers in clock.c against board.yaml and the limits of RM0433, 8.5.5 and 8.7, and DS12110, 6.3.10."""
    board = load_board("nucleo_h743zi")
    text = (board.folder / "clock.c").read_text()
    definitions = re.findall(r"^#define (\w+) \(?(.+?)\)?(?: */\*.*)?$", text, re.MULTILINE)
    numbers = {
        name: int(eval(re.sub(r"(\d)u", r"\1", value)))
        for name, value in definitions
        if re.fullmatch(r"[\d u|<()+-]+", value)
    }
    source, ranges, pll = (numbers[name] for name in ("PLL_SOURCE_8_TO_2", "PLL_RANGES", "PLL_2_TO_480"))
    assert source & 3 == 2, "from the crystal's input"
    reference = 8e6 / (source >> 4 & 63)
    assert ranges >> 2 & 3 == 1 and 2e6 <= reference <= 4e6
    assert ranges >> 1 & 1 == 0, "the wide oscillator"
    oscillator = reference * ((pll & 511) + 1)
    assert 192e6 <= oscillator <= 960e6
    assert ranges >> 16 & 1 and oscillator / ((pll >> 9 & 127) + 1) == board.clock_hz
    buses = board.clock_hz / {8: 2}[numbers["D1CFGR_DIVIDERS"] & 15]
    assert buses <= 240e6
    dividers = {"D1CFGR_DIVIDERS": (4,), "D2CFGR_DIVIDERS": (4, 8), "D3CFGR_DIVIDERS": (4,)}
    for name, shifts in dividers.items():
        assert all(buses / {4: 2}[numbers[name] >> shift & 7] <= 120e6 for shift in shifts)
    waits = numbers["ACR_4_WAITS"] & 15
    assert (waits + 1) * board.clock_hz / buses == board.timing.flash.wait_states + 1


def test_milliseconds_at_the_boards_clock() -> None:
    board = load_board("mps2_an386")
    assert board.milliseconds(250_000, cycles_per_instruction=1.5) == pytest.approx(15.0)


def test_an_unknown_board_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ThimbleError) as caught:
        load_board("mps9")
    assert "mps9" in caught.value.what
    assert "mps2_an386" in caught.value.remedy


def _without(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key}


def _changed(data: dict[str, Any], section: str, **values: object) -> dict[str, Any]:
    return {**data, section: {**data[section], **values}}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda data: _without(data, "uart"), "`uart` is missing"),
        (lambda data: {**data, "colour": "blue"}, "unknown key `colour`"),
        (lambda data: _changed(data, "memory", tape={}), "unknown key `memory.tape`"),
        (lambda data: _changed(data, "memory", ram={"origin": 0x20000100, "size": 65536}), "no multiple of 0x100000"),
        (
            lambda data: _changed(data, "memory", flash={"origin": "start", "size": 65536}),
            "`memory.flash.origin` is 'start' (str), not a whole number",
        ),
        (lambda data: _changed(data, "memory", flash={"origin": 0, "size": 0}), "`memory.flash.size` is 0"),
        (
            lambda data: _changed(data, "memory", ram={"origin": 0xFFF00000, "size": 1 << 21}),
            "`memory.ram` does not end",
        ),
        (lambda data: {**data, "core": "cortex-m99"}, "`core` 'cortex-m99' is not known"),
        (lambda data: {**data, "flags": "-mthumb"}, "`flags` is '-mthumb' (str), not a list"),
        (lambda data: {**data, "clock_hz": "fast"}, "'fast'"),
        (lambda data: {**data, "clock_hz": 0}, "`clock_hz` is 0"),
        (lambda data: {**data, "stack_bytes": 1 << 30}, "`stack_bytes` 1,073,741,824"),
        (lambda data: {**data, "uart": {"model": "x"}}, "`uart.address` is missing"),
        (lambda data: _changed(data, "uart", rx_irq="two"), "`uart.rx_irq` is 'two' (str), not a whole number"),
        (lambda data: {**data, "shared": []}, "no link.ld is in"),
        (lambda data: {**data, "shared": ["cortex_m", "counter"]}, "no uart.c is in"),
        (lambda data: _changed(data, "emulators", spice={}), "unknown key `emulators.spice`"),
        (lambda data: _changed(data, "emulators", qemu=None), "`emulators.qemu` is empty, not a mapping"),
        (lambda data: _changed(data, "emulators", qemu={"machine": "x"}), "qemu.instructions_per_tick` is missing"),
        (lambda data: _changed(data, "timing", flash={"waits": 5}), "unknown key `timing.flash.waits`"),
        (lambda data: _changed(data, "timing", flash={"wait_states": -1}), "`timing.flash.wait_states` is -1"),
        (lambda data: {**data, "timing": {"flash": {}}}, "`timing.source` is missing"),
        (
            lambda data: _changed(data, "timing", cycles_per_instruction=1),
            "unknown key `timing.cycles_per_instruction`",
        ),
        (lambda data: {**data, "store": {"page_bytes": 4096, "slot_bytes": 6000}}, "`store.slot_bytes` is 6000"),
        (
            lambda data: {
                **data,
                "store": {"page_bytes": 4096, "slot_bytes": 1 << 20},
                "memory": {**data["memory"], "flash": {"origin": 0, "size": 1 << 21}},
            },
            "leave nothing of 2,097,152",
        ),
        (
            lambda data: {
                **data,
                "store": {"page_bytes": 4096, "slot_bytes": 4096},
                "memory": {**data["memory"], "flash": {"origin": 0, "size": 0x10100}},
            },
            "no page ends where",
        ),
        (lambda data: {**data, "store": {"page_bytes": 4096}}, "`store.slot_bytes` is missing"),
        (lambda data: {**data, "image": "srec"}, "`image` 'srec' is not known"),
        (lambda data: {**data, "image": "uf2"}, "`uf2_family` goes with `image: uf2`"),
        (lambda data: {**data, "boot_offset": 0x8000}, "`boot_offset` 0x8000 bytes do not fit before the flash at 0x0"),
        (lambda data: _changed(data, "memory", flash={"origin": 0x8100, "size": 65536}), "no multiple of 0x200"),
        (lambda data: [], "not a mapping of keys"),
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


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    data = yaml.safe_load((BOARDS / "mps2_an386" / "board.yaml").read_text())
    path = tmp_path / "mps2_an386" / "board.yaml"
    path.parent.mkdir()
    emulators = {"qemu": {"machine": "mps2-an386", "instructions_per_tik": 40}}
    path.write_text(yaml.safe_dump({**_without(data, "clock_hz"), "stack_bytes": 100, "emulators": emulators}))
    with pytest.raises(ConfigError) as caught:
        read_board(path)
    keys = {problem.key: problem for problem in caught.value.problems}
    assert set(keys) == {
        "clock_hz",
        "stack_bytes",
        "emulators.qemu.instructions_per_tick",
        "emulators.qemu.instructions_per_tik",
    }
    assert "`instructions_per_tick`?" in keys["emulators.qemu.instructions_per_tik"].remedy
    assert keys["clock_hz"].remedy == "add it: The core's clock"
    assert keys["stack_bytes"].remedy == "use a number from 256 on"


def test_a_board_that_cannot_be_is_not_made() -> None:
    board = load_board("mps2_an386")
    with pytest.raises(ValueError, match="cortex-m99"):
        board.replace(core="cortex-m99")
    assert board.replace(title="mine").folder == board.folder


def _further(folder: Path, name: str, **changes: Any) -> Path:
    """A board of one's own: a copy of a shipped one with other keys."""
    source = BOARDS / "mps2_an386" / "board.yaml"
    data = {**yaml.safe_load(source.read_text(encoding="utf-8")), "name": name, **changes}
    (folder / name).mkdir(parents=True)
    (folder / name / "board.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return folder / name / "board.yaml"


def test_one_bad_board_of_ones_own_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _further(tmp_path, "good_one")
    _further(tmp_path, "bad_one", clock_hz="fast")
    _further(tmp_path, "mps2_an385")
    (tmp_path / "not_yaml").mkdir()
    (tmp_path / "not_yaml" / "board.yaml").write_bytes(b"\xff{")
    monkeypatch.setenv("THIMBLE_BOARDS", str(tmp_path))
    names = [board.name for board in all_boards()]
    assert "good_one" in names and "bad_one" not in names and "mps2_an386" in names
    assert load_board("good_one").core == "cortex-m4"
    assert load_board("mps2_an385").folder.parent == BOARDS, "one's own does not take the place of a shipped one"
    with pytest.raises(ConfigError, match="`clock_hz` is 'fast'"):
        load_board("bad_one")
    with pytest.raises(ThimbleError, match="no UTF-8"):
        load_board("not_yaml")
    assert caplog.text.count("left out") == 3 and "two boards are called mps2_an385" in caplog.text


def test_a_board_that_nothing_emulates_is_a_board(tmp_path: Path) -> None:
    path = _further(tmp_path, "bare")
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    del data["emulators"]
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    board = read_board(path)
    assert not board.emulators and board.summary()["emulators"] == []


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"title": "a\nb"}, "title"),
        ({"program": "x\r\ny"}, "program"),
        ({"flags": ["-mcpu=cortex-m4 -o /x"]}, "flags.0"),
        ({"flags": ['-DX="y"']}, "flags.0"),
        ({"shared": ["../x"]}, "shared.0"),
        ({"shared": [""]}, "shared.0"),
        ({"clock_hz": 1 << 32}, "clock_hz"),
        ({"uart": {"model": "PL011", "address": 1 << 32, "rx_irq": 0}}, "uart.address"),
        ({"uart": {"model": "PL011", "address": 0, "rx_irq": 496}}, "uart.rx_irq"),
        ({"emulators": {"renode": {"platform": "../../x", "uart": "u", "mips": 1, "instructions_per_tick": 1}}},
         "emulators.renode.platform"),
    ],
)  # fmt: skip
def test_what_goes_into_files_and_commands_has_the_form_that_they_need(
    changes: dict[str, Any], key: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_board(_further(tmp_path, "mine", **changes))
    assert key in [problem.key for problem in caught.value.problems]
