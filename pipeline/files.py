"""Files: written whole or not at all, and digests of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

__all__ = ["digest_files", "digest_folder", "fingerprint", "walk_files", "write_json"]


def write_json(path: Path, data: object) -> None:
    """Writes JSON beside the path and renames it into place."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(beside, path)


def fingerprint(parts: Mapping[str, Any]) -> str:
    """SHA-256 of canonical JSON."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def digest_files(folder: Path, ignored: Collection[str] = ()) -> dict[str, str]:
    """SHA-256 of each file below, by its path in it; `ignored` names and build trees (`_*`, `build`) are left out."""
    names = ((path.relative_to(folder).as_posix(), path) for path in walk_files(folder))
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in names if name not in ignored}


def digest_folder(files: Mapping[str, str]) -> str:
    """SHA-256 over the names and digests that `digest_files` gave."""
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0".encode() + bytes.fromhex(content))
    return digest.hexdigest()


def walk_files(folder: Path) -> list[Path]:
    """All files below, in order; build trees (`_*`, `build`) are left out."""
    found: list[Path] = []
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("_") and name != "build")
        found.extend(Path(base, name) for name in sorted(names))
    return found
