"""What a model of another project has that Thimble does not: all of it at once, each with what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import UnsupportedModel

__all__ = ["Facts", "Refusals"]


class Refusals:
    """Reasons why a model cannot be imported."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._reasons: list[tuple[str, str]] = []

    def add(self, what: str, remedy: str) -> None:
        """One reason.

        Args:
            what: what the model has, naming key, tensor or token.
            remedy: what mends it.
        """
        if (what, remedy) not in self._reasons:
            self._reasons.append((what, remedy))

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def check(self) -> None:
        """Ends the import where there are reasons.

        Raises:
            UnsupportedModel: all of them.
        """
        if not self._reasons:
            return
        if len(self._reasons) == 1:
            (what, remedy) = self._reasons[0]
            raise UnsupportedModel(f"{self._source} cannot be imported: {what}", remedy)
        lines = "".join(f"\n  {what}; {remedy}" for what, remedy in self._reasons)
        raise UnsupportedModel(
            f"{self._source} cannot be imported, for {len(self._reasons)} reasons:{lines}",
            "mend each of these, or take another model; docs/import.md has what is supported",
        )


class Facts:
    """Reads what a file says of its model; what is missing or of another type is a reason to refuse.

    Args:
        data: the file's keys.
        name: of the file, for messages.
        refusals: gets the reasons.
    """

    def __init__(self, data: Mapping[str, Any], name: str, refusals: Refusals) -> None:
        self._data, self._name, self._refusals = data, name, refusals

    def get(self, *keys: str) -> Any:
        """What the first of these keys that is there says; None where none is."""
        return next((self._data[key] for key in keys if self._data.get(key) is not None), None)

    def whole(self, *keys: str, default: int | None = None) -> int:
        """A whole number above 0; 1 where it is refused."""
        value = self.get(*keys)
        value = default if value is None else value
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31:
            return value
        self._refuse(keys[0], value, "a whole number above 0")
        return 1

    def number(self, *keys: str, default: float | None = None) -> float:
        """A number above 0; 1 where it is refused."""
        value = self.get(*keys)
        value = default if value is None else value
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"):
            return float(value)
        self._refuse(keys[0], value, "a number above 0")
        return 1.0

    def flag(self, key: str, default: bool) -> bool:
        """A truth value."""
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            self._refuse(key, value, "true or false")
            return default
        return default if value is None else value

    def _refuse(self, key: str, value: object, wanted: str) -> None:
        what = f"{self._name} has no `{key}`" if value is None else f"{self._name} has `{key}` {value!r:.40}"
        self._refusals.add(what, f"give {wanted}")
