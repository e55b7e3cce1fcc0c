"""`cmsis-pack`: a pack for Keil, csolution and what reads packs."""

from __future__ import annotations

import zipfile
from pathlib import Path

from pipeline.exports.form import Form
from pipeline.exports.library import Library

__all__ = ["FORM"]

_NO_DATE = (1980, 1, 1, 0, 0, 0)
"""The least that an archive can say."""


def _pack(library: Library, out: Path) -> None:
    """Adds the archive of all files."""
    paths = sorted(path for path in out.rglob("*") if path.is_file())
    pack = out / f"Thimble.{library.package}.{library.version}.pack"
    with zipfile.ZipFile(pack, "w") as archive:
        for path in paths:
            entry = zipfile.ZipInfo(path.relative_to(out).as_posix(), _NO_DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


FORM = Form("cmsis-pack", "CMSIS-Pack", compiles_with_flags=False, finish=_pack)
