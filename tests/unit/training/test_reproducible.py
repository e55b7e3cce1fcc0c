"""The same seed gives the same weights, bit by bit, in another process and after a stop on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.training.checkpointing import CHECKPOINT

ROOT = Path(__file__).resolve().parents[3]


def run(kind: str, dropout: float, folder: Path, *stop: int) -> subprocess.CompletedProcess[str]:
    """`tests.support.train_tiny` in a process of its own."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.support.train_tiny", kind, str(dropout), str(folder), *map(str, stop)]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("kind", "dropout"),
    [("train", 0.0), ("train", 0.05), ("distill", 0.0), ("prune", 0.05), ("prune heads", 0.0), ("qat", 0.0)],
)
def test_processes_agree_with_and_without_a_stop(kind: str, dropout: float, tmp_path: Path) -> None:
    whole = run(kind, dropout, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    cut = tmp_path / "cut"
    assert run(kind, dropout, cut, 5).returncode == 143
    assert (cut / CHECKPOINT).exists()
    resumed = run(kind, dropout, cut)
    assert resumed.returncode == 0, resumed.stderr
    assert len(whole.stdout.strip()) == 64
    assert resumed.stdout == whole.stdout
