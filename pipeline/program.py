"""What this program is called, for usage and remedies: the user types what they read."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["command", "program"]


def program() -> str:
    """`thimble`, or `python -m pipeline` or `python -m thimble` where it was started so."""
    started = Path(sys.argv[0]) if sys.argv else Path()
    if started.name == "__main__.py" and started.parent.name in ("pipeline", "thimble"):
        return f"python -m {started.parent.name}"
    return "thimble"


def command(arguments: str) -> str:
    """The command line of a command, such as `thimble boards` for `boards`."""
    return f"{program()} {arguments}"
