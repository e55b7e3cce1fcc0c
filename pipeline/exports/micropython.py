"""`micropython`: a user C module, `thimble.Model`."""

from __future__ import annotations

from pipeline.exports.form import Form

__all__ = ["FORM"]

FORM = Form("micropython", "MicroPython module", source="modules/{identifier}/src", compiles_with_flags=False)
