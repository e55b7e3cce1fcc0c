"""The same seed gives the same weights, bit by bit, in another process and after a stop on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.training.checkpointing import CHECKPOINT

ROOT = Path(__file__).resolve().parents[3]
KINDS = (
    ("train", "qat"),
    ("train with dropout", "distill", "prune with dropout", "prune heads", "fit to integers"),
)


def run(kinds: Sequence[str], folder: Path, stop: int = 0) -> subprocess.CompletedProcess[str]:
    """`tests.support.train_tiny`, some kinds of training in one process, which takes long to start."""
    command = [sys.executable, "-m", "tests.support.train_tiny", str(folder), str(stop), *kinds]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def digests(ended: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert ended.returncode == 0, ended.stderr
    return {kind: digest for digest, _, kind in (line.partition(" ") for line in ended.stdout.splitlines())}


def stopped_on_the_way(kinds: Sequence[str], folder: Path) -> dict[str, str]:
    """Digests of trainings that SIGTERM stopped after five steps, and that another process went on with."""
    stopped = run(kinds, folder, 5)
    assert stopped.returncode == 143, stopped.stderr
    assert stopped.stdout.splitlines() == [f"stopped {kind}" for kind in kinds]
    assert len(list(folder.glob(f"*/{CHECKPOINT}"))) == len(kinds)
    return digests(run(kinds, folder))


@pytest.mark.slow
@pytest.mark.variants(keep=0)
@pytest.mark.parametrize("kinds", KINDS)
def test_processes_agree_with_and_without_a_stop(kinds: Sequence[str], tmp_path: Path) -> None:
    whole = digests(run(kinds, tmp_path / "whole"))
    assert whole.keys() == set(kinds) and all(len(digest) == 64 for digest in whole.values())
    assert stopped_on_the_way(kinds, tmp_path / "cut") == whole
