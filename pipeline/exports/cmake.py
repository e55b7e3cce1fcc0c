"""`cmake`: a folder for add_subdirectory, or to be installed and found by find_package."""

from __future__ import annotations

from pipeline.exports.form import Form

__all__ = ["FORM"]

FORM = Form("cmake", "CMake package")
