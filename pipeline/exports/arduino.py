"""`arduino`: a library for the Arduino IDE, arduino-cli and what reads such libraries."""

from __future__ import annotations

from pipeline.exports.form import Form

__all__ = ["FORM"]

FORM = Form("arduino", "Arduino library", compiles_with_flags=False)
