"""Files are written whole or not at all, and a damaged one is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ThimbleError
from pipeline.files import atomic_write, read_json, write_bytes, write_json, write_text


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    write_json(path, {"a": "ü"})
    write_json(path, {"b": 1})
    assert read_json(path, "make it") == {"b": 1}
    write_text(path, "ü\n")
    assert path.read_bytes() == "ü\n".encode()
    write_bytes(path, b"\0")
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.json"] and path.read_bytes() == b"\0"


def test_the_suffix_stays_for_writers_that_add_their_own(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "weights.npz") as partial:
        np.savez(partial, a=np.arange(3))
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.npz"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_stops_in_the_middle_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def stopped() -> None:
        with atomic_write(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        stopped()
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"] and path.read_text() == "old"


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "there is no"), ("{", "is damaged"), ("[1]", "holds no JSON object"), (b"\xff", "damaged")],
)
def test_what_is_no_object_is_named_with_the_remedy(tmp_path: Path, text: str | bytes | None, words: str) -> None:
    path = tmp_path / "facts.json"
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ThimbleError, match=words) as caught:
        read_json(path, "run it again")
    assert str(path) in caught.value.what and caught.value.remedy == "run it again"
