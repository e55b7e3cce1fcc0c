"""Runs stages in order, and only those that must run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipeline.errors import ThimbleError
from pipeline.files import fingerprint
from pipeline.recipes.load import Recipe
from pipeline.targets.boards import Board, load_board
from pipeline.workflow.stage import Stage, StageContext
from pipeline.workflow.workspace import Stamp, Workspace, digest_sources

__all__ = ["PartialFailure", "RunOptions", "run_stages"]


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What the command line may change about a run.

    `until` is the last stage to bring up to date, `restart` the first to run even if nothing changed (None: only what
    must run), `retrain` ignores the shipped weights. In the folder `shared`, recipes of which some stages are the same
    share them: one makes a stage, at the same time or later, and the others take it.
    """

    build: Path = Path("build")
    until: str = "report"
    restart: str | None = None
    emulator: str | None = None
    retrain: bool = False
    shared: Path | None = None


def run_stages(stages: Sequence[Stage], recipe: Recipe, options: RunOptions, console: Console) -> Workspace:
    """Brings every stage up to `options.until` up to date, and says of each what happened.

    Args:
        stages: all stages in order.
        recipe: what to make.
        options: what the command line changes about the run.
        console: where progress and results are printed.

    Raises:
        ThimbleError: from a stage; what earlier stages and earlier runs finished stays.
        PartialFailure: of several boards some did not make it; the others went all the way.
    """
    workspace = Workspace(options.build, recipe.name)
    names = [stage.name for stage in stages]
    for name in filter(None, (options.until, options.restart)):
        if name not in names:
            raise ThimbleError(f"no stage is called {name!r}", f"the stages: {', '.join(names)}")
    last = names.index(options.until)
    first_forced = names.index(options.restart) if options.restart else len(names)
    boards = _BoardRuns([load_board(name) for name in recipe.boards], console)
    base = StageContext(
        recipe,
        workspace,
        workspace.folder,
        console,
        emulator=options.emulator,
        retrain=options.retrain,
        per_board=frozenset(stage.name for stage in stages if stage.per_board),
    )
    for board in list(boards.left):
        boards.attempt(board, partial(_check_fit, recipe, board))
        for stage in stages[: last + 1]:
            if stage.check_prerequisites is not None and board in boards.left:
                boards.attempt(board, partial(stage.check_prerequisites, dataclasses.replace(base, board=board)))
    with workspace.locked():
        ran = 0
        for index, stage in enumerate(stages[: last + 1]):
            forced = index >= first_forced
            if not stage.per_board:
                stage_context = dataclasses.replace(
                    base, recipe=recipe.with_boards([board.name for board in boards.left])
                )
                ran += _ensure_current(stage, stage_context, forced, options.shared)
                continue
            for board in list(boards.left):
                stage_context = dataclasses.replace(base, board=board)
                ran += boards.attempt(board, partial(_ensure_current, stage, stage_context, forced))
        if not ran and not boards.failed:
            console.print(f"[green]nothing changed[/] since the last run; {workspace.folder} is up to date")
    boards.end()
    return workspace


class PartialFailure(ThimbleError):
    """Of a recipe's boards some failed; `finished` names the others."""

    def __init__(self, what: str, remedy: str, finished: Sequence[str]) -> None:
        super().__init__(what, remedy)
        self.finished = tuple(finished)


class _BoardRuns:
    """The boards of a run: one that fails is left out of what follows, and told of at the end."""

    def __init__(self, boards: list[Board], console: Console) -> None:
        self.left = boards
        self.failed: dict[str, ThimbleError] = {}
        self._console = console

    def attempt(self, board: Board, work: Callable[[], bool | None]) -> bool:
        """Does the work; whether it did something.

        Raises:
            ThimbleError: it failed, and no other board is left.
        """
        try:
            return bool(work())
        except ThimbleError as error:
            self.failed[board.name] = error
            self.left = [remaining for remaining in self.left if remaining is not board]
            if not self.left:
                raise (error if len(self.failed) == 1 else self._all(())) from None
            self._console.print(
                f"[red]✗[/] {board.name}: {escape(error.what)}; the other boards go on", highlight=False
            )
            return False

    def end(self) -> None:
        """Raises what failed on the way."""
        if self.failed:
            raise self._all([board.name for board in self.left])

    def _all(self, finished: Sequence[str]) -> PartialFailure:
        count = len(self.failed) + len(finished)
        reasons = "".join(f"\n  {name}: {error.what}" for name, error in self.failed.items())
        for_boards: dict[str, list[str]] = {}
        for name, error in self.failed.items():
            for_boards.setdefault(error.remedy, []).append(name)
        remedies = "".join(f"\n  {', '.join(names)}: {remedy}" for remedy, names in for_boards.items())
        remedy = next(iter(for_boards)) if len(for_boards) == 1 else remedies
        return PartialFailure(f"{len(self.failed)} of {count} boards failed{reasons}", remedy, finished)


def _check_fit(recipe: Recipe, board: Board) -> None:
    """Refuses a model whose cache alone is larger than the board's RAM, before anything is trained for it."""
    cache = recipe.model.kv_cache_bytes
    if cache > board.ram.size:
        raise ThimbleError(
            f"`model.context` {recipe.model.context} makes a KV cache of {cache:,} bytes, and {board.name} has "
            f"{board.ram.size:,} bytes of RAM",
            "shorten `model.context`, use fewer `kv_heads` or layers, or a board with more RAM",
        )


def _ensure_current(stage: Stage, context: StageContext, force: bool, shared: Path | None = None) -> bool:
    """Runs the stage if it must run, or takes it from `shared`; true if it did."""
    workspace, console = context.workspace, context.console
    label = f"{stage.name} ({context.target_key})" if stage.per_board else stage.name
    fingerprint = _fingerprint(stage, context)
    reason = (
        "forced"
        if force
        else workspace.staleness(stage.name, context.target_key if stage.per_board else "", fingerprint)
    )
    target_key = context.target_key if stage.per_board else ""
    if not reason and stage.should_rerun is not None and stage.should_rerun(context):
        reason = "asked for"
    if not reason:
        stamp = workspace.stamp(stage.name, target_key)
        console.print(f"[green]✓[/] [bold]{label}[/] unchanged: {stamp.note if stamp else ''}", highlight=False)
        return False
    if reason == "damaged":
        console.print(
            f"[yellow]![/] {label}: files in {workspace.stage(stage.name, target_key)} were changed; made again"
        )
    console.print(f"[cyan]▸[/] [bold]{label}[/]: {stage.summary}", highlight=False)
    if shared is None or reason in ("forced", "asked for"):
        stamp = _work(stage, context, workspace, target_key, fingerprint, not force)
        console.print(f"[green]✓[/] [bold]{label}[/] {stamp.note} [dim]({stamp.seconds:.1f} s)[/]", highlight=False)
        return True
    store = Workspace(shared, fingerprint[:32])
    with store.locked(wait=True):
        stale = store.staleness(stage.name, "", fingerprint) != ""
        if stale:
            _work(stage, context, store, "", fingerprint, True)
        stamp = workspace.link_from(store, stage.name, fingerprint)
    how = f"({stamp.seconds:.1f} s)" if stale else "(shared)"
    console.print(f"[green]✓[/] [bold]{label}[/] {stamp.note} [dim]{how}[/]", highlight=False)
    return True


def _work(
    stage: Stage, context: StageContext, workspace: Workspace, target_key: str, fingerprint: str, resumable: bool
) -> Stamp:
    """Runs the stage into its folder of `workspace`."""
    started = time.monotonic()
    partial = workspace.begin(stage.name, target_key, fingerprint, stage.resumable and resumable)
    note = stage.run(dataclasses.replace(context, out=partial))
    return workspace.finish(stage.name, target_key, partial, fingerprint, time.monotonic() - started, note)


def _fingerprint(stage: Stage, context: StageContext) -> str:
    inputs: dict[str, str] = {}
    for name in stage.needs:
        for target_key in _target_keys(name, context):
            stamp = context.workspace.stamp(name, target_key)
            inputs[f"{name}/{target_key}"] = stamp.digest if stamp else "missing"
    return fingerprint(
        {
            "stage": stage.name,
            "recipe": context.recipe.part(*stage.sections),
            "inputs": inputs,
            "sources": digest_sources(stage.sources),
            "board": f"{context.board.name} {context.board.digest}" if context.board and stage.per_board else None,
            "volatile": stage.environment_facts(context) if stage.environment_facts else None,
        }
    )


def _target_keys(name: str, context: StageContext) -> Iterable[str]:
    """The folders of an input: one, or one a board; a stage for all boards (the report) reads each of them."""
    if name not in context.per_board:
        return [""]
    if context.board is not None:
        return [context.target_key]
    return [f"{board}-{context.recipe.engine}" for board in context.recipe.boards]
