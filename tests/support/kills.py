"""Kills processes at work in a workspace, at any moment, and looks at what is left.

`python -m tests.support.kills --count 1000` prints how often which stage's result was found.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline.workflow.fingerprint import Fingerprint
from pipeline.workflow.workspace import State, Workspace

__all__ = ["kill_and_look"]

_STAGES = ("data", "train", "firmware")
_TARGET = {"firmware": "board-thimble"}
_FILES = 6
_LONGEST = 0.03
"""Seconds until a process is killed: some rounds of its work."""


def kill_and_look(root: Path, count: int, seed: int = 1) -> Counter[str]:
    """Starts a process that makes stages anew without end, kills it, looks, and does so again.

    Args:
        root: an empty folder.
        count: of kills.
        seed: decides the moments.

    Returns:
        How often a stage held what its last finished work had made, and how often what was being finished.

    Raises:
        AssertionError: what was finished is lost, or a folder is neither whole nor absent, or a next run cannot work.
    """
    rng, found = random.Random(seed), Counter[str]()
    for _ in range(count):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _work(root, writer)
        os.close(writer)
        time.sleep(rng.random() * _LONGEST)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reader, encoding="ascii") as pipe:
            said = [line.split() for line in pipe.read().splitlines(keepends=True) if line.endswith("\n")]
        finished = {stage: int(number) for stage, number in said}
        found.update(_look(root, finished))
    return found


def _fingerprint(number: int) -> Fingerprint:
    return Fingerprint(requested={"number": number}, modules={}, data={}, tools={})


def _work(root: Path, writer: int) -> None:
    """Finishes stages, and says of each that it did; never returns."""
    try:
        workspace = Workspace(root, "recipe")
        with workspace.locked():
            stamp = workspace.stamp(_STAGES[0])
            number = int(stamp.note) if stamp is not None else 0
            while True:
                number += 1
                for stage in _STAGES:
                    _make(workspace, stage, number)
                    os.write(writer, f"{stage} {number}\n".encode("ascii"))
    finally:
        os._exit(1)


def _make(workspace: Workspace, stage: str, number: int) -> None:
    target, fingerprint = _TARGET.get(stage, ""), _fingerprint(number)
    partial = workspace.begin(stage, target, fingerprint.digest, resumable=False)
    for index in range(_FILES):
        (partial / f"file{index}").write_text(f"{number}\n" * 50, encoding="ascii")
    workspace.finish(stage, target, partial, fingerprint, 0.0, str(number))


def _look(root: Path, finished: dict[str, int]) -> Counter[str]:
    """What a next run finds; it can work too."""
    found = Counter[str]()
    workspace = Workspace(root, "recipe")
    with workspace.locked():
        for stage in _STAGES:
            target = _TARGET.get(stage, "")
            stamp = workspace.stamp(stage, target)
            if stamp is None:
                assert stage not in finished, f"{stage} was finished, and is lost"
                assert not workspace.stage(stage, target).exists(), f"{stage} has no stamp"
                continue
            number = int(stamp.note)
            assert number >= finished.get(stage, 0), f"{stage} holds an older result"
            assert workspace.staleness(stage, target, _fingerprint(number)) is State.CURRENT, f"{stage} is not whole"
            found["finished" if number == finished.get(stage) else "being finished, or before"] += 1
        assert not [*workspace.folder.glob(".*.old"), *workspace.folder.glob("*/.*.old")]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="of kills (1000)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="thimble-kills-") as folder:
        found = kill_and_look(Path(folder), options.count, options.seed)
    print(f"{options.count} kills; results found: {dict(found)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
