"""The one exception that users see."""

from __future__ import annotations

__all__ = ["ThimbleError"]


class ThimbleError(Exception):
    """Something that the user can mend; the command line prints both parts and exits with status 1.

    Args:
        what: what is wrong, naming the file, key or tool.
        remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}\n  fix: {remedy}")
        self.what = what
        self.remedy = remedy
