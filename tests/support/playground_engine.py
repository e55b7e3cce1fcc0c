"""A page's engine in Node: what JavaScript makes of a WebAssembly module."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline import tools
from pipeline.text.codec import Codec, StructuredCodec

__all__ = ["drive", "module_of", "skip_without_clang", "skip_without_node"]

_DRIVER = Path(__file__).resolve().parent.parent / "playground" / "drive_engine.js"
_ENGINE = Path(__file__).resolve().parent.parent.parent / "pipeline" / "playground" / "engine.js"


def skip_without_clang() -> None:
    """Skips a test where the page's compiler is not installed."""
    for program in ("clang", "wasm-ld"):
        if tools.find(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install clang lld")


def skip_without_node() -> None:
    """Skips a test where there is no JavaScript outside of browsers."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed: apt-get install nodejs")


def module_of(page: Path) -> bytes:
    """The WebAssembly of a page."""
    (encoded,) = re.findall(r'id="module">([^<]*)<', page.read_text(encoding="utf-8"))
    return base64.b64decode(encoded)


def drive(module: Path, codec: Codec, requests: Sequence[dict[str, Any]]) -> list[Any]:
    """What the engine answers to requests of `drive_engine.js`, each of them well."""
    facts = {"first": codec.ids.first, "names": codec.ids.names} if isinstance(codec, StructuredCodec) else {}
    command = ["node", str(_DRIVER), str(_ENGINE), str(module), json.dumps(facts)]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(requests) and all("ok" in answer for answer in answers), answers
    return [answer["ok"] for answer in answers]
