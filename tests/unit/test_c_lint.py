"""The lint of C finds what it is there for, and its exceptions are of one file each."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.resources import ROOT
from tests.c_lint import CPPCHECK_EXCEPTIONS, unexpected

FAULT = """#include <stdint.h>
int32_t first(const int32_t *values, int32_t count)
{
    if (values[0] == count) {
        return values[1];
    } else {
        return values[1];
    }
}
"""


def test_an_exception_is_for_its_file_alone() -> None:
    lines = [
        "x/other.c:3: zerodiv: Division by zero.",
        "x/thimble_answer.c:3: zerodiv: Division by zero.",
        "broken off",
    ]
    assert unexpected(lines) == [lines[0], lines[2]]


def test_each_exception_names_files_that_exist() -> None:
    names = {path.name for path in (ROOT / "firmware_templates").rglob("*.[ch]")}
    assert {name for files in CPPCHECK_EXCEPTIONS.values() for name in files} <= names


def test_clang_tidy_finds_a_fault(tmp_path: Path) -> None:
    program = shutil.which("clang-tidy")
    if program is None:
        pytest.skip("clang-tidy is in the environment of `nox -s lint` alone")
    (tmp_path / "fault.c").write_text(FAULT)
    command = [program, "--quiet", f"--config-file={ROOT / '.clang-tidy'}", str(tmp_path / "fault.c"), "--", "-std=c99"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode and "bugprone-branch-clone" in done.stdout
