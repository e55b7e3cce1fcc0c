"""What tasks of plain text have in common: there are no pairs, and any text is an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.tasks.task import Pair

__all__ = ["PlainTextTask"]


class PlainTextTask:
    """See `pipeline.tasks.task.Task`; subclasses give the text."""

    splits: Mapping[str, str] = {}
    baseline_splits: tuple[str, ...] = ()

    def held_out(self, data: Path, limit: int | None = None) -> dict[str, list[Pair]]:
        """None: text is measured by its likelihood."""
        return {}

    def prompts(self) -> tuple[str, ...]:
        """Nothing: the model begins."""
        return ("",)

    def examples(self) -> Sequence[Pair]:
        """None."""
        return ()

    def vocabulary(self) -> None:
        """Any text may come out."""

    def grammar(self) -> None:
        """Any text may come out."""

    def score(self, pairs: Sequence[Pair], answers: Sequence[str | None]) -> list[bool]:
        """Of no pairs no verdicts."""
        assert not pairs
        return []

    def baseline(self, pairs: Sequence[Pair]) -> list[bool]:
        """No tool of the field is asked."""
        return []
