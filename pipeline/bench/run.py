"""`thimble bench`: measures, prints tables, and writes bench.json and bench.png."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.bench import charts, tables
from pipeline.bench.answers import answer_rows
from pipeline.bench.cores import CORES
from pipeline.bench.measure import compressed_rows, float_rows, kernel_rows, model_rows
from pipeline.bench.rows import Row, as_dict
from pipeline.bench.shapes import DEPTHS, ROWS, default_models, known_models, load_models
from pipeline.bench.tflm import tflm_rows
from pipeline.errors import ThimbleError
from pipeline.files import write_json
from pipeline.tools import version

__all__ = ["BenchOptions", "run_bench"]

Job = tuple[str, Callable[[], Iterator[Row]]]


@dataclass(frozen=True)
class BenchOptions:
    """What to measure: cores by their keys, models by name; `quick`: two depths, one model, no peers of whole models.
    `build` is where models and results lie."""

    cores: tuple[str, ...]
    models: tuple[str, ...]
    quick: bool
    build: Path

    @classmethod
    def of(cls, cores: str | None, models: str | None, quick: bool, build: Path) -> BenchOptions:
        """From the command line's lists with commas; None stands for all cores whose tools are here, and for
        `default_models`.

        Raises:
            ThimbleError: a core or model is not known.
        """
        chosen = default_models() if models is None else _words("--models", models, known_models())
        here = None if cores is None else _words("--cores", cores, tuple(CORES))
        return cls(here or tuple(key for key, core in CORES.items() if core.is_here), chosen, quick, build)


def run_bench(options: BenchOptions, console: Console) -> None:
    """Measures, prints the tables, and writes `bench/bench.json` and `bench/bench.png`.

    Raises:
        ThimbleError: a tool or package is missing, or something does not run.
    """
    if not console.is_terminal:
        console = Console(width=140)  # the tables whole
    for core in (core for core in CORES.values() if not core.is_here):
        console.print(f"{core.name} left out: {core.compiler} and {core.emulator} are not installed")
    rows = _measure(options, console)
    _write(rows, options.build / "bench", console)


def _words(option: str, text: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    words = tuple(text.split(","))
    for word in words:
        if word not in allowed:
            raise ThimbleError(f"{option}: {word!r} is not known", f"use some of: {','.join(allowed)}")
    return words


def _measure(options: BenchOptions, console: Console) -> list[Row]:
    folder = options.build / "bench"
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
            if model.codec is not None:
                what = f"{core.name}: answers of {model.name}"
                jobs.append((what, lambda c=core, m=model, p=path: answer_rows(c, m, p / "answers")))  # type: ignore[misc]
            if not options.quick:
                what = f"{core.name}: {model.name} in float"
                jobs.append((what, lambda c=core, m=model, p=path: float_rows(c, m, p / "float")))  # type: ignore[misc]
                what = f"{core.name}: {model.name} on TensorFlow Lite Micro"
                jobs.append((what, lambda c=core, m=model, p=path: tflm_rows(c, m, p / "tflm")))  # type: ignore[misc]
        trained = [] if options.quick else [model for model in models if model.tokenizer is not None]
        for model in sorted(trained, key=lambda model: model.config.parameter_count)[-1:]:
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
        tables.answer_table,
        tables.compressed_table,
    ):
        table = make(rows)
        if table.row_count:
            console.print(table)
    notes = dict.fromkeys(f"{row.engine}: {row.note}" for row in rows if row.note)
    for note in notes:
        console.print(note, highlight=False)
    console.print(f"\n{folder / 'bench.json'}\n{folder / 'bench.png'}", highlight=False)
