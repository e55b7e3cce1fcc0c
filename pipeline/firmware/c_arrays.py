"""Tables as C source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["EXTERNAL", "STATIC", "Linkage", "array", "wrapped"]


@dataclass(frozen=True)
class Linkage:
    """Whether a table is seen from other files.

    Attributes:
        storage: before its type.
        prefix: of its name.
    """

    storage: str
    prefix: str

    def name(self, what: str) -> str:
        """Of a table, such as `tokenizer`."""
        return self.prefix + what

    def define(self, what: str) -> str:
        """The beginning of a table's definition: its type is `thimble_` and what it is."""
        return f"{self.storage}const thimble_{what} {self.name(what)} = {{"


EXTERNAL = Linkage("", "thimble_model_")
"""In a firmware project, whose files are compiled as one."""
STATIC = Linkage("static ", "")
"""In a library: all of a model is one file."""


def array(kind: str, name: str, values: Iterable[int], form: str = "{}") -> str:
    """A table; at least one entry, since C has no empty arrays.

    Args:
        kind: type of the entries.
        name: of the table.
        values: the entries.
        form: how each is written.
    """
    return f"static const {kind} {name}[] = {{\n{wrapped([form.format(value) for value in values] or ['0'])}}};\n"


def wrapped(values: Sequence[str]) -> str:
    """Entries with commas, in lines of at most 120 characters."""
    lines, line = [], "   "
    for value in values:
        if len(line) + len(value) > 118:
            lines.append(line)
            line = "   "
        line += f" {value},"
    return "\n".join([*lines, line]) + "\n"
