"""`nox -s renode_tests` from the recipe to the suites' report, with programs over QEMU in the place of Renode's.

What `tests/renode/renode_mirror.py` and `qemu_mirror.py` stand in for is Renode; everything on this side of it is real.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from pipeline import tools
from pipeline.commands.main import main
from pipeline.resources import ROOT
from tests.e2e.conftest import WholeRun

MIRROR = Path(__file__).resolve().parent.parent / "renode"

RENODE = """#!/bin/sh
exec {python} {mirror}/renode_mirror.py "$@"
"""
# Robot wants the files last.
RENODE_TEST = """#!{python}
import os, sys
files = [word for word in sys.argv[1:] if word.endswith(".robot")]
options = [word for word in sys.argv[1:] if word not in files]
os.environ["PYTHONPATH"] = "{root}"
keywords = ["--variable", "RENODEKEYWORDS:{mirror}/qemu_mirror.resource"]
os.execv(sys.executable, [sys.executable, "-m", "robot", *keywords, *options, *files])
"""


@pytest.fixture
def in_place_of_renode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.require("qemu-system-arm")
    for name, text in (("renode", RENODE), ("renode-test", RENODE_TEST)):
        program = tmp_path / name
        program.write_text(text.format(python=sys.executable, mirror=MIRROR, root=ROOT))
        program.chmod(0o755)
    monkeypatch.setenv("RENODE", str(tmp_path))


@pytest.mark.slow
def test_both_emulators_agree_and_the_suites_pass(
    whole_run: WholeRun, in_place_of_renode: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build = tmp_path / "build"
    shutil.copytree(whole_run.workspace.folder.parent, build)
    assert main(["renode", "suites", str(whole_run.recipe.path), "--build", str(build)]) == 0, capfd.readouterr()
    printed = capfd.readouterr().out
    assert "counts within 0.1 %" in printed
    assert "6 tests, 6 passed, 0 failed" in printed
    folder = build / whole_run.recipe.name
    assert (folder / "renode" / whole_run.target_key / "log.html").is_file()
    result = json.loads((folder / whole_run.target_key / "result.json").read_text())
    assert result["ok"]
    assert result["emulator"] == {"name": "renode", "version": "0.0.0"}
