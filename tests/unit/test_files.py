"""Files are written whole or not at all, and a damaged one is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.errors import ThimbleError
from pipeline.files import (
    PlainLoader,
    atomic_write,
    path_in,
    read_json,
    read_small_text,
    write_bytes,
    write_json,
    write_text,
)


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


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/etc", "a\\b", "a\0b", "a\nb", "\x7f", "ä" * 128])
def test_a_name_with_parts_or_of_none_names_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(ThimbleError, match="cannot name a file"):
        path_in(tmp_path, name)


def test_a_path_stays_in_its_folder_and_symbolic_links_do_not_lead_out(tmp_path: Path) -> None:
    folder, outside = tmp_path / "build", tmp_path / "outside"
    for path in (folder, outside, folder / "real"):
        path.mkdir()
    assert path_in(folder, "new", "file.txt") == folder / "new" / "file.txt"
    (folder / "out").symlink_to(outside)
    (folder / "within").symlink_to(folder / "real")
    (folder / "circle").symlink_to(folder / "circle")
    with pytest.raises(ThimbleError, match="leads out of"):
        path_in(folder, "out")
    with pytest.raises(ThimbleError, match="leads out of"):
        path_in(folder, "out", "file.txt")
    assert path_in(folder, "within", "file.txt").parent.name == "within"
    assert path_in(folder, "circle").name == "circle"
    (tmp_path / "link").symlink_to(folder)
    assert path_in(tmp_path / "link", "new") == tmp_path / "link" / "new", "the folder itself may be a link"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3", "the key 'a' stands twice, line 3"),
        ("a: {b: 1, 'b': 2}", "the key 'b' stands twice"),
        ("a: !!binary aGVsbG8=", "the tag !!binary means nothing here, line 1"),
        ("a: !!python/object/apply:os.system [true]", "the tag !!python/object/apply:os.system means"),
        ("a: !!set {b, c}", "the tag !!set means"),
        ("a: !include x.yaml", "the tag !include means"),
        ("a: 2026-99-99", "no value of its kind: '2026-99-99'"),
        ("a: !!bool maybe", "no value of its kind: 'maybe'"),
        ("a: !!int ''", "no value of its kind: ''"),
        ("a: 9223372036854775808", "a number beyond 64 bits"),
        ("a: 1" + "0" * 5000, "a number beyond 64 bits"),
        ("a: 0x" + "f" * 300, "a number beyond 64 bits"),
        ("a: " + "[" * 100 + "]" * 100, "nested more than 64 deep"),
        ("a: " + "[" * 100_000, "nest"),
        ("a: &x [*x]", "the alias \\*x stands in what it stands for"),
        ("\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]),
        "more than 1,000,000"),
    ],
)  # fmt: skip
def test_yaml_that_is_no_plain_data_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(yaml.YAMLError, match=complaint):
        yaml.load(text, Loader=PlainLoader)


def test_yaml_that_is_plain_data_means_what_it_meant() -> None:
    text = "a: &x {b: [1, 0x10, 1:30, 1.5, yes, ~, 2026-01-01]}\nc: *x\nd: {<<: *x, e: !!str 1}\n1: x\n'1': y\n"
    assert yaml.load(text, Loader=PlainLoader) == yaml.safe_load(text)
    assert yaml.load("", Loader=PlainLoader) is None


def test_a_device_or_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="it is a device"):
        read_small_text(Path("/dev/zero"))
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(OSError, match="more than 16 MB"):
        read_small_text(path)
