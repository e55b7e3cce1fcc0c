"""Recorded digests, what they were recorded with, and how generated files compare with them."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from tests.golden.shapes import MODEL_FILE, Case

__all__ = ["Outcome", "Recorded", "compare", "digests_of", "environment", "recorded", "write"]

_PATH = Path(__file__).with_name("digests.json")
_PACKAGES = ("numpy", "tensorflow", "tf-keras", "home-assistant-intents", "hassil", "tokenizers")
_CPU = "cpu"


@dataclass(frozen=True)
class Recorded:
    """`environment`: versions of packages, and the processor's vector instructions. `cases`: of each case the SHA-256
    of each file."""

    environment: dict[str, str]
    cases: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Outcome:
    """What differs, a line a file; or why that cannot be judged here."""

    differences: tuple[str, ...] = ()
    skipped: str = ""


def environment() -> dict[str, str]:
    """What decides the numbers in a .tflite besides our code: package versions and the processor."""
    config = np.show_config(mode="dicts")
    features = config.get("SIMD Extensions", {}).get("found", []) if isinstance(config, dict) else []
    return {**{name: metadata.version(name) for name in _PACKAGES}, _CPU: " ".join([platform.machine(), *features])}


def recorded() -> Recorded:
    """The content of digests.json; empty where there is none."""
    if not _PATH.exists():
        return Recorded({}, {})
    content = json.loads(_PATH.read_text(encoding="utf-8"))
    return Recorded(content["environment"], content["cases"])


def write(content: Recorded) -> None:
    """Writes digests.json."""
    data = {"environment": content.environment, "cases": content.cases}
    _PATH.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def digests_of(case: Case, folder: Path) -> dict[str, str]:
    """Writes the case's files into a folder; the SHA-256 of each."""
    case.generate(folder)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def compare(case: Case, folder: Path) -> Outcome:
    """Generates the case's files and compares them with the recorded digests."""
    before, here = recorded(), environment()
    expected = before.cases.get(case.name)
    if expected is None:
        return Outcome((f"{case.name}: nothing is recorded; run python -m tests.golden --record",))
    if case.converted:
        changed_packages = [name for name in _PACKAGES if before.environment[name] != here[name]]
        if changed_packages:
            versions = ", ".join(f"{name} {before.environment[name]}, here {here[name]}" for name in changed_packages)
            return Outcome(skipped=f"recorded with {versions}")
    digests = digests_of(case, folder)
    if case.converted and digests[MODEL_FILE] != expected[MODEL_FILE] and before.environment[_CPU] != here[_CPU]:
        return Outcome(skipped="another .tflite, on a processor with other vector instructions than recorded")
    lines = [
        f"{case.name}: {name}: {_what(name, expected, digests)}"
        for name in sorted({*expected, *digests})
        if expected.get(name) != digests.get(name)
    ]
    if MODEL_FILE in expected and expected[MODEL_FILE] != digests.get(MODEL_FILE):
        lines.insert(0, f"{case.name}: the .tflite itself is another: not the compiler changed, but what comes before")
    return Outcome(tuple(lines))


def _what(name: str, expected: dict[str, str], digests: dict[str, str]) -> str:
    if name not in digests:
        return "recorded, and not written now"
    return "another content than recorded" if name in expected else "written now, and not recorded"
