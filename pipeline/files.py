"""Files: written whole or not at all, where they belong, read with an error that names them, and digests of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import yaml

try:  # libyaml's is ten times as fast
    from yaml import CSafeLoader as _Loader
except ImportError:
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

from pipeline.errors import ThimbleError

__all__ = [
    "PlainLoader",
    "atomic_write",
    "digest_files",
    "digest_folder",
    "fingerprint",
    "parse_json",
    "path_in",
    "read_json",
    "read_small_text",
    "walk_files",
    "write_bytes",
    "write_json",
    "write_text",
]


_MAX_TEXT = 16 << 20
"""Bytes of a file that people write."""
_MAX_DEPTH = 64
"""Lists and mappings within one another, in such a file."""
_MAX_VALUES = 1_000_000
"""Values in such a file, those counted for which aliases stand."""
_MAX_WHOLE = 1 << 63
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_MAX_NAME = 255
"""Bytes of a file's name, on the file systems of today."""
_TAG = "tag:yaml.org,2002:"
_TAGS = (*(f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")), "!")
"""What a tag may say; others stand for kinds of values that no file has here."""


def path_in(folder: Path, *names: str) -> Path:
    """The path of a file in a folder, or of one in a folder in it.

    Args:
        folder: which the file must not leave.
        names: of the folders in it, and of the file.

    Raises:
        ThimbleError: a name is none, has several parts, or is a symbolic link out of the folder.
    """
    for name in names:
        too_long = len(os.fsencode(name)) > _MAX_NAME
        if name in ("", ".", "..") or too_long or any(letter in "/\\\x7f" or letter < " " for letter in name):
            what = f"{name[:80]!r} cannot name a file" + (f": it has more than {_MAX_NAME} bytes" if too_long else "")
            raise ThimbleError(what, "use letters, digits, `-`, `_` and `.`")
    path = folder.joinpath(*names)
    real = os.path.realpath(folder)
    if os.path.commonpath([real, os.path.realpath(path)]) != real:
        raise ThimbleError(
            f"{path} leads out of {folder}, to {os.path.realpath(path)}",
            "take the symbolic link away, or link the whole build folder and name it by --build",
        )
    return path


def read_small_text(path: Path) -> str:
    """The UTF-8 text of a file that people write.

    Raises:
        OSError: it cannot be read, is no file, or has more than 16 MB.
        UnicodeDecodeError: it is no UTF-8.
    """
    if stat.S_ISCHR(mode := path.stat().st_mode) or stat.S_ISBLK(mode):
        raise OSError(0, "it is a device", str(path))
    with path.open("rb") as file:
        data = file.read(_MAX_TEXT + 1)
    if len(data) > _MAX_TEXT:
        raise OSError(0, f"it has more than {_MAX_TEXT >> 20} MB", str(path))
    return data.decode("utf-8")


class PlainLoader(_Loader):
    """A loader of YAML that holds plain data: no tags of other kinds, no numbers beyond 64 bits, nothing nested without
    end, and no aliases that stand for more than a file can hold.

    Raises:
        yaml.YAMLError: when it is made, or reads, with the line.
    """

    has_distinct_keys = True
    """Whether a key may stand only once in a mapping."""

    def __init__(self, stream: str | bytes | IO[str] | IO[bytes]) -> None:
        text = stream if isinstance(stream, str | bytes) else stream.read()
        _check_events(text, self.has_distinct_keys)
        super().__init__(text)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; one that is none of its kind, such as the date 2026-99-99, is an error with its line."""
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, LookupError, ValueError) as error:
            what = f"no value of its kind: {node.value!r:.40} ({error})"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from None

    def construct_whole(self, node: yaml.ScalarNode) -> int:
        """A whole number of at most 64 bits."""
        number = int(self.construct_yaml_int(node)) if len(node.value) < 100 else _MAX_WHOLE
        if abs(number) >= _MAX_WHOLE:
            raise yaml.constructor.ConstructorError(None, None, "a number beyond 64 bits", node.start_mark)
        return number


PlainLoader.add_constructor(f"{_TAG}int", PlainLoader.construct_whole)


class _Open:
    """A list or mapping whose end was not met: the values in it, the keys of a mapping, and its anchor."""

    def __init__(self, anchor: str | None, is_mapping: bool) -> None:
        self.anchor, self.is_mapping = anchor, is_mapping
        self.size, self.children = 1, 0
        self.keys: set[tuple[str, str]] = set()


def _check_events(text: str | bytes, has_distinct_keys: bool) -> None:
    """Checks what the parser meets, before anything is built of it; see `PlainLoader`."""
    parser: Any = _Loader(text)
    sizes: dict[str, int] = {}
    outer: list[_Open] = [_Open(None, False)]
    try:
        while parser.check_event():
            event: Any = parser.get_event()
            here = outer[-1]
            tag, anchor = getattr(event, "tag", None), getattr(event, "anchor", None)
            if tag is not None and tag not in _TAGS:
                name = tag.replace(_TAG, "!!")
                raise yaml.YAMLError(f"the tag {name:.40} means nothing here, line {_line(event)}")
            size = 1
            if isinstance(event, yaml.AliasEvent):
                if any(opened.anchor == anchor for opened in outer):
                    raise yaml.YAMLError(f"the alias *{anchor} stands in what it stands for, line {_line(event)}")
                size = sizes.get(str(anchor), 1)
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(outer) > _MAX_DEPTH:
                    raise yaml.YAMLError(f"nested more than {_MAX_DEPTH} deep, line {_line(event)}")
                outer.append(_Open(anchor, isinstance(event, yaml.MappingStartEvent)))
                continue
            elif isinstance(event, yaml.CollectionEndEvent):
                size = outer.pop().size
                anchor, here = here.anchor, outer[-1]
            elif isinstance(event, yaml.ScalarEvent):
                is_key = here.is_mapping and here.children % 2 == 0
                if is_key and has_distinct_keys:
                    key = (str(parser.resolve(yaml.ScalarNode, event.value, event.implicit)), event.value)
                    if key in here.keys:
                        raise yaml.YAMLError(f"the key {event.value[:40]!r} stands twice, line {_line(event)}")
                    here.keys.add(key)
            else:
                continue
            here.size += size
            here.children += 1
            if anchor is not None and not isinstance(event, yaml.AliasEvent):
                sizes[str(anchor)] = size
            if here.size > _MAX_VALUES:
                raise yaml.YAMLError(f"it stands for more than {_MAX_VALUES:,} values, line {_line(event)}")
    finally:
        parser.dispose()


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a path beside `path`, with the same suffix, to write to; renames it into place when the block ends without
    an exception, and deletes it otherwise. A reader sees the old file or the new one, never a part."""
    partial = path.with_name(f".{path.stem}.tmp{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    with atomic_write(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: object) -> None:
    """Writes JSON whole or not at all."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def parse_json(text: str) -> Any:
    """What a JSON text that people or other programs wrote holds.

    Raises:
        ValueError: it is no JSON, holds numbers that JSON has not or half a character, or is nested without end.
    """
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if _HALF.search(text):
        try:
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("it holds half of a character, such as \\ud800") from None
    return data


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        path: the file.
        remedy: what to do where it is missing or damaged.

    Raises:
        ThimbleError: no such file, unreadable, or no JSON object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ThimbleError(f"there is no {path}", remedy) from None
    except (OSError, ValueError) as error:
        raise ThimbleError(f"{path} is damaged: {error}", remedy) from None
    if not isinstance(data, dict):
        raise ThimbleError(f"{path} is damaged: it holds no JSON object", remedy)
    return data


VERSION_DIGITS = 16
"""Hexadecimal digits of a digest by which people and boards name a version."""


def fingerprint(parts: Mapping[str, Any]) -> str:
    """SHA-256 of canonical JSON."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def digest_files(folder: Path, ignored: Collection[str] = ()) -> dict[str, str]:
    """SHA-256 of each file below, by its path in it; `ignored` names, build trees and logs are left out."""
    names = ((path.relative_to(folder).as_posix(), path) for path in walk_files(folder))
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in names if name not in ignored}


def digest_folder(files: Mapping[str, str]) -> str:
    """SHA-256 over the names and digests that `digest_files` gave."""
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0".encode() + bytes.fromhex(content))
    return digest.hexdigest()


def walk_files(folder: Path) -> list[Path]:
    """All files below, in order; build trees (`_*`, `build`) and logs (`log`), which tell of times, are left out."""
    paths: list[Path] = []
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("_") and name not in ("build", "log"))
        paths.extend(Path(base, name) for name in sorted(names))
    return paths
