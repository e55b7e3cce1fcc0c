"""What a stage's result depends on, in four parts, and how two of them differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.files import fingerprint

__all__ = ["Fingerprint", "differences"]


@dataclass(frozen=True)
class Fingerprint:
    """Everything that decides the bytes of a stage's result.

    Attributes:
        requested: what was asked for: the recipe's part, the inputs' digests, the board,
            and other files that the recipe names.
        modules: digests of the Python modules that do the work.
        data: digests of the other files of this package that the work reads.
        tools: versions of the programs and Python packages that they use.
    """

    requested: Mapping[str, Any]
    modules: Mapping[str, str]
    data: Mapping[str, str]
    tools: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all four."""
        return fingerprint(
            {"requested": self.requested, "modules": self.modules, "data": self.data, "tools": self.tools}
        )

    @cached_property
    def requested_digest(self) -> str:
        """SHA-256 over what was asked for alone."""
        return fingerprint({"requested": self.requested})

    def same_request(self, requested: Mapping[str, Any]) -> bool:
        """Whether the same was asked for, by a stamp that was kept as JSON."""
        return bool(json.loads(json.dumps(self.requested)) == requested)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Where two mappings of mappings differ: the key, dotted, and both values, None where one has none."""
    found: list[tuple[str, Any, Any]] = []
    for key in dict.fromkeys((*before, *now)):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += [(f"{key}.{inner}", *values) for inner, *values in differences(old, new)]
        elif old != new:
            found.append((key, old, new))
    return found
