"""One target in a process of its own, with limits of time and memory: `python -m tests.fuzz.worker TARGET …`.

A fault is an exception that is no `ThimbleError`, an input that takes longer than its limit or more memory, a message
that no terminal should show, or a file written outside of the folder `build` of the input's own place.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from pipeline.errors import ThimbleError
from tests.fuzz.targets import TARGETS

__all__ = ["main", "message_fault"]

_CHUNK = 500
"""Inputs between two looks at the clock."""
_MEMORY = 1 << 30
"""Bytes that inputs may take beyond what the process has when it begins."""
_LONGEST_MESSAGE = 100_000
_BLOCKED = 20
"""Times the limit, which is of the processor's time, after which an input counts as waiting for something."""
_WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "shutil.rmtree"}


class _TooLong(BaseException):
    """An input took longer than its limit."""


class _Watch:
    """Notes what is written outside of the allowed folders, by an audit hook, which can only be muted."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] = ()
        self.outside: list[str] = []
        self.active = False
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "open":
            flags = arguments[2]
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event not in _WRITES:
            return
        base = arguments[-1] if event != "open" and isinstance(arguments[-1], int) else -1
        folder = f"/proc/self/fd/{base}" if base >= 0 else ""
        for path in arguments[: 2 if event in ("os.rename", "os.link") else 1]:
            if isinstance(path, str | bytes | os.PathLike):
                real = os.path.realpath(os.path.join(folder, os.fsdecode(path)))
                if not real.startswith(self.allowed) and real != os.devnull:
                    self.outside.append(f"{event} {real}")


def _alarm(number: int, frame: FrameType | None) -> None:
    raise _TooLong


def _signature(error: BaseException) -> str:
    """What tells faults apart: the error's type, and the last lines of ours in its traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/pipeline/" in frame.filename]
    place = " < ".join(f"{Path(frame.filename).name}:{frame.name}" for frame in reversed(frames[-2:]))
    return f"{type(error).__name__} in {place or 'the check'}: {str(error)[:80]!r}" if not frames else (
        f"{type(error).__name__} in {place}"
    )  # fmt: skip


def message_fault(error: ThimbleError) -> str:
    """What is wrong with a message; empty where nothing is."""
    text = str(error)
    if len(text) > _LONGEST_MESSAGE:
        return f"a message of {len(text):,} letters"
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in text) or "\x7f" in text:
        return "control characters in a message"
    return "" if error.what.strip() and error.remedy.strip() else "a message without a remedy"


class Campaign:
    """Inputs tried, and what came of them."""

    def __init__(self, folder: Path, seconds_each: float) -> None:
        self.folder, self.seconds_each = folder, seconds_each
        self.counts = {"tried": 0, "accepted": 0, "refused": 0, "faults": 0}
        self.faults: dict[str, dict[str, Any]] = {}
        self.watch = _Watch()
        self.slowest = 0.0

    def fault(self, signature: str, data: bytes, details: str) -> None:
        """Keeps the smallest input of each kind of fault."""
        self.counts["faults"] += 1
        known = self.faults.get(signature)
        count = known["count"] + 1 if known else 1
        if known is None or len(data) < known["bytes"]:
            name = hashlib.sha256(signature.encode()).hexdigest()[:12]
            (self.folder / name).write_bytes(data)
            (self.folder / f"{name}.txt").write_text(f"{signature}\n\n{details}\n", encoding="utf-8", errors="replace")
            known = {"bytes": len(data), "file": name}
        self.faults[signature] = {**known, "count": count}

    def check(self, target: Any, place: Path, data: bytes) -> None:
        """One input."""
        self.counts["tried"] += 1
        self.watch.outside.clear()
        outcome, details, started = "accepted", "", time.process_time()
        try:
            with self._limited():
                target(place, data)
        except ThimbleError as error:
            outcome = message_fault(error) or "refused"
            details = str(error)[:2000]
        except _TooLong as error:
            outcome, details = f"longer than {self.seconds_each:g} s: {_signature(error)}", traceback.format_exc()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            outcome, details = _signature(error), traceback.format_exc()[-6000:]
        self.slowest = max(self.slowest, time.process_time() - started)
        if self.watch.outside:
            outcome, details = "a file outside of the build folder", "\n".join(self.watch.outside)
        if any((place / "build").iterdir()):
            self.tidy(place)
        if outcome in self.counts:
            self.counts[outcome] += 1
        else:
            self.fault(outcome, data, details)

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        self.watch.active = True
        signal.setitimer(signal.ITIMER_PROF, self.seconds_each)
        signal.setitimer(signal.ITIMER_REAL, _BLOCKED * self.seconds_each)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.watch.active = False

    def tidy(self, place: Path) -> None:
        """Empties the build folder."""
        shutil.rmtree(place / "build")
        (place / "build").mkdir()


def _limit_memory() -> None:
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + _MEMORY, hard))


def main() -> int:
    """Runs a target, and prints a JSON object of counts and faults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=list(TARGETS))
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--each", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    faulthandler.enable()
    options.out.mkdir(parents=True, exist_ok=True)
    target = TARGETS[options.target]
    with tempfile.TemporaryDirectory(prefix="thimble-fuzz-") as temporary:
        place = Path(temporary).resolve() / "a" / "b" / "c" / "d" / "e" / "f"
        given_files = place / "given"
        given_files.mkdir(parents=True)
        (place / "build").mkdir()
        os.chdir(place)
        campaign = Campaign(options.out.resolve(), options.each)
        campaign.watch.allowed = (f"{place}/build", f"{given_files}/")
        check = target.prepare(given_files)
        inputs = target.inputs()
        signal.signal(signal.SIGALRM, _alarm)
        signal.signal(signal.SIGPROF, _alarm)
        for data in _seeds_of(options.target):
            campaign.check(check, place, data)
        _limit_memory()
        started, chunk = time.monotonic(), 0
        while campaign.counts["tried"] < options.inputs and time.monotonic() - started < options.seconds:
            count = min(_CHUNK, options.inputs - campaign.counts["tried"])

            @seed(options.seed * 1_000_003 + chunk)
            @settings(
                max_examples=count,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(inputs)
            def run(data: bytes) -> None:
                (place / "last").write_bytes(data)
                campaign.check(check, place, data)

            run()
            chunk += 1
    result = {"counts": campaign.counts, "faults": campaign.faults, "slowest": round(campaign.slowest, 2)}
    print(json.dumps(result))
    return 0


def _seeds_of(target: str) -> list[bytes]:
    """What was found once is tried first: `corpus/TARGET/found`."""
    from tests.fuzz.targets import CORPUS

    folder = CORPUS / "found" / target
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


if __name__ == "__main__":
    sys.exit(main())
