"""Where recipes that several tests run share their stages, also with tests in other processes.

The runner itself takes a stage from there, by its fingerprint: what decides the bytes is the same.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["SHARED_STAGES", "shared_stages"]

SHARED_STAGES = "THIMBLE_TESTS_SHARED_STAGES"
"""The environment's variable with the folder; `tests/conftest.py` sets it for the time of a run."""


def shared_stages(default: Path) -> Path:
    """The folder, or the given one outside of pytest."""
    return Path(os.environ.get(SHARED_STAGES, default))
