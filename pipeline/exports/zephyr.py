"""`zephyr`: a module for west, with a sample and a shell command."""

from __future__ import annotations

from pipeline.exports.form import Form

__all__ = ["FORM"]

FORM = Form("zephyr", "Zephyr module")
