"""The version, said once: the distribution takes it from here."""

from __future__ import annotations

__all__ = ["VERSION"]

VERSION = "0.2.0"
