"""A campaign of wrong inputs against everything that reads one; prints a table, and ends with 1 after a fault.

The smallest input of each fault is kept in `build/fuzz/TARGET`, with its traceback beside it. The same seed tries the
same inputs; with `--minutes` as many as there is time for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    """The exit status."""
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="may repeat (default: all)")
    parser.add_argument("--minutes", type=float, help="in all, shared by the targets (default: no limit)")
    parser.add_argument("--inputs", type=int, default=0, help="of each target (default: 1000, or any with --minutes)")
    parser.add_argument("--seed", type=int, default=1, help="decides the inputs (default: 1)")
    parser.add_argument("--each", type=float, default=10.0, help="seconds that one input may take (default: 10)")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "fuzz", help="where faults go (default: build/fuzz)"
    )
    options = parser.parse_args()
    targets = options.target or list(TARGETS)
    seconds = options.minutes * 60 / len(targets) if options.minutes else 1e9
    inputs = options.inputs or (10**9 if options.minutes else 1000)
    print(f"{'target':16}{'tried':>9}{'accepted':>10}{'refused':>9}{'faults':>8}{'kinds':>7}{'slowest':>9}")
    bad = 0
    for target in targets:
        limits = [
            "--seconds",
            str(seconds),
            "--inputs",
            str(inputs),
            "--seed",
            str(options.seed),
            "--each",
            str(options.each),
        ]
        command = [sys.executable, "-m", "tests.fuzz.worker", target, *limits, "--out", str(options.out / target)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{target:16}the process ended with {done.returncode}: {done.stderr.strip()[-3000:]}")
            bad += 1
            continue
        result = json.loads(done.stdout.strip().splitlines()[-1])
        counts, faults = result["counts"], result["faults"]
        figures = (counts["tried"], counts["accepted"], counts["refused"], counts["faults"], len(faults))
        widths = (9, 10, 9, 8, 7)
        columns = "".join(f"{figure:>{width},}" for figure, width in zip(figures, widths, strict=True))
        print(f"{target:16}{columns}{result['slowest']:>8.1f}s", flush=True)
        for signature, fault in sorted(faults.items(), key=lambda item: -item[1]["count"]):
            kept = options.out / target / fault["file"]
            print(f"    {fault['count']:>6} × {signature} ({fault['bytes']} bytes: {kept})")
        bad += bool(faults)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
