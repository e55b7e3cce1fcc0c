"""A reader of `.repl` and `.resc` files in the syntax that ours use; everything else is refused.

Platform descriptions follow Renode's `src/Renode/PlatformDescription/Syntax/Grammar.cs`: entries with a class, where
they are registered, constructor parameters and wires. Scripts are lines for Renode's monitor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Entry", "Registration", "SyntaxProblem", "commands_of", "entries_of"]


class SyntaxProblem(ValueError):
    """Not the syntax, or none that our files use."""


@dataclass(frozen=True)
class Registration:
    """Where an entry is: on `bus`, at `address` (None: without one); `kind` is the class that says so, with its
    parameters, or empty for a plain address."""

    bus: str
    address: int | None
    kind: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Entry:
    """`name: kind @ registrations`, its parameters, and wires as output → (receiver, number)."""

    name: str
    kind: str
    registrations: list[Registration]
    parameters: dict[str, Any] = field(default_factory=dict)
    wires: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def address(self) -> int:
        """Of the first registration."""
        address = self.registrations[0].address
        if address is None:
            raise SyntaxProblem(f"{self.name} has no address")
        return address


_NAME = r"[A-Za-z_]\w*"
_KIND = rf"{_NAME}(?:\.{_NAME})+"
_NUMBER = r"0x[0-9A-Fa-f]+|\d+"


def entries_of(text: str) -> dict[str, Entry]:
    """The entries of a platform description by name.

    Raises:
        SyntaxProblem: with the line.
    """
    entries: dict[str, Entry] = {}
    current: Entry | None = None
    lines = [line.partition("//")[0].rstrip() for line in text.splitlines()]
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line:
            continue
        if "\t" in line:
            raise SyntaxProblem(f"a tab in {line!r}")
        if line.endswith("{"):  # registrations go on until the brace closes
            while at < len(lines) and lines[at].strip() != "}":
                line += " " + lines[at].strip()
                at += 1
            if at == len(lines):
                raise SyntaxProblem(f"no closing brace after {line!r}")
            line += " }"
            at += 1
        if head := re.fullmatch(rf"({_NAME}): ({_KIND}) @ (.+)", line):
            if head[1] in entries:
                raise SyntaxProblem(f"{head[1]} is declared twice")
            current = entries[head[1]] = Entry(head[1], head[2], _registrations(head[3]))
            continue
        if current is None or not re.match(r"    \S", line):
            raise SyntaxProblem(f"not understood: {line!r}")
        if wire := re.fullmatch(rf"    ({_NAME}) -> ({_NAME})@(\d+)", line):
            if wire[1] in current.wires:
                raise SyntaxProblem(f"{current.name}: {wire[1]} is wired twice")
            current.wires[wire[1]] = (wire[2], int(wire[3]))
        elif setting := re.fullmatch(rf"    ({_NAME}): (.+)", line):
            if setting[1] in current.parameters:
                raise SyntaxProblem(f"{current.name}: {setting[1]} is given twice")
            current.parameters[setting[1]] = _value(setting[2])
        else:
            raise SyntaxProblem(f"not understood: {line!r}")
    return entries


def _registrations(text: str) -> list[Registration]:
    if text.startswith("{"):
        return [_registration(part.strip()) for part in _split(text[1:-1].strip())]
    return [_registration(text)]


def _split(text: str) -> list[str]:
    """At the semicolons that are in no inner braces."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign == "{") - (sign == "}")
        if sign == ";" and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _registration(text: str) -> Registration:
    if plain := re.fullmatch(rf"({_NAME})(?: ({_NUMBER}))?", text):
        return Registration(plain[1], int(plain[2], 0) if plain[2] else None)
    if built := re.fullmatch(rf"({_NAME}) new ({_KIND}) {{(.*)}}", text):
        parameters: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in built[3].split(";"))):
            pair = re.fullmatch(rf"({_NAME}): (.+)", part)
            if pair is None:
                raise SyntaxProblem(f"not understood: {part!r}")
            parameters[pair[1]] = _value(pair[2])
        return Registration(built[1], parameters.get("address"), built[2], parameters)
    raise SyntaxProblem(f"not understood: {text!r}")


def _value(text: str) -> int | bool | str:
    """Numbers and truth as such, strings in their quotation marks, names as they are."""
    if re.fullmatch(_NUMBER, text):
        return int(text, 0)
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(rf'"[^"]*"|{_NAME}', text):
        return text
    raise SyntaxProblem(f"not understood: {text!r}")


def commands_of(text: str, variables: Mapping[str, str]) -> list[list[str]]:
    """The monitor's commands of a script in the order in which they happen, as words with the variables put in.

    Args:
        variables: values of what is set before: ORIGIN, and what the script takes (`$elf`).

    Raises:
        SyntaxProblem: a form that our scripts do not use, or a variable without a value.
    """
    values = dict(variables)
    macros: dict[str, list[str]] = {}
    done: list[list[str]] = []
    lines = text.splitlines()

    def put_in(word: str) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1] not in values:
                raise SyntaxProblem(f"${match[1]} has no value")
            return values[match[1]]

        return re.sub(r"\$(\w+)", value, word)

    def run(line: str) -> None:
        line = line.strip()
        if not line or line.startswith(("#", ":")):
            return
        if match := re.fullmatch(r'\$(\w+)\?=(".*")', line):
            values.setdefault(match[1], match[2])
        elif match := re.fullmatch(r"runMacro \$(\w+)", line):
            if match[1] not in macros:
                raise SyntaxProblem(f"no macro {match[1]}")
            for inner in macros[match[1]]:
                run(inner)
        elif match := re.fullmatch(r"using (\w+)", line):
            done.append(["using", match[1]])
        elif re.fullmatch(r"[a-z]\w* [A-Za-z]\w*( \S+)*", line):
            done.append([put_in(word) for word in line.split(" ")])
        else:
            raise SyntaxProblem(f"not understood: {line!r}")

    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if macro := re.fullmatch(r"macro (\w+)", line):
            if at == len(lines) or lines[at] != '"""':
                raise SyntaxProblem(f'macro {macro[1]} is not followed by """')
            try:
                end = lines.index('"""', at + 1)
            except ValueError:
                raise SyntaxProblem(f"macro {macro[1]} has no end") from None
            macros[macro[1]] = lines[at + 1 : end]
            at = end + 1
        else:
            run(line)
    return done
