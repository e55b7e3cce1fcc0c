"""Documents of plain text from files: read, cut apart, and shared out by a hash.

Which part a document belongs to depends on its own text alone: further documents move none, and copies of one, also
such that differ in case or white space only, lie on the same side.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipeline.errors import ThimbleError
from pipeline.recipes.paths import matching_files
from pipeline.tasks.task import Document, Documents

__all__ = ["num_copies", "read_documents", "share_out"]

Part = Literal["train", "dev", "held_out"]
PARTS: tuple[Part, ...] = ("train", "dev", "held_out")

_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_LEADING_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")
_SHARES_TO_TRY = tuple(percent / 100 for percent in range(2, 52, 2))
_MIN_DOCUMENTS = 3  # one to train on, one to watch the training with, one to measure on


def read_documents(patterns: Sequence[str], folder: Path, documents: Literal["blank_line", "file"]) -> list[Document]:
    """All documents, in the order of the patterns and of the files' names.

    Args:
        patterns: files, folders, or such as `*.txt`.
        folder: from which they are seen.
        documents: whether blank lines stand between documents, or each file is one.

    Raises:
        ThimbleError: a pattern that means no file, or a file that cannot be read, is not UTF-8 or holds no text.
    """
    files: dict[Path, None] = {}
    for pattern in patterns:
        matches = matching_files(pattern, folder)
        if not matches:
            raise ThimbleError(
                f"`task.files`: there is no file {folder / pattern}",
                f"name text files, a folder of them, or a pattern such as `*.txt`, seen from {folder.resolve()}",
            )
        files |= dict.fromkeys(matches.values())
    found: list[Document] = []
    for path in files:
        text = _read_text(path)
        parts = _BLANK_LINES.split(text) if documents == "blank_line" else [text]
        trimmed = (_LEADING_BLANK_LINES.sub("", part).rstrip() for part in parts)
        found += [Document(part, _key(part)) for part in trimmed if part]
    return found


def share_out(documents: Sequence[Document], seed: int, held_out: float) -> Documents:
    """The documents by part: of the share that is held out, half watches the training and half is measured.

    Args:
        documents: all of them.
        seed: decides which are held out.
        held_out: their share; with 0 training sees all, and is watched with some of them.

    Raises:
        ThimbleError: a part would have no document.
    """
    places = [_place(document, seed) for document in documents]
    parts: dict[Part, list[Document]] = {name: [] for name in PARTS}
    for document, place in zip(documents, places, strict=True):
        parts[_part(place, held_out)].append(document)
    if not held_out:
        return Documents(parts["train"], _once(sorted(parts["train"], key=lambda document: document.key)), [])
    if not all(parts.values()):
        _refuse(documents, places, held_out)
    return Documents(parts["train"], _once(parts["dev"]), _once(parts["held_out"]))


def _refuse(documents: Sequence[Document], places: Sequence[float], held_out: float) -> None:
    different = len({document.key for document in documents})
    what = f"`task.held_out` {held_out:g} of {different} different documents leaves none to "
    missing = set(PARTS) - {_part(place, held_out) for place in places}
    what += "train on" if "train" in missing else "watch the training with" if "dev" in missing else "measure on"
    for share in _SHARES_TO_TRY:
        if {_part(place, share) for place in places} == set(PARTS) and different >= _MIN_DOCUMENTS:
            raise ThimbleError(what, f"use `held_out: {share:g}`, or add documents")
    remedy = "add documents (`documents: blank_line` has one between blank lines), or measure nothing: `held_out: 0`"
    raise ThimbleError(what, remedy)


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ThimbleError(f"cannot read {path}: {error.strerror}", "correct `task.files`") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        remedy = "save it as UTF-8, or name text files only, such as `files: ['*.txt']`"
        raise ThimbleError(f"{path} is not UTF-8: byte {error.start} in line {line}", remedy) from None
    if not text.strip():
        raise ThimbleError(f"{path} is empty", "write text into it, or leave it out of `task.files`")
    return text.replace("\r\n", "\n")


def _key(text: str) -> int:
    words = " ".join(text.casefold().split())
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big")


def _place(document: Document, seed: int) -> float:
    """From 0 to below 1, evenly."""
    digest = hashlib.blake2b(f"{seed}:{document.key}".encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def _part(place: float, held_out: float) -> Part:
    if place >= held_out:
        return "train"
    return "dev" if place < held_out / 2 else "held_out"


def _once(documents: Sequence[Document]) -> list[Document]:
    first: dict[int, Document] = {}
    for document in documents:
        first.setdefault(document.key, document)
    return list(first.values())


def num_copies(documents: Sequence[Document]) -> int:
    """How many documents are copies of an earlier one."""
    return len(documents) - len(Counter(document.key for document in documents))
