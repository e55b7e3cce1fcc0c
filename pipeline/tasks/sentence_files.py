"""Sentence files: one pair a line, sentence and action with a tab between."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import ThimbleError
from pipeline.tasks.task import Pair

__all__ = ["WATCHED", "read_pairs", "write_pairs"]

WATCHED = "watched"
"""Name of the sentence file on which training is watched, where sentences are drawn."""


def write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    """Writes the pairs; neither part may hold a tab or a line end (the tasks give none)."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{pair.sentence}\t{pair.action}\n" for pair in pairs)


def read_pairs(path: Path, limit: int | None = None) -> list[Pair]:
    """The first `limit` pairs of the file, or all.

    Raises:
        ThimbleError: no such file, or a line that is no pair.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    except OSError as error:
        raise ThimbleError(f"cannot read {path}: {error.strerror}", "run the `data` stage again with --force") from None
    pairs = []
    for number, line in enumerate(lines[:limit], 1):
        sentence, tab, action = line.partition("\t")
        if not tab:
            raise ThimbleError(f"{path} line {number} has no tab", "run the `data` stage again with --force")
        pairs.append(Pair(sentence, action))
    return pairs
