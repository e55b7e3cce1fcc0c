"""The errors that users see.

    ThimbleError
    ├── ConfigError          a recipe, board or sweep says what cannot be: file and keys
    │   └── MissingFile      or there is no such file
    ├── MissingTool          a program or library is not installed
    ├── UnsupportedModel     a model uses what the compiler or an engine does not have
    ├── DeviceError          a board answered with an error, or broke the protocol
    ├── VerificationFailed   a device or the generated C computes something else than the reference
    └── PartialFailure       of several boards some did not make it

Each says what is wrong and what to do about it. Where none of these kinds fits, it is a plain `ThimbleError`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "ConfigError",
    "DeviceError",
    "MissingFile",
    "MissingTool",
    "PartialFailure",
    "Problem",
    "ThimbleError",
    "UnsupportedModel",
    "VerificationFailed",
]


_MAX_LINE = 1_000
_MAX_PROBLEMS = 30
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _printable(text: str) -> str:
    """A message as any terminal may show it: what files and names hold controls nothing, and has an end."""
    text = _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    lines = (line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}…" for line in text.split("\n"))
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode()


class ThimbleError(Exception):
    """Base of errors that the user can fix; the command line prints both parts and exits with status 1.

    Args:
        what: what is wrong, naming the file, key or tool; may have several lines.
        remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = _printable(what), _printable(remedy)
        super().__init__(f"{self.what}\n  fix: {self.remedy}")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a configuration file.

    Attributes:
        key: the dotted key, such as `train.steps`; empty for the file as a whole.
        what: what is wrong, naming the key.
        remedy: what is allowed there.
    """

    key: str
    what: str
    remedy: str


class ConfigError(ThimbleError):
    """A configuration file says what cannot be; names all that is wrong at once.

    Args:
        file: the file, or whatever else holds the keys; empty where there is none.
        problems: at least one.
    """

    def __init__(self, file: object, problems: Sequence[Problem]) -> None:
        self.file = str(file)
        self.problems = tuple(problems)
        self.key = self.problems[0].key
        place = f"{file}: " if self.file else ""
        if len(self.problems) == 1:
            super().__init__(place + self.problems[0].what, self.problems[0].remedy)
            return
        lines = "".join(f"\n  {problem.what}; {problem.remedy}" for problem in self.problems[:_MAX_PROBLEMS])
        if len(self.problems) > _MAX_PROBLEMS:
            lines += f"\n  and {len(self.problems) - _MAX_PROBLEMS:,} more"
        super().__init__(f"{place}{len(self.problems)} errors{lines}", "mend each of these keys")


class MissingFile(ConfigError, FileNotFoundError):
    """A configuration file that is not there; who knows what else it may be called catches it as FileNotFoundError."""


class MissingTool(ThimbleError):
    """A program, library or package that the work needs is not installed."""


class UnsupportedModel(ThimbleError):
    """A model that is whole, but uses what the compiler or the chosen engine does not have."""


class DeviceError(ThimbleError):
    """The device answered `ERR code text`, or reported a fault (`code` is then `fault`), or broke the protocol."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"the board answered {code}: {text}", "docs/protocol.md lists what the board accepts")
        self.code = code
        self.text = text


class VerificationFailed(ThimbleError):
    """What was built does not compute what the reference computes."""


class PartialFailure(ThimbleError):
    """Some of a recipe's boards failed; `finished` names the others."""

    def __init__(self, what: str, remedy: str, finished: Sequence[str]) -> None:
        super().__init__(what, remedy)
        self.finished = tuple(finished)
