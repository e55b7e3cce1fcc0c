"""The Python scripts that lie in a firmware project."""

from __future__ import annotations

import importlib.util
from typing import Any

from pipeline.firmware.project import TEMPLATES

__all__ = ["project_script"]


def project_script(name: str) -> Any:
    """The module `cmake/NAME.py` of a project."""
    spec = importlib.util.spec_from_file_location(name, TEMPLATES / "cmake" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
