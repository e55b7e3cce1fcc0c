"""Where the data that belongs to this package lies: templates, boards, models, platform descriptions."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ROOT"]

ROOT = Path(__file__).resolve().parent.parent
