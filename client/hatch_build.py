"""Puts what the client shares with `thimble-mcu` into its distributions: files of `pipeline`, under another name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

SHARED = ("device", "errors.py", "py.typed", "version.py")


def shared_folder(root: str) -> Path:
    """Where the shared files lie: in the clone, or beside this file in a source distribution."""
    return next(folder for folder in (Path(root) / "pipeline", Path(root).parent / "pipeline") if folder.is_dir())


class CustomMetadataHook(MetadataHookInterface):
    """The version, from where it is said once."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (shared_folder(self.root) / "version.py").read_text(encoding="utf-8")
        metadata["version"] = re.findall(r'VERSION = "([^"]+)"', text)[0]


class CustomBuildHook(BuildHookInterface[Any]):
    """The files: in a wheel as `thimble_client`, in a source distribution as `pipeline`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        target = "thimble_client" if self.target_name == "wheel" else "pipeline"
        folder = shared_folder(self.root)
        for name in SHARED:
            path = folder / name
            files = [path] if path.is_file() else sorted(path.glob("*.py"))
            for file in files:
                build_data["force_include"][str(file)] = f"{target}/{file.relative_to(folder).as_posix()}"
        build_data["force_include"][str(folder.parent / "LICENSE")] = (
            "thimble_client/LICENSE" if self.target_name == "wheel" else "LICENSE"
        )
