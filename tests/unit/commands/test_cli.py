"""The command line: what it prints and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.main import main
from pipeline.stages import registry


def test_boards_as_table_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boards"]) == 0
    assert "mps2_an386" in capsys.readouterr().out
    assert main(["boards", "--json"]) == 0
    boards = json.loads(capsys.readouterr().out)
    board = next(entry for entry in boards if entry["name"] == "mps2_an386")
    assert board["core"] == "cortex-m4" and board["clock_hz"] == 25_000_000 and "qemu" in board["emulators"]


@pytest.mark.parametrize(
    "stage", ["data", "train", "distill", "prune", "qat", "quantize", "convert", "firmware", "emulate", "report", "run"]
)
def test_every_stage_is_a_command(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([stage, "no/such/recipe.yaml"]) == 1
    printed = capsys.readouterr().err
    assert "error:" in printed and "no/such/recipe.yaml" in printed and "fix:" in printed and "home-en-small" in printed


def test_compile_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(tmp_path / "none.tflite"), "--out", str(tmp_path / "c")]) == 1
    assert "none.tflite" in capsys.readouterr().err
    (tmp_path / "junk.tflite").write_bytes(b"junk" * 100)
    assert main(["compile", str(tmp_path / "junk.tflite"), "--out", str(tmp_path / "c")]) == 1
    assert "not a .tflite" in capsys.readouterr().err
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.c").write_text("int mine;")
    assert main(["compile", str(tmp_path / "junk.tflite"), "--out", str(full)]) == 1
    assert "not empty" in capsys.readouterr().err and (full / "mine.c").read_text() == "int mine;"


def test_an_unknown_board_and_a_wrong_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = ["--build", str(tmp_path / "build")]
    assert main(["run", "models/home-en-small/recipe.yaml", "--board", "toaster", *build]) == 1
    assert "toaster" in capsys.readouterr().err
    (tmp_path / "bad.yaml").write_text("name: x\nboard: y\n")
    assert main(["run", str(tmp_path / "bad.yaml"), *build]) == 1
    assert "`board`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(28, "No space left on device", "build/x"), 1, "No space left on device"),
        (OSError(30, "Read-only file system", "build/x"), 1, "Read-only"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_a_full_disk_and_ctrl_c_are_told_in_words(
    error: BaseException, status: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(registry, "run_recipe", fail)
    assert main(["run", "models/home-en-small/recipe.yaml"]) == status
    printed = capsys.readouterr().err
    assert words in printed and "Traceback" not in printed


def test_brackets_in_a_message_are_printed_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path / "[red]x[/].yaml")]) == 1
    assert "[red]x[/].yaml" in capsys.readouterr().err


def test_commands_that_need_no_tensorflow_do_not_import_it() -> None:
    code = (
        "import sys; from pipeline.commands.main import main; from pipeline.stages.registry import all_stages;"
        "all_stages(); main(['boards']); "
        "sys.exit('tensorflow' in sys.modules or 'tf_keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
