"""Where the data that belongs to this package lies (templates, boards, models, platform descriptions), and where
things that outlive a run go."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["IN_CLONE", "ROOT", "cache_folder"]

_PACKAGE = Path(__file__).resolve().parent

IN_CLONE: Final = (_PACKAGE.parent / "firmware_templates").is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file()
"""Whether this runs from a clone of the repository, be it installed with `pip install -e` or not."""

ROOT: Final = _PACKAGE.parent if IN_CLONE else _PACKAGE / "_data"
"""Holds `firmware_templates`, `models` and `renode`: a clone, or the data of an installed wheel. Only commands for
developers write there."""


def cache_folder() -> Path:
    """Where to keep what is fetched once: `build` of a clone, else the user's cache (`~/.cache/thimble-mcu`)."""
    if IN_CLONE:
        return ROOT / "build"
    from platformdirs import user_cache_path

    return Path(user_cache_path("thimble-mcu", appauthor=False))
