"""A campaign of wrong inputs against everything that reads one; prints a table, and ends with 1 after a fault.

The smallest input of each fault is kept in `build/fuzz/TARGET`, with its traceback beside it. The same seed tries the
same inputs; with `--minutes` as many as there is time for. Targets that begin with `c-` are the device's C under
libFuzzer, which takes clang; what they accept is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.errors import ThimbleError

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    """The exit status."""
    from tests.fuzz.c_targets import C_TARGETS
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", action="append", choices=[*TARGETS, *C_TARGETS], help="may repeat (default: all)")
    parser.add_argument("--minutes", type=float, help="in all, shared by the targets (default: no limit)")
    parser.add_argument("--inputs", type=int, default=0, help="of each target (default: 1000, or any with --minutes)")
    parser.add_argument("--seed", type=int, default=1, help="decides the inputs (default: 1)")
    parser.add_argument("--each", type=float, default=10.0, help="seconds that one input may take (default: 10)")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "fuzz", help="where faults go (default: build/fuzz)"
    )
    options = parser.parse_args()
    targets = options.target or [*TARGETS, *C_TARGETS]
    seconds = options.minutes * 60 / len(targets) if options.minutes else 1e9
    inputs = options.inputs or (10**9 if options.minutes else 1000)
    print(f"{'target':16}{'tried':>10}{'accepted':>10}{'refused':>9}{'faults':>8}{'kinds':>7}{'slowest':>9}")
    bad = 0
    for target in targets:
        run = _run_c if target in C_TARGETS else _run
        bad += run(target, options, seconds, inputs)
    return 1 if bad else 0


def _run(target: str, options: Any, seconds: float, inputs: int) -> bool:
    """Whether a target of Python's has faults."""
    limits = ["--seconds", seconds, "--inputs", inputs, "--seed", options.seed, "--each", options.each]
    arguments = [target, *map(str, limits), "--out", str(options.out / target)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "tests.fuzz.worker", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{target:16}the process ended with {done.returncode}: {done.stderr.strip()[-3000:]}")
        return True
    result = json.loads(done.stdout.strip().splitlines()[-1])
    counts, faults = result["counts"], result["faults"]
    figures = (counts["tried"], counts["accepted"], counts["refused"], counts["faults"], len(faults))
    columns = "".join(f"{figure:>{width},}" for figure, width in zip(figures, (10, 10, 9, 8, 7), strict=True))
    print(f"{target:16}{columns}{result['slowest']:>8.1f}s", flush=True)
    for signature, fault in sorted(faults.items(), key=lambda item: -item[1]["count"]):
        kept = options.out / target / fault["file"]
        print(f"    {fault['count']:>6} × {signature} ({fault['bytes']} bytes: {kept})")
    return bool(faults)


def _run_c(target: str, options: Any, seconds: float, inputs: int) -> bool:
    """Whether a target of the device's C has a fault, which ends it."""
    from tests.fuzz.c_targets import C_TARGETS, fuzz

    out = options.out / target
    try:
        with tempfile.TemporaryDirectory(prefix="thimble-fuzz-") as folder:
            result = fuzz(C_TARGETS[target], Path(folder) / "work", out, inputs, seconds, options.seed, options.each)
    except ThimbleError as error:
        print(f"{target:16}not run: {error.what} ({error.remedy})", flush=True)
        return False
    faults = int(bool(result.fault))
    print(
        f"{target:16}{result.tried:>10,}{'-':>10}{'-':>9}{faults:>8}{faults:>7}  {result.covered:,} edges", flush=True
    )
    if result.fault:
        print(f"    {result.fault} ({result.kept})")
    return bool(result.fault)


if __name__ == "__main__":
    sys.exit(main())
