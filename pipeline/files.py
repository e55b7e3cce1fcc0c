"""Files: written whole or not at all, read with an error that names them, and digests of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import ThimbleError

__all__ = [
    "atomic_write",
    "digest_files",
    "digest_folder",
    "fingerprint",
    "read_json",
    "walk_files",
    "write_bytes",
    "write_json",
    "write_text",
]


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
