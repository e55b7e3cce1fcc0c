"""A sweep from its file to the front: points are asked for, run many at once, recorded and compared."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from importlib import metadata as packages
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.errors import ConfigError, ThimbleError
from pipeline.files import path_in, write_json
from pipeline.recipes.load import load_recipe
from pipeline.recipes.sweep_schema import Choice
from pipeline.sweep.charts import draw_front
from pipeline.sweep.pareto import Results, TrialFailure, TrialResult, front_of, measured
from pipeline.sweep.plan import Point, Sweep, recipe_text
from pipeline.sweep.search import Proposer, proposer_of
from pipeline.sweep.trial import Job, Outcome, failure, run_trial
from pipeline.sweep.workers import Measure, Workers, workers
from pipeline.targets.boards import load_board
from pipeline.workflow.workspace import Workspace

__all__ = ["SweepOptions", "run_sweep", "ship_results"]

_REFRESH_SECONDS = 1.0
"""Seconds after which the running points' stages are looked at again."""
_VERSIONS = ("tensorflow", "tensorflow-model-optimization", "tflite-micro", "numpy", "home-assistant-intents", "hassil")


@dataclass(frozen=True)
class SweepOptions:
    """What the command line says: points at a time (None: one a processor), a Ray cluster's address, boards instead of
    the recipes', an emulator, and where `sweep/NAME` goes."""

    jobs: int | None = None
    ray: str | None = None
    boards: tuple[str, ...] = ()
    emulator: str | None = None
    build: Path = Path("build")


def run_sweep(sweep: Sweep, options: SweepOptions, console: Console, run_point: Measure = run_trial) -> Results:
    """Measures the sweep's points, and writes `pareto.json`, `pareto.md`, `pareto.png` and `recipes/`.

    Points finished by an earlier run are reused. A point that fails is recorded; the others go on.

    Raises:
        ThimbleError: a recipe that cannot be (all of a grid's are checked first), another sweep at work in the same
            folder, no Ray cluster, or not one point that was measured.
    """
    workspace = Workspace((options.build / "sweep").resolve(), sweep.name)
    with workspace.locked():
        folder = _Folder(workspace.folder, options)
        for board in options.boards:
            load_board(board)
        if sweep.search is None:
            for point in sweep.grid():
                folder.check(point)
        proposer = proposer_of(sweep, folder.begun())
        with workers(run_point, options.jobs, options.ray) as crew:
            collector = _run_all(proposer, folder, crew, console)
        results = collector.results(sweep, folder.order)
        folder.write(results)
    return results


def _run_all(proposer: Proposer, folder: _Folder, crew: Workers, console: Console) -> _ResultCollector:
    """Keeps as many points running as there are workers, until none is proposed any more."""
    collector = _ResultCollector(proposer, console)
    running: dict[Future[Outcome], Point] = {}
    with _progress(console) as show_progress:
        more = True
        while more or running:
            while more and len(running) < crew.jobs:  # no earlier: a search proposes by what it knows
                point = proposer.next()
                if point is None:
                    more = False
                    continue
                folder.begin(point)
                try:
                    running[crew.submit(folder.job(point))] = point
                except ThimbleError as error:  # a recipe that a search proposed, and that cannot be
                    collector.take(point, failure(point.name, error.what, error.remedy))
            if running:
                finished, _ = wait(running, timeout=_REFRESH_SECONDS, return_when=FIRST_COMPLETED)
                for future in finished:
                    done = running.pop(future)
                    collector.take(done, _outcome(future, done))
            show_progress(collector.done, proposer.total, [folder.stage(point) for point in running.values()])
    return collector


def _outcome(future: Future[Outcome], point: Point) -> Outcome:
    """The point's outcome, or a failure if its worker was lost."""
    try:
        return future.result()
    except Exception as error:  # Ray's, when a machine is lost for good: the other points go on
        reason = str(error).strip().split("\n")[0]
        return failure(point.name, f"its worker was lost: {type(error).__name__}: {reason}", "run the sweep again")


def ship_results(folder: Path, sweep: Path) -> Path:
    """Copies a finished sweep's results and recipes beside its file, into a folder of the file's name: there."""
    target = sweep.with_suffix("")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder / "recipes", target / "recipes")
    for name in ("pareto.json", "pareto.md", "pareto.png"):
        shutil.copyfile(folder / name, target / name)
    return target


class _ResultCollector:
    """Collects results as they arrive, and reports them to the user and to the proposer of points."""

    def __init__(self, proposer: Proposer, console: Console) -> None:
        self._proposer, self._console = proposer, console
        self._measured: list[TrialResult] = []
        self._failed: list[TrialFailure] = []

    @property
    def done(self) -> int:
        """Points that ended, one way or the other."""
        return len(self._measured) + len(self._failed)

    def take(self, point: Point, outcome: Outcome) -> None:
        """Records a point that ended."""
        if outcome["ok"]:
            trial = measured(point, outcome)
            self._measured.append(trial)
            cost = next(iter(trial.boards.values()))  # a search, and who watches, look at the first board
            self._proposer.tell(
                point, {"accuracy": trial.accuracy, "flash": cost.flash, "ram": cost.ram, "ms": cost.ms}
            )
            line = (
                f"[green]✓[/] [bold]{trial.name}[/] {100 * trial.accuracy:.1f} %, flash {cost.flash / 1024:.1f} KB, "
                f"RAM {cost.ram / 1024:.1f} KB, {cost.ms:.1f} ms a token [dim]({trial.seconds:.0f} s)[/]"
            )
        else:
            self._failed.append(TrialFailure(point.name, outcome["error"], outcome["remedy"]))
            self._proposer.tell(point, None)
            line = f"[red]✗[/] [bold]{point.name}[/] {escape(outcome['error'])}; the others go on"
        self._console.print(line, highlight=False)

    def results(self, sweep: Sweep, order: Sequence[str]) -> Results:
        """All results, in the order in which the points were started.

        Raises:
            ThimbleError: no point was measured.
        """
        if not self._measured:
            first = self._failed[0]
            raise ThimbleError(f"all {self.done} points failed; {first.name}: {first.error}", first.remedy)
        points = sorted(self._measured, key=lambda point: order.index(point.name))
        boards = dict.fromkeys(board for point in points for board in point.boards)
        return Results(
            name=sweep.name,
            description=sweep.description,
            source=sweep.path.read_text(encoding="utf-8"),
            points=points,
            failed=sorted(self._failed, key=lambda point: order.index(point.name)),
            versions={name: packages.version(name) for name in _VERSIONS},
            front={board: front_of(points, board) for board in boards},
        )


class _Folder:
    """`build/sweep/NAME`: where points run, and what is kept."""

    def __init__(self, root: Path, options: SweepOptions) -> None:
        self.root = root
        self._points = root / "points"
        self._options = options
        self.order: list[str] = []
        self._begun: list[Mapping[str, Choice]] = []
        with contextlib.suppress(OSError, ValueError, TypeError):
            self._begun = [dict(choices) for choices in json.loads((root / "order.json").read_text(encoding="utf-8"))]

    def job(self, point: Point) -> Job:
        """Job description for a worker.

        Raises:
            ThimbleError: its recipe cannot be.
        """
        self.check(point)
        return Job(
            point=point.name,
            text=recipe_text(point),
            recipe=str(self._recipe(point)),
            build=str(self._points),
            shared=str(self.root / "shared"),
            log=str(self._log(point)),
            boards=self._options.boards,
            emulator=self._options.emulator,
        )

    def check(self, point: Point) -> None:
        """Reads the point's recipe as a run would.

        Raises:
            ThimbleError: it cannot be, or names an unknown board.
        """
        path = self._recipe(point)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(recipe_text(point), encoding="utf-8")
        try:
            for board in load_recipe(path).boards:
                load_board(board)
        except ConfigError as error:
            raise ConfigError(f"point {point.name}", error.problems) from None
        except ThimbleError as error:
            raise ThimbleError(f"point {point.name}: {error.what}", error.remedy) from None

    def begun(self) -> list[Mapping[str, Choice]]:
        """The choices of the points that this run and earlier ones began, in order."""
        return list(self._begun)

    def begin(self, point: Point) -> None:
        """Notes the point, for a run that goes on after this one was stopped."""
        self.order.append(point.name)
        if point.choices not in self._begun:
            self._begun.append(point.choices)
            write_json(self.root / "order.json", self._begun)

    def stage(self, point: Point) -> str:
        """Last line of a running point's log, with its name."""
        last = ""
        with contextlib.suppress(OSError):
            lines = self._log(point).read_text(encoding="utf-8", errors="replace").strip().split("\n")
            last = lines[-1].strip()
        return f"{point.name}: {last[:60]}" if last else point.name

    def write(self, results: Results) -> None:
        """The front, its picture and table, and the chosen recipes."""
        recipes = self.root / "recipes"
        shutil.rmtree(recipes, ignore_errors=True)
        recipes.mkdir()
        for chosen in results.chosen():
            point = Point(chosen.name, chosen.choices, chosen.recipe)
            path_in(recipes, f"{chosen.name}.yaml").write_text(recipe_text(point), encoding="utf-8")
        board = results.boards[0]
        (self.root / "pareto.md").write_text(results.markdown(board), encoding="utf-8")
        draw_front(results, board, self.root / "pareto.png")
        write_json(self.root / "pareto.json", results.as_dict())

    def _recipe(self, point: Point) -> Path:
        return path_in(self._points, f"{point.name}.yaml")

    def _log(self, point: Point) -> Path:
        return path_in(self._points, str(point.recipe["name"]), "log.txt")


@contextlib.contextmanager
def _progress(console: Console) -> Iterator[Any]:
    """A bar of the points, with what runs at the moment; nothing where there is no terminal."""
    columns = (
        TextColumn("points"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        TextColumn("[dim]{task.fields[now]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("points", total=None, now="")

        def show(done: int, total: int, now: list[str]) -> None:
            bar.update(task, completed=done, total=total, now=escape("   ".join(now)))

        yield show
