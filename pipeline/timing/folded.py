"""Collapsed stacks, the text form of a flame graph: `frame;frame;frame count`, one stack a line.

Brendan Gregg's flamegraph.pl, speedscope and others read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ThimbleError

__all__ = ["read_folded", "write_folded"]


def write_folded(path: Path, stacks: Mapping[tuple[str, ...], float]) -> None:
    """Writes stacks, outermost frame first, with whole counts; those that round to 0 are left out."""
    rounded = {stack: round(count) for stack, count in stacks.items()}
    lines = [f"{';'.join(stack)} {count}\n" for stack, count in sorted(rounded.items()) if count]
    path.write_text("".join(lines), encoding="utf-8")


def read_folded(path: Path) -> dict[tuple[str, ...], int]:
    """The stacks of a file.

    Raises:
        ThimbleError: a line is not of the form.
    """
    stacks: dict[tuple[str, ...], int] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            raise ThimbleError(f"{path}: {line!r:.80} is no collapsed stack", "run the `emulate` stage with --force")
        frames = tuple(stack.split(";"))
        stacks[frames] = stacks.get(frames, 0) + int(count)
    return stacks
