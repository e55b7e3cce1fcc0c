"""Runs stages in order, and only those that must run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from pipeline.boards import Board, load_board
from pipeline.errors import ThimbleError
from pipeline.recipe import Recipe
from pipeline.stages import Stage, StageContext, all_stages
from pipeline.workspace import Workspace, digest_sources, fingerprint

__all__ = ["RunOptions", "run_stages", "stage_names"]


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What the command line may change about a run.

    `until` is the last stage to bring up to date, `restart` the first to run even if nothing changed (None: only what
    must run), `retrain` ignores the shipped weights.
    """

    build: Path = Path("build")
    until: str = "report"
    restart: str | None = None
    emulator: str | None = None
    retrain: bool = False


def stage_names() -> list[str]:
    """Names of all stages in order."""
    return [stage.name for stage in all_stages()]


def run_stages(recipe: Recipe, options: RunOptions, console: Console) -> Workspace:
    """Brings every stage up to `options.until` up to date, and says of each what happened.

    Raises:
        ThimbleError: from a stage; what earlier stages and earlier runs finished stays.
    """
    workspace = Workspace(options.build, recipe.name)
    boards = [load_board(name) for name in recipe.boards]
    for board in boards:
        _check_fit(recipe, board)
    stages = all_stages()
    names = stage_names()
    for name in filter(None, (options.until, options.restart)):
        if name not in names:
            raise ThimbleError(f"no stage is called {name!r}", f"the stages: {', '.join(names)}")
    last = names.index(options.until)
    first_forced = names.index(options.restart) if options.restart else len(names)
    with workspace.locked():
        base = StageContext(
            recipe, workspace, workspace.folder, console, emulator=options.emulator, retrain=options.retrain
        )
        ran = 0
        for index, stage in enumerate(stages[: last + 1]):
            contexts = [dataclasses.replace(base, board=board) for board in boards] if stage.per_board else [base]
            for context in contexts:
                ran += _bring_up(stage, context, force=index >= first_forced)
        if not ran:
            console.print(f"[green]nothing changed[/] since the last run; {workspace.folder} is up to date")
    return workspace


def _check_fit(recipe: Recipe, board: Board) -> None:
    """Refuses a model whose cache alone is larger than the board's RAM, before anything is trained for it."""
    cache = recipe.model.kv_cache_bytes
    if cache > board.ram.size:
        raise ThimbleError(
            f"`model.context` {recipe.model.context} makes a KV cache of {cache:,} bytes, and {board.name} has "
            f"{board.ram.size:,} bytes of RAM",
            "shorten `model.context`, use fewer `kv_heads` or layers, or a board with more RAM",
        )


def _bring_up(stage: Stage, context: StageContext, force: bool) -> bool:
    """Runs the stage if it must run; true if it did."""
    workspace, console = context.workspace, context.console
    label = f"{stage.name} ({context.variant})" if stage.per_board else stage.name
    wanted = _fingerprint(stage, context)
    reason = "forced" if force else workspace.state(stage.name, context.variant if stage.per_board else "", wanted)
    variant = context.variant if stage.per_board else ""
    if not reason and stage.redo is not None and stage.redo(context):
        reason = "asked for"
    if not reason:
        stamp = workspace.stamp(stage.name, variant)
        console.print(f"[green]✓[/] [bold]{label}[/] unchanged: {stamp.note if stamp else ''}", highlight=False)
        return False
    if reason == "damaged":
        console.print(f"[yellow]![/] {label}: files in {workspace.stage(stage.name, variant)} were changed; made again")
    console.print(f"[cyan]▸[/] [bold]{label}[/] {stage.summary}", highlight=False)
    started = time.monotonic()
    partial = workspace.begin(stage.name, variant, wanted, stage.resumable and not force)
    note = stage.run(dataclasses.replace(context, out=partial))
    seconds = time.monotonic() - started
    workspace.finish(stage.name, variant, partial, wanted, seconds, note)
    console.print(f"[green]✓[/] [bold]{label}[/] {note} [dim]({seconds:.1f} s)[/]", highlight=False)
    return True


def _fingerprint(stage: Stage, context: StageContext) -> str:
    inputs: dict[str, str] = {}
    for name in stage.needs:
        for variant in _variants(name, context):
            stamp = context.workspace.stamp(name, variant)
            inputs[f"{name}/{variant}"] = stamp.digest if stamp else "missing"
    return fingerprint(
        {
            "stage": stage.name,
            "recipe": context.recipe.part(*stage.sections),
            "inputs": inputs,
            "sources": digest_sources(stage.sources),
            "board": context.board.name if context.board and stage.per_board else None,
            "volatile": stage.volatile(context) if stage.volatile else None,
        }
    )


def _variants(name: str, context: StageContext) -> Iterable[str]:
    """The folders of an input: one, or one a board; a stage for all boards (the report) reads each of them."""
    if not any(stage.name == name and stage.per_board for stage in all_stages()):
        return [""]
    if context.board is not None:
        return [context.variant]
    return [f"{board}-{context.recipe.engine}" for board in context.recipe.boards]
