"""`nox -s matrix`: the library under every compiler, option and target, as a table; arguments choose some of them."""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.kernels.builds import BUILDS, TARGETS, BuildFailed, missing_tools, outcome, reference


def main() -> int:
    """Prints the table; 1 where a build fails or computes something else."""
    parser = argparse.ArgumentParser(prog="nox -s matrix --", description=__doc__)
    parser.add_argument("--targets", default=",".join(TARGETS), help="of %(default)s")
    parser.add_argument("--builds", default="", help="those whose name has this in it")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    targets = [name for name in TARGETS if name in options.targets.split(",")]
    builds = [name for name in BUILDS if options.builds in name]
    console = Console()
    table = Table("library built with", *targets, title="what the kernels compute")
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        reference(folder)

        def row(target: str) -> list[str]:
            # One target after the other in a thread of its own: its builds share the plain bodies.
            cells = []
            for name in builds:
                cells.append(_cell(target, name, folder, faults))
                if cells[-1]:
                    console.print(f"{target}, {name}: {cells[-1]}", highlight=False)
            return cells

        with ThreadPoolExecutor(options.jobs) as pool:
            columns = list(pool.map(row, targets))
    for index, name in enumerate(builds):
        table.add_row(name, *(column[index] for column in columns))
    console.print(table)
    for fault in faults:
        console.print(fault, markup=False)
    return 1 if faults else 0


def _cell(target: str, name: str, folder: Path, faults: list[str]) -> str:
    build = BUILDS[name]
    if build.arm_only and not TARGETS[target].is_arm:
        return ""
    if missing := missing_tools(TARGETS[target], build):
        return f"no {missing[0]}"
    try:
        same = outcome(target, build, folder) == reference(folder)
    except BuildFailed as error:
        faults.append(f"{target}, {name}: {error}")
        return "[red]fails"
    if not same:
        faults.append(f"{target}, {name}: other numbers than plain C on this machine")
    return "[green]same" if same else "[red]other"


if __name__ == "__main__":
    sys.exit(main())
