"""The stages, in the order in which data flows through them.

A stage reads what the stages before it wrote and its part of the recipe, and writes files; nothing else passes
between stages. Each module here holds one stage: its description `STAGE` and the function that does its work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pipeline.boards import Board
from pipeline.recipe import Recipe
from pipeline.workspace import Workspace

__all__ = ["Stage", "StageContext", "all_stages"]


@dataclass(frozen=True)
class StageContext:
    """What a stage's work may use.

    `out` is the folder to fill; it becomes the stage's folder when the work returns. `board` is None for stages that
    are the same for every board.
    """

    recipe: Recipe
    workspace: Workspace
    out: Path
    console: Console
    board: Board | None = None
    emulator: str | None = None
    retrain: bool = False

    def input(self, stage: str) -> Path:
        """The finished folder of an earlier stage."""
        per_board = {stage.name for stage in all_stages() if stage.per_board}
        return self.workspace.stage(stage, self.variant if stage in per_board else "")

    @property
    def variant(self) -> str:
        """`<board>-<engine>`, the folder name of what differs by board."""
        return "" if self.board is None else f"{self.board.name}-{self.recipe.engine}"

    def the_board(self) -> Board:
        """The board of a per-board stage."""
        assert self.board is not None, "a per-board stage runs with a board"
        return self.board


@dataclass(frozen=True)
class Stage:
    """A stage's name, what it depends on, and its work.

    `run` returns one line that says what came out. `sections` are the recipe's parts that the work reads, `sources`
    the project's files (glob patterns) whose change makes the result stale, `volatile` further facts of this machine;
    `redo` may ask for another run of a current stage.
    """

    name: str
    summary: str
    needs: tuple[str, ...]
    sections: tuple[str, ...]
    sources: tuple[str, ...]
    run: Callable[[StageContext], str]
    per_board: bool = False
    resumable: bool = False
    volatile: Callable[[StageContext], dict[str, str]] | None = None
    redo: Callable[[StageContext], bool] | None = None


def all_stages() -> tuple[Stage, ...]:
    """Every stage in order."""
    from pipeline.stages import convert, data, distill, emulate, firmware, prune, qat, quantize, report, train

    modules = (data, train, distill, prune, qat, quantize, convert, firmware, emulate, report)
    return tuple(module.STAGE for module in modules)
