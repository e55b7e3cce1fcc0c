"""The same seed gives the same weights, bit by bit, in another process and after a stop on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.training.checkpointing import CHECKPOINT

ROOT = Path(__file__).resolve().parents[3]
KINDS = (
    "train",
    "train with dropout",
    "distill",
    "prune with dropout",
    "prune heads",
    "qat",
    "fit to integers",
)


def run(folder: Path, stop: int = 0) -> subprocess.CompletedProcess[str]:
    """`tests.support.train_tiny`, all kinds of training in one process, which takes long to start."""
    command = [sys.executable, "-m", "tests.support.train_tiny", str(folder), str(stop), *KINDS]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def digests(ended: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert ended.returncode == 0, ended.stderr
    return {kind: digest for digest, _, kind in (line.partition(" ") for line in ended.stdout.splitlines())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests by kind, of trainings that nothing stopped."""
    return digests(run(tmp_path_factory.mktemp("whole")))


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of trainings that SIGTERM stopped after five steps, and that another process went on with."""
    folder = tmp_path_factory.mktemp("cut")
    stopped = run(folder, 5)
    assert stopped.returncode == 143, stopped.stderr
    assert stopped.stdout.splitlines() == [f"stopped {kind}" for kind in KINDS]
    assert len(list(folder.glob(f"*/{CHECKPOINT}"))) == len(KINDS)
    return digests(run(folder))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_processes_agree_with_and_without_a_stop(kind: str, whole: dict[str, str], resumed: dict[str, str]) -> None:
    assert len(whole[kind]) == 64
    assert resumed[kind] == whole[kind]
