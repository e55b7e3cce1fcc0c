"""The JSON schemas in docs/schemas say what the types say, and the command writes what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.commands.main import main
from pipeline.commands.schemas import FOLDER, stale_schemas, write_schemas

NAMES = [f"{name}.schema.json" for name in ("recipe", "board", "sweep", "call", "home", "result")]


def test_the_files_are_current() -> None:
    assert stale_schemas(FOLDER) == [], "write them anew: python -m pipeline schemas"
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(NAMES)


def test_stale_files_are_named_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new"
    assert write_schemas(folder) == NAMES and stale_schemas(folder) == []
    (folder / "result.schema.json").write_text("{}", encoding="utf-8")
    (folder / "board.schema.json").unlink()
    assert main(["schemas", "--check", "--out", str(folder)]) == 1
    assert "board.schema.json, result.schema.json" in capsys.readouterr().err
    assert not (folder / "board.schema.json").exists()
    assert main(["schemas", "--out", str(folder)]) == 0
    written = [line.rpartition("/")[2] for line in capsys.readouterr().out.split()[1::2]]
    assert written == ["board.schema.json", "result.schema.json"]
    assert main(["schemas", "--check", "--out", str(folder)]) == 0
