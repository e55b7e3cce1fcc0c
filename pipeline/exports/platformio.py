"""`platformio`: a library for `lib_deps`."""

from __future__ import annotations

from pipeline.exports.form import Form

__all__ = ["FORM"]

FORM = Form("platformio", "PlatformIO library", compiles_with_flags=False)
