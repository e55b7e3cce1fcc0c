"""Runs stages in order, and only those that must run.

A stage runs when anything changed that decides its result. One that would train does not run because modules or tools
are newer than its weights: the run says which are, and `--retrain` trains anew.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from pipeline.errors import PartialFailure, ThimbleError
from pipeline.recipes.load import Recipe
from pipeline.recipes.paths import file_digests
from pipeline.targets.boards import Board, load_board
from pipeline.workflow.fingerprint import Fingerprint, differences
from pipeline.workflow.sources import data_digests, module_digests, tool_versions
from pipeline.workflow.stage import Stage, StageContext
from pipeline.workflow.workspace import Stamp, State, Workspace, target_key

__all__ = ["RunOptions", "run_stages"]


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What the command line may change about a run.

    `until` is the last stage to bring up to date, `restart` the first to run even if nothing changed (None: only what
    must run), `retrain` trains anew what is shipped, or older than its modules and tools, `tensorboard` writes event
    files while it trains. In the folder `shared`, recipes of which some stages are the same share them: one makes a
    stage, at the same time or later, and the others take it.
    """

    build: Path = Path("build")
    until: str = "report"
    restart: str | None = None
    emulator: str | None = None
    retrain: bool = False
    tensorboard: bool = False
    shared: Path | None = None


def run_stages(stages: Sequence[Stage], recipe: Recipe, options: RunOptions, console: Console) -> Workspace:
    """Brings every stage up to `options.until` up to date, and prints what happened to each.

    Args:
        stages: all stages in order.
        recipe: what to make.
        options: what the command line changes about the run.
        console: where progress and results are printed.

    Raises:
        ThimbleError: from a stage; what earlier stages and earlier runs finished stays.
        PartialFailure: of several boards some did not make it, or some results do not meet the recipe's demands; the
            others went all the way.
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
        tensorboard=options.tensorboard,
        per_board=frozenset(stage.name for stage in stages if stage.per_board),
    )
    for board in list(boards.left):
        boards.attempt(board, partial(_check_fit, recipe, board))
        for stage in stages[: last + 1]:
            if stage.check_prerequisites is not None and board in boards.left:
                boards.attempt(board, partial(stage.check_prerequisites, dataclasses.replace(base, board=board)))
    outdated = _Outdated(console)
    with workspace.locked():
        ran = 0
        for index, stage in enumerate(stages[: last + 1]):
            forced = index >= first_forced
            if stage.is_training is None:
                outdated.print()
            if not stage.per_board:
                stage_context = dataclasses.replace(
                    base, recipe=recipe.with_boards([board.name for board in boards.left])
                )
                ran += _ensure_current(stage, stage_context, forced, outdated, options.shared)
                continue
            for board in list(boards.left):
                stage_context = dataclasses.replace(base, board=board)
                ran += boards.attempt(board, partial(_ensure_current, stage, stage_context, forced, outdated))
                if stage.unmet is not None and board in boards.left:
                    folder = workspace.stage(stage.name, stage_context.target_key)
                    boards.note_unmet(board, stage.unmet(stage_context), folder)
        outdated.print()
        if not ran and not boards.failed and not boards.unmet:
            console.print(f"[green]nothing changed[/] since the last run; {workspace.folder} is up to date")
    boards.end()
    return workspace


class _BoardRuns:
    """The boards of a run: one that fails is left out of the following stages, and reported at the end."""

    def __init__(self, boards: list[Board], console: Console) -> None:
        self.left = boards
        self.failed: dict[str, ThimbleError] = {}
        self.unmet: dict[str, ThimbleError] = {}
        self._console = console

    def attempt(self, board: Board, work: Callable[[], bool | None]) -> bool:
        """Runs the work for a board; returns whether anything was done.

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

    def note_unmet(self, board: Board, lines: Sequence[str], folder: Path) -> None:
        """Keeps what a board's result does not meet of the recipe's demands; the board goes on."""
        if lines:
            more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
            self.unmet[board.name] = ThimbleError(f"{lines[0]}{more}", f"see {folder / 'result.json'}")
            for line in lines:
                self._console.print(f"[red]✗[/] {board.name}: {escape(line)}", highlight=False)

    def end(self) -> None:
        """Raises what failed on the way, and what is not met."""
        if self.failed or self.unmet:
            raise self._all([board.name for board in self.left])

    def _all(self, finished: Sequence[str]) -> PartialFailure:
        failed = {**self.failed, **self.unmet}
        count = len(self.failed) + len(finished)
        if count == 1:
            name, error = next(iter(failed.items()))
            return PartialFailure(f"{name}: {error.what}", error.remedy, finished)
        reasons = "".join(f"\n  {name}: {error.what}" for name, error in failed.items())
        for_boards: dict[str, list[str]] = {}
        for name, error in failed.items():
            for_boards.setdefault(error.remedy, []).append(name)
        remedies = "".join(f"\n  {', '.join(names)}: {remedy}" for remedy, names in for_boards.items())
        remedy = next(iter(for_boards)) if len(for_boards) == 1 else remedies
        return PartialFailure(f"{len(failed)} of {count} boards failed{reasons}", remedy, finished)


def _check_fit(recipe: Recipe, board: Board) -> None:
    """Refuses a model whose cache alone is larger than the board's RAM, before anything is trained for it."""
    cache = recipe.model.kv_cache_bytes
    if cache > board.ram.size:
        raise ThimbleError(
            f"`model.context` {recipe.model.context} makes a KV cache of {cache:,} bytes, and {board.name} has "
            f"{board.ram.size:,} bytes of RAM",
            "shorten `model.context`, use fewer `kv_heads` or layers, or a board with more RAM",
        )


class _Outdated:
    """Collects the stages whose results are kept although modules or tools are newer, to say so in one line."""

    _NAMED = 3

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stages: list[str] = []
        self._modules: dict[str, None] = {}
        self._files: dict[str, None] = {}
        self._tools: dict[str, None] = {}

    def add(self, stage: str, stamp: Stamp, fingerprint: Fingerprint) -> None:
        """Notes what is newer than a stage's result; nothing where the stamp does not say what made it."""
        if not stamp.modules:
            return
        self._stages.append(stage)
        self._modules.update(dict.fromkeys(key for key, _, _ in differences(stamp.modules, fingerprint.modules)))
        self._files.update(dict.fromkeys(key for key, _, _ in differences(stamp.data, fingerprint.data)))
        for name, old, new in differences(stamp.tools, fingerprint.tools):
            self._tools[f"{name} {new} (made with {old})" if old else f"{name} {new}"] = None

    def print(self) -> None:
        """Says what was noted since the last time, if anything was."""
        if not self._stages:
            return
        names = ", ".join(f"`{name}`" for name in self._stages)
        kind = "sentences and weights" if "data" in self._stages else "weights"
        newer = []
        if self._modules:
            count = len(self._modules)
            named = ", ".join(list(self._modules)[: self._NAMED]) + ", …" * (count > self._NAMED)
            newer.append(f"{count} module{'s' * (count > 1)}: {named}")
        newer += [*self._files, *self._tools]
        self._console.print(
            f"[yellow]![/] {kind} of {names} are older than {'; '.join(newer)}; --retrain trains anew",
            highlight=False,
            soft_wrap=True,
        )
        self._stages, self._modules, self._files, self._tools = [], {}, {}, {}


def _ensure_current(
    stage: Stage, context: StageContext, force: bool, outdated: _Outdated, shared: Path | None = None
) -> bool:
    """Runs the stage if it is stale, or links it from `shared`; returns whether it did."""
    context = dataclasses.replace(context, reads=stage.reads)
    workspace, console = context.workspace, context.console
    key = context.target_key if stage.per_board else ""
    label = f"{stage.name} ({key})" if stage.per_board else stage.name
    trains = stage.is_training is not None and stage.is_training(context)
    keep = trains and not context.retrain
    fingerprint = _fingerprint(stage, context)
    stamp = workspace.stamp(stage.name, key)
    if keep and stamp and not stamp.requested and stage.recognizes is not None and stage.recognizes(context):
        workspace.adopt(stage.name, key, fingerprint)
    state = State.FORCED if force else workspace.staleness(stage.name, key, fingerprint, keep)
    if not state.must_run and stage.should_rerun is not None and stage.should_rerun(context):
        state = State.REQUESTED
    if not state.must_run:
        assert stamp is not None, "a result that is not made again has a stamp"
        console.print(f"[green]✓[/] [bold]{label}[/] unchanged: {stamp.note}", highlight=False)
        if state is State.OUTDATED:
            outdated.add(stage.name, stamp, fingerprint)
        return False
    if state is State.DAMAGED:
        console.print(f"[yellow]![/] {label}: files in {workspace.stage(stage.name, key)} were changed; made again")
    if state is State.CHANGED and trains and stamp is not None:
        console.print(f"[yellow]![/] {label}: {_retraining(stage.name, stamp, fingerprint)}", highlight=False)
    console.print(f"[cyan]▸[/] [bold]{label}[/]: {stage.summary}", highlight=False)
    if shared is None or state in (State.FORCED, State.REQUESTED):
        stamp = _work(stage, context, workspace, key, fingerprint, not force)
        console.print(f"[green]✓[/] [bold]{label}[/] {stamp.note} [dim]({stamp.seconds:.1f} s)[/]", highlight=False)
        return True
    store = Workspace(shared, (fingerprint.requested_digest if keep else fingerprint.digest)[:32])
    with store.locked(wait=True):
        stale = store.staleness(stage.name, "", fingerprint, keep).must_run
        if stale:
            _work(stage, context, store, "", fingerprint, True)
        stamp = workspace.link_from(store, stage.name)
    if stamp.fingerprint != fingerprint.digest:
        outdated.add(stage.name, stamp, fingerprint)
    how = f"({stamp.seconds:.1f} s)" if stale else "(shared)"
    console.print(f"[green]✓[/] [bold]{label}[/] {stamp.note} [dim]{how}[/]", highlight=False)
    return True


def _retraining(stage: str, stamp: Stamp, fingerprint: Fingerprint) -> str:
    """Why a stage trains anew, and for about how long."""
    changed = differences(stamp.requested, fingerprint.requested) or differences(stamp.modules, fingerprint.modules)
    changed = changed or differences(stamp.tools, fingerprint.tools)
    named = [_change(*change) for change in changed[:3]] + ["…"] * (len(changed) > 3)
    because = f"changed since it was made: {', '.join(named)}" if stamp.requested else "made by an older version"
    if not stamp.trained:
        return because
    seconds = stamp.seconds
    before, now = (_steps(stage, requested) for requested in (stamp.requested, fingerprint.requested))
    if before and now:
        seconds *= now / before
    return f"{because}; it takes about {_duration(seconds)} (the last time {_duration(stamp.seconds)})"


def _change(key: str, old: Any, new: Any) -> str:
    kind, _, name = key.partition(".")
    if kind != "recipe":
        return f"`{name or kind}`"
    short = all(isinstance(value, int | float | str | None) for value in (old, new))
    return f"`{name}` {old} → {new}" if short else f"`{name}`"


def _steps(stage: str, requested: Any) -> int:
    section = requested.get("recipe", {}).get(stage) or {}
    return int(section.get("steps") or 0)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def _work(
    stage: Stage, context: StageContext, workspace: Workspace, target_key: str, fingerprint: Fingerprint, resume: bool
) -> Stamp:
    """Runs the stage into its folder of `workspace`."""
    started = time.monotonic()
    trains = stage.is_training is not None and stage.is_training(context)
    partial = workspace.begin(stage.name, target_key, fingerprint.digest, stage.resumable and resume)
    note = stage.run(dataclasses.replace(context, out=partial, modules=fingerprint.modules))
    seconds = time.monotonic() - started
    return workspace.finish(stage.name, target_key, partial, fingerprint, seconds, note, trains)


def _fingerprint(stage: Stage, context: StageContext) -> Fingerprint:
    inputs: dict[str, str] = {}
    for read in stage.reads:
        for key in _target_keys(read.stage, context):
            stamp = context.workspace.stamp(read.stage, key)
            inputs["/".join(filter(None, (read.stage, key, read.pattern)))] = stamp.digest_of(read) if stamp else ""
    requested = {
        "stage": stage.name,
        "recipe": context.recipe.part(*stage.sections),
        "inputs": inputs,
        # A further artifact is no reason to train anew, a new form of one is.
        "outputs": {artifact.name: artifact.schema_version for artifact in stage.writes if artifact.schema_version > 1},
        "board": {"name": context.board.name, "digest": context.board.digest}
        if context.board and stage.per_board
        else None,
        "facts": stage.environment_facts(context) if stage.environment_facts else {},
    }
    if "answers" in stage.sections and context.recipe.grammar_path is not None:
        requested["grammar"] = file_digests({"grammar": context.recipe.grammar_path})
    return Fingerprint(
        requested,
        module_digests(stage.work_modules(context.recipe)),
        data_digests(stage.data),
        tool_versions(stage.tool_names(context.recipe)),
    )


def _target_keys(name: str, context: StageContext) -> Iterable[str]:
    """The folders of an input: one, or one a board; a stage for all boards (the report) reads each of them."""
    if name not in context.per_board:
        return [""]
    if context.board is not None:
        return [context.target_key]
    return [target_key(board, context.recipe.engine) for board in context.recipe.boards]
