"""`result.json`: what is written is read again, and a file that is not ours is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.errors import ThimbleError
from pipeline.verification.result import SCHEMA_VERSION, RunResult
from tests.support.run_results import made_result


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result = made_result(quality={"float": {"nll": 1.25, "tokens": 60}}, seconds={"data": 0.5})
    result.save(path)
    assert RunResult.load(path) == result
    assert RunResult.from_data(result.as_data(), "memory") == result
    assert json.loads(path.read_text(encoding="utf-8"))["schema_version"] == SCHEMA_VERSION
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]


def changed(**changes: Any) -> str:
    return json.dumps({**made_result().as_data(), **changes})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no"),
        ("", "is damaged"),
        ("[]", "holds no JSON object"),
        ('{"recipe": "tiny", "ok": true}', "is of an older schema"),
        (changed(schema_version=99), "is of schema version 99; this Thimble reads version 1"),
        (changed(macs="many"), "is damaged: `macs`"),
        (changed(macs=1.5), "is damaged: `macs`"),
        (changed(surprise=1), "is damaged: `surprise`"),
        (changed(flash_bytes={"code": 1}), r"is damaged: `flash_bytes\.weights`"),
        (changed(ok=False), "`ok` is not what the checks say"),
    ],
)
def test_another_file_is_refused_with_its_name_and_a_remedy(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "result.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ThimbleError, match=words) as caught:
        RunResult.load(path)
    assert str(path) in caught.value.what and "emulate RECIPE --force" in caught.value.remedy


def test_a_result_cannot_be_changed_or_contradict_itself() -> None:
    result = made_result()
    with pytest.raises(ValidationError, match="frozen"):
        result.ok = False  # type: ignore[misc]
    with pytest.raises(ValidationError, match="checks"):
        made_result(checks={"tokens_match": False})
    assert made_result(ok=False, checks={"a": False}, failures=("x", "y", "z")).failure() == "x (and 2 more)"
