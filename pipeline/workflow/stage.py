"""What a stage is.

A stage reads what the stages before it wrote and its part of the recipe, and writes files; nothing else passes
between stages. Each module of `pipeline.stages` holds one stage: its description `STAGE` and the function that
does its work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from pipeline.recipes.load import Recipe
from pipeline.targets.boards import Board
from pipeline.workflow.artifacts import Artifact, StageOutput
from pipeline.workflow.workspace import Workspace, target_key

__all__ = ["Stage", "StageContext"]

T = TypeVar("T")


@dataclass(frozen=True)
class StageContext:
    """Inputs of a stage's work. `out` is the output folder; it becomes the stage's folder when the work returns.
    `board` is None for stages that are the same for every board; `per_board` names the stages that are not. `reads` is
    what the stage at work declares that it reads, None where nothing is checked; `modules` are digests of those that do
    its work.
    """

    recipe: Recipe
    workspace: Workspace
    out: Path
    console: Console
    board: Board | None = None
    emulator: str | None = None
    retrain: bool = False
    tensorboard: bool = False
    per_board: frozenset[str] = frozenset()
    reads: tuple[StageOutput[Any], ...] | None = None
    modules: Mapping[str, str] = field(default_factory=dict)

    def input(self, stage: str) -> Path:
        """The finished folder of an earlier stage."""
        assert self.reads is None or stage in {read.stage for read in self.reads}, f"{stage} is not declared in `reads`"
        return self.workspace.stage(stage, self.target_key if stage in self.per_board else "")

    def path(self, output: StageOutput[Any], **fields: str) -> Path:
        """Where an artifact of an earlier stage lies; it must be among those that the stage declares in `reads`."""
        wanted = output.artifact.of(output.stage, **{**output.fields, **fields})
        declared = self.reads is None or any(read.covers(wanted) for read in self.reads)
        assert declared, f"{wanted.stage}/{wanted.pattern} is not declared in `reads`"
        return wanted.path(self.input(wanted.stage))

    def load(self, output: StageOutput[T], **fields: str) -> T:
        """What an artifact of an earlier stage holds, as `path`."""
        return output.artifact.load_file(self.path(output, **fields))

    def target(self, artifact: Artifact[Any], **fields: str) -> Path:
        """Where to write an artifact."""
        path = artifact.path(self.out, **fields)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def save(self, artifact: Artifact[T], value: T, **fields: str) -> Path:
        """Writes an artifact, and gives its path."""
        return artifact.save(self.out, value, **fields)

    @property
    def target_key(self) -> str:
        """`<board>-<engine>`, the folder name of per-board stages."""
        return "" if self.board is None else target_key(self.board.name, self.recipe.engine)

    def require_board(self) -> Board:
        """The board of a per-board stage."""
        assert self.board is not None, "a per-board stage runs with a board"
        return self.board


@dataclass(frozen=True)
class Stage:
    """A stage's name, what its result depends on, and its work.

    Attributes:
        name: what users call it.
        summary: what it does, in a few words.
        run: the work; returns one line that says what came out.
        reads: the artifacts of earlier stages that the work reads.
        writes: the artifacts that it may write.
        sections: the recipe's parts that it reads.
        work: the modules that do the work, which decide its bytes with what they import; the stage's own module, which
            belongs to them, counts without its imports. A function where recipes differ in them.
        data: glob patterns, from the package's root, of the other files that it reads.
        tools: the programs (of `pipeline.tools`) and Python distributions whose versions decide its bytes, or a
            function.
        per_board: whether each board has a result of its own.
        resumable: whether a stopped run is continued.
        environment_facts: further facts of what the recipe only names, such as digests of files of the user's.
        is_training: whether a run would train, or void weights that were trained here. Then the result is made anew
            when what was asked for changed (recipe, inputs, data files) or with --retrain, and never because modules or
            tools are newer than it.
        recognizes: whether a result that an older version of Thimble left is what the recipe describes.
        should_rerun: may ask for another run of a current stage.
        check_prerequisites: refuses what this machine cannot do before any stage runs; a board's stage is asked with
            the board.
        unmet: the recipe's demands that a finished result does not meet, a line each; later stages run all the same,
            and the run fails at its end.
    """

    name: str
    summary: str
    run: Callable[[StageContext], str]
    reads: tuple[StageOutput[Any], ...] = ()
    writes: tuple[Artifact[Any], ...] = ()
    sections: tuple[str, ...] = ()
    work: tuple[str, ...] | Callable[[Recipe], tuple[str, ...]] = ()
    data: tuple[str, ...] = ()
    tools: tuple[str, ...] | Callable[[Recipe], tuple[str, ...]] = ()
    per_board: bool = False
    resumable: bool = False
    environment_facts: Callable[[StageContext], dict[str, str]] | None = None
    is_training: Callable[[StageContext], bool] | None = None
    recognizes: Callable[[StageContext], bool] | None = None
    should_rerun: Callable[[StageContext], bool] | None = None
    check_prerequisites: Callable[[StageContext], None] | None = None
    unmet: Callable[[StageContext], Sequence[str]] | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The earlier stages that it reads artifacts of."""
        return tuple(dict.fromkeys(read.stage for read in self.reads))

    def work_modules(self, recipe: Recipe) -> tuple[str, ...]:
        """The modules that do the work for a recipe."""
        return self.work(recipe) if callable(self.work) else self.work

    def tool_names(self, recipe: Recipe) -> tuple[str, ...]:
        """The programs and distributions that do the work for a recipe."""
        return self.tools(recipe) if callable(self.tools) else self.tools
