"""Tables as C source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["array", "wrapped"]


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
