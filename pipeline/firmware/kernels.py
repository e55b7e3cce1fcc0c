"""Which kernels go into a build: half of a build's time is theirs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.resources import ROOT

__all__ = ["RUNTIME", "called_kernels"]

RUNTIME = ROOT / "firmware_templates" / "runtime"
_DEFINED = re.compile(r"^void (thimble_\w+)\(", re.MULTILINE)
_CALLED = re.compile(r"\b(thimble_\w+)\(")


def called_kernels(callers: Iterable[Path]) -> list[Path]:
    """The kernels' files that C files call, and those that these call, in order of their names.

    Args:
        callers: C files, such as a generated model.
    """
    pending = [path.read_text(encoding="utf-8") for path in callers]
    left = {path: path.read_text(encoding="utf-8") for path in sorted((RUNTIME / "kernels").glob("*.c"))}
    sources: list[Path] = []
    while pending:
        called = set(_CALLED.findall(pending.pop()))
        for path in [path for path, text in left.items() if called & set(_DEFINED.findall(text))]:
            sources.append(path)
            pending.append(left.pop(path))
    return sorted(sources)
