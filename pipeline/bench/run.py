"""`python -m benchmarks`: measures, prints tables, and writes bench.json and bench.png."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.bench import charts, tables
from pipeline.bench.cores import CORES
from pipeline.bench.measure import compressed_rows, float_rows, kernel_rows, model_rows
from pipeline.bench.rows import Row, as_dict
from pipeline.bench.shapes import COMPRESSED, DEPTHS, MODELS, ROWS, load_models
from pipeline.bench.tflm import tflm_rows
from pipeline.errors import ThimbleError
from pipeline.files import write_json
from pipeline.tools import version

Job = tuple[str, Callable[[], Iterator[Row]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0, or 1 with one line that says what was wrong."""
    options = _parser().parse_args(arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)  # the tables whole
    try:
        rows = _measure(options, console)
    except ThimbleError as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", highlight=False)
        return 1
    _write(rows, options.build / "bench", console)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--cores", type=_words(tuple(CORES)), default=tuple(CORES), help=f"of {','.join(CORES)}")
    parser.add_argument("--models", type=_words(MODELS), default=MODELS, help=f"of {','.join(MODELS)}")
    parser.add_argument("--quick", action="store_true", help="two depths, one model, no peers of whole models")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where models and results lie")
    return parser


def _words(allowed: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        words = tuple(text.split(","))
        unknown = [word for word in words if word not in allowed]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(allowed)}")
        return words

    return parse


def _measure(options: argparse.Namespace, console: Console) -> list[Row]:
    folder: Path = options.build / "bench"
    names = options.models[:1] if options.quick else options.models
    models = load_models(names, options.build, console)
    depths = (64, 128) if options.quick else DEPTHS
    jobs: list[Job] = []
    for key in options.cores:
        core = CORES[key]
        for depth in depths:
            path = folder / key / f"product_{depth}"
            jobs.append((f"{core.name}: depth {depth}", lambda c=core, d=depth, p=path: kernel_rows(c, d, ROWS, p)))  # type: ignore[misc]
        for model in models:
            path = folder / key / model.name
            jobs.append((f"{core.name}: {model.name}", lambda c=core, m=model, p=path: model_rows(c, m, p)))  # type: ignore[misc]
            if not options.quick:
                what = f"{core.name}: {model.name} in float"
                jobs.append((what, lambda c=core, m=model, p=path: float_rows(c, m, p / "float")))  # type: ignore[misc]
                what = f"{core.name}: {model.name} on TensorFlow Lite Micro"
                jobs.append((what, lambda c=core, m=model, p=path: tflm_rows(c, m, p / "tflm")))  # type: ignore[misc]
        compressed = [model for model in models if model.name == COMPRESSED and not options.quick]
        for model in compressed:
            path = folder / key / f"{model.name}-compressed"
            jobs.append((f"{core.name}: structures", lambda c=core, m=model, p=path: compressed_rows(c, m, p)))  # type: ignore[misc]
    rows: list[Row] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("measuring", total=len(jobs))
        for what, job in jobs:
            progress.update(bar, description=what)
            rows += job()
            progress.advance(bar)
    return rows


def _write(rows: list[Row], folder: Path, console: Console) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "emulator": version("qemu-system-arm"),
        "compiler": version("arm-none-eabi-gcc"),
        "rows": [as_dict(row) for row in rows],
    }
    write_json(folder / "bench.json", facts)
    charts.draw(rows, folder / "bench.png")
    for make in (
        tables.kernel_table,
        tables.step_table,
        tables.memory_table,
        tables.layer_table,
        tables.prompt_table,
        tables.compressed_table,
    ):
        table = make(rows)
        if table.row_count:
            console.print(table)
    notes = dict.fromkeys(f"{row.engine}: {row.note}" for row in rows if row.note)
    for note in notes:
        console.print(note, highlight=False)
    console.print(f"\n{folder / 'bench.json'}\n{folder / 'bench.png'}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
