"""What a stage is.

A stage reads what the stages before it wrote and its part of the recipe, and writes files; nothing else passes
between stages. Each module of `pipeline.stages` holds one stage: its description `STAGE` and the function that
does its work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pipeline.recipes.load import Recipe
from pipeline.targets.boards import Board
from pipeline.workflow.workspace import Workspace

__all__ = ["Stage", "StageContext"]


@dataclass(frozen=True)
class StageContext:
    """What a stage's work may use.

    `out` is the folder to fill; it becomes the stage's folder when the work returns. `board` is None for stages that
    are the same for every board; `per_board` names the stages that are not.
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

    def input(self, stage: str) -> Path:
        """The finished folder of an earlier stage."""
        return self.workspace.stage(stage, self.target_key if stage in self.per_board else "")

    @property
    def target_key(self) -> str:
        """`<board>-<engine>`, the folder name of what differs by board."""
        return "" if self.board is None else f"{self.board.name}-{self.recipe.engine}"

    def require_board(self) -> Board:
        """The board of a per-board stage."""
        assert self.board is not None, "a per-board stage runs with a board"
        return self.board


@dataclass(frozen=True)
class Stage:
    """A stage's name, what it depends on, and its work.

    `run` returns one line that says what came out. `sections` are the recipe's parts that the work reads, `sources`
    the project's files (glob patterns) whose change makes the result stale, `environment_facts` further facts of this
    machine; `should_rerun` may ask for another run of a current stage. `check_prerequisites` refuses what this machine
    cannot do before any stage runs; a board's stage is asked with the board.
    """

    name: str
    summary: str
    needs: tuple[str, ...]
    sections: tuple[str, ...]
    sources: tuple[str, ...]
    run: Callable[[StageContext], str]
    per_board: bool = False
    resumable: bool = False
    environment_facts: Callable[[StageContext], dict[str, str]] | None = None
    should_rerun: Callable[[StageContext], bool] | None = None
    check_prerequisites: Callable[[StageContext], None] | None = None
