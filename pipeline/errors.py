"""The errors that users see.

    ThimbleError
    ├── ConfigError          a recipe, board or sweep says what cannot be: file and keys
    ├── MissingTool          a program or library is not installed
    ├── UnsupportedModel     a model uses what the compiler or an engine does not have
    ├── DeviceError          a board answered with an error, or broke the protocol
    ├── VerificationFailed   a device or the generated C computes something else than the reference
    └── PartialFailure       of several boards some did not make it

Each says what is wrong and what to do about it. Where none of these kinds fits, it is a plain `ThimbleError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "ConfigError",
    "DeviceError",
    "MissingTool",
    "PartialFailure",
    "Problem",
    "ThimbleError",
    "UnsupportedModel",
    "VerificationFailed",
]


class ThimbleError(Exception):
    """Base of errors that the user can fix; the command line prints both parts and exits with status 1.

    Args:
        what: what is wrong, naming the file, key or tool; may have several lines.
        remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}\n  fix: {remedy}")
        self.what = what
        self.remedy = remedy


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
        lines = "".join(f"\n  {problem.what}; {problem.remedy}" for problem in self.problems)
        super().__init__(f"{place}{len(self.problems)} errors{lines}", "mend each of these keys")


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
