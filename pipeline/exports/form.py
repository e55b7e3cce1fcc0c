"""What a form of export is: the files by which a build system takes the one folder of C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.exports.library import Library, Sources

__all__ = ["TEXT_BYTES", "Form"]

TEXT_BYTES = 256
"""The longest text that the examples can be asked."""


def _anything(library: Library) -> None:
    del library


def _no_values(library: Library, sources: Sources) -> Mapping[str, Any]:
    del library, sources
    return {}


def _nothing(library: Library, out: Path) -> None:
    del library, out


@dataclass(frozen=True)
class Form:
    """A form of export.

    Attributes:
        name: what the user types, and the folder of templates in `firmware_templates/exports`.
        title: what it is, for help and READMEs, such as "CMake package".
        source: where in the export the C lies; `{package}` and `{identifier}` stand for the package's
            names.
        core: whose layout of weights is taken unless the user says another; None: that of the recipe's first board.
        compiles_with_flags: whether the form's files say which files are compiled for speed; else the files say it
            themselves.
        check: raises `ThimbleError` where the form cannot hold these models.
        values: what the form's templates may name besides.
        finish: adds to the folder what is made from all other files.
    """

    name: str
    title: str
    source: str = "src"
    core: str | None = None
    compiles_with_flags: bool = True
    check: Callable[[Library], None] = _anything
    values: Callable[[Library, Sources], Mapping[str, Any]] = _no_values
    finish: Callable[[Library, Path], None] = _nothing
