"""Checks the digests of all generated C, or records them anew."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.golden.digests import Recorded, compare, digests_of, environment, recorded, write
from tests.golden.shapes import CASES


def main() -> int:
    """The exit status: 1 where something differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write digests.json anew instead of checking it")
    parser.add_argument("--fast", action="store_true", help="leave out what TensorFlow has to convert")
    parser.add_argument("--match", default="", help="only cases with this text in their names")
    options = parser.parse_args()
    chosen = [case for case in CASES if options.match in case.name and not (options.fast and case.slow)]
    before = recorded()
    if options.record and (options.match or options.fast) and before.environment not in ({}, environment()):
        print(
            "digests.json was recorded with other packages or on another processor: record all of it", file=sys.stderr
        )
        return 2
    recorded_cases = {case.name: before.cases[case.name] for case in CASES if case.name in before.cases}
    changed = skipped = 0
    for case in chosen:
        reason = case.unavailable()
        if reason:
            print(f"skipped: {case.name}: {reason}")
            skipped += 1
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            if options.record:
                digests = digests_of(case, Path(folder))
                different = recorded_cases.get(case.name) != digests
                recorded_cases[case.name] = digests
                lines = [f"recorded: {case.name}"] if different else []
            else:
                outcome = compare(case, Path(folder))
                if outcome.skipped:
                    print(f"skipped: {case.name}: {outcome.skipped}")
                    skipped += 1
                lines = list(outcome.differences)
                different = bool(lines)
        changed += different
        for line in lines:
            print(f"{line} ({time.monotonic() - started:.1f} s)", flush=True)
    print(f"{len(chosen)} cases, {changed} {'recorded anew' if options.record else 'differ'}, {skipped} skipped")
    if options.record:
        write(Recorded(environment(), recorded_cases))
        return 0
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
