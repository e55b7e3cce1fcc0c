"""The licence in every file that is written out: SPDX lines, in each kind of file as its comments are."""

from __future__ import annotations

from pathlib import PurePosixPath

from pipeline.resources import ROOT

__all__ = ["HOLDER", "LICENSE", "license_text", "with_spdx"]

LICENSE = "MIT"
"""SPDX's name of it."""
HOLDER = "2026 The Thimble authors"
_TAG = "SPDX-License-Identifier:"
_SLASHES = ("/* ", " */")
_HASH = ("# ", "")
_MARKUP = ("<!-- ", " -->")
_COMMENTS = {
    ".c": _SLASHES,
    ".h": _SLASHES,
    ".hpp": _SLASHES,
    ".cpp": _SLASHES,
    ".ino": _SLASHES,
    ".rs": ("// ", ""),
    ".py": _HASH,
    ".txt": _HASH,
    ".cmake": _HASH,
    ".in": _HASH,
    ".mk": _HASH,
    ".toml": _HASH,
    ".yml": _HASH,
    ".yaml": _HASH,
    ".conf": _HASH,
    ".properties": _HASH,
    ".ini": _HASH,
    ".lf": _HASH,
    ".defaults": _HASH,
    ".md": _MARKUP,
    ".pdsc": _MARKUP,
    ".pidx": _MARKUP,
}
_NAMES = {"Kconfig": _HASH, "Kconfig.projbuild": _HASH}
WITHOUT_COMMENTS = frozenset({".json", ".csv", ""})
"""Kinds of files that hold no comments: the manifest in them names the licence, or they are the licence."""


def license_text() -> str:
    """The project's licence."""
    return (ROOT / "LICENSE").read_text(encoding="utf-8")


def with_spdx(name: str, text: str) -> str:
    """The text of a file with its SPDX lines, unless it has some, or is of a kind that has no comments.

    Args:
        name: of the file, from which its kind is known.
        text: of the file.

    Raises:
        KeyError: a kind of file of which it is not known how its comments are; a fault of the form that writes it.
    """
    path = PurePosixPath(name)
    if _TAG in text or (path.name not in _NAMES and path.suffix in WITHOUT_COMMENTS):
        return text
    begin, end = _NAMES.get(path.name) or _COMMENTS[path.suffix]
    lines = f"{begin}SPDX-FileCopyrightText: {HOLDER}{end}\n{begin}{_TAG} {LICENSE}{end}\n"
    if text.startswith(("<?xml", "#!")):
        first, _, rest = text.partition("\n")
        return f"{first}\n{lines}{rest}"
    return lines + text
