"""Tests of this folder run a compiled step as a plain graph."""

from tests.support.without_xla import without_xla

__all__ = ["without_xla"]
