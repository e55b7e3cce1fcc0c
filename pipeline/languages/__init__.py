"""What a language adds to the text path and to training: one folder a language, one YAML file a purpose."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

from pipeline.errors import ThimbleError

__all__ = ["languages", "load_language_file"]

_FOLDER = Path(__file__).parent


def languages(purpose: str) -> tuple[str, ...]:
    """Codes of the languages that have a file of this purpose, sorted."""
    return tuple(sorted(path.parent.name for path in _FOLDER.glob(f"*/{purpose}.yaml")))


@cache
def load_language_file(code: str, purpose: str) -> Mapping[str, Any]:
    """The file `<code>/<purpose>.yaml`, of the language alone where `code` names a region too (`de-CH`).

    Raises:
        ThimbleError: the language has no such file.
    """
    for candidate in (code, code.split("-", maxsplit=1)[0]):
        path = _FOLDER / candidate / f"{purpose}.yaml"
        if path.is_file():
            return cast(Mapping[str, Any], yaml.safe_load(path.read_text(encoding="utf-8")))
    known = ", ".join(languages(purpose)) or "none"
    raise ThimbleError(f"the language {code!r} has no {purpose}.yaml", f"use one of: {known}")
