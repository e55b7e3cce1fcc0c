"""Files of pairs that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ThimbleError
from pipeline.tasks.pair_files import read_pair_files


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.tsv", "x" * 200_000 + "\ty", "is no table: field larger than field limit"),
        ("a.jsonl", "[" * 100_000, "line 1 is no JSON: it is nested too deep"),
        ("a.jsonl", '{"sentence": "\\ud800", "answer": "x"}', "line 1 is no JSON: it holds half of a character"),
        ("a.jsonl", '{"sentence": NaN, "answer": "x"}', "line 1 is no JSON: NaN is no number"),
        ("/dev/zero", "", "/dev/zero is no file"),
    ],
)
def test_what_is_no_file_of_pairs_is_named(name: str, content: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ThimbleError, match=complaint):
        read_pair_files([path])
