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
_INCLUDED = re.compile(r'^#include "(thimble_\w+\.h)"', re.MULTILINE)
_KERNELS = RUNTIME / "kernels"
_DECLARATIONS = "thimble_kernels"
"""What begins the names of headers that say what kernels there are, and call none."""


def called_kernels(callers: Iterable[Path]) -> list[Path]:
    """The kernels' files that C files call, and those that these call, also from bodies that they include, in order of
    their names.

    Args:
        callers: C files, such as a generated model.
    """
    pending = [path.read_text(encoding="utf-8") for path in callers]
    left = {path: path.read_text(encoding="utf-8") for path in sorted(_KERNELS.glob("*.c"))}
    sources: list[Path] = []
    while pending:
        called = set(_CALLED.findall(pending.pop()))
        for path in [path for path, text in left.items() if called & set(_DEFINED.findall(text))]:
            sources.append(path)
            pending.append(_with_bodies(left.pop(path)))
    return sorted(sources)


def _with_bodies(text: str) -> str:
    """A kernel's C, and that of the headers of `kernels` that it includes."""
    texts, pending = [text], [text]
    seen: set[str] = set()
    while pending:
        for name in _INCLUDED.findall(pending.pop()):
            path = _KERNELS / name
            if name not in seen and path.exists() and not name.startswith(_DECLARATIONS):
                seen.add(name)
                texts.append(path.read_text(encoding="utf-8"))
                pending.append(texts[-1])
    return "\n".join(texts)
