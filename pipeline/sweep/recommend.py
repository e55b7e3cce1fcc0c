"""The best measured point for a board and budgets, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ThimbleError
from pipeline.program import command
from pipeline.sweep.pareto import Cost, Results, TrialResult
from pipeline.sweep.plan import Point, recipe_text
from pipeline.targets.boards import Board, all_boards

__all__ = ["Limits", "Pick", "Recommendation", "recommend"]


@dataclass(frozen=True)
class Limits:
    """Limits of a board or of the user: bytes, and milliseconds of the slowest token by the high estimate."""

    flash: int
    ram: int
    ms: float | None = None

    def excess(self, cost: Cost) -> dict[str, float]:
        """Relative excess of each exceeded limit."""
        used = {"flash": (cost.flash, self.flash), "ram": (cost.ram, self.ram), "ms": (cost.ms_worst, self.ms)}
        return {name: value / limit - 1 for name, (value, limit) in used.items() if limit is not None and value > limit}


@dataclass(frozen=True)
class Pick:
    """A point and what it takes on the board that was asked for."""

    point: TrialResult
    cost: Cost
    excess: dict[str, float]


@dataclass(frozen=True)
class Recommendation:
    """`best` keeps all limits, unless `fits` is 0: then it comes closest. `cheaper` keeps them with less flash, and no
    less accurately within the error of measurement; `better` is the most accurate of those that do not keep
    them. `measured_on` is the board that the figures come from."""

    board: Board
    limits: Limits
    measured_on: str
    best: Pick
    fits: int
    of: int
    cheaper: Pick | None
    better: Pick | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for programs."""
        return {
            "board": self.board.name,
            "limits": vars(self.limits),
            "measured_on": self.measured_on,
            "fits": self.fits,
            "of": self.of,
            **{name: _plain(getattr(self, name)) for name in ("best", "cheaper", "better")},
        }

    def recipe_file(self, recipes: Path) -> Path:
        """The point's recipe: in the sweep's `recipes`, or, for a point that was not chosen there, written into
        `build/recommended`."""
        name = f"{self.best.point.name}.yaml"
        if (recipes / name).exists():
            return recipes / name
        path = Path("build", "recommended", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        point = self.best.point
        path.write_text(recipe_text(Point(point.name, point.choices, point.recipe)), encoding="utf-8")
        return path

    def lines(self, recipe: Path) -> list[str]:
        """Lines of the report: the point, the reason, alternatives, and the recipe to run."""
        best, limits = self.best, self.limits
        head = "" if self.fits else f"none of the {self.of} measured points fits; this one comes closest:\n"
        lines = [
            f"{head}[bold]{best.point.name}[/] for {self.board.title}",
            f"  accuracy  {_accuracy(best.point)}, mean over {len(best.point.splits)} held-out splits of "
            f"{best.point.sentences['host']} sentences",
            f"  flash     {_kb(best.cost.flash)} of {_kb(limits.flash)}{_over(best, 'flash')}",
            f"  RAM       {_kb(best.cost.ram)} of {_kb(limits.ram)}{_over(best, 'ram')}",
            f"  time      at most {best.cost.ms_worst:.1f} ms a token"
            + (f" of {limits.ms:g}" if limits.ms else "")
            + f"{_over(best, 'ms')}, likely {best.cost.ms:.1f}",
        ]
        if self.fits:
            lines.append(f"why: the most accurate of the {self.fits} of {self.of} measured points that keep all limits")
        else:
            lines.append("why: of all points it exceeds the limit that it exceeds most by the smallest share")
        if self.cheaper is not None:
            cheap = self.cheaper
            lines.append(
                f"as good within the error of measurement: {cheap.point.name}, {_accuracy(cheap.point)}, "
                f"{_kb(cheap.cost.flash)} of flash, {_kb(cheap.cost.ram)} of RAM, {cheap.cost.ms:.1f} ms"
            )
        if self.better is not None and self.fits:
            more = self.better
            needs = {
                "flash": f"{_kb(more.cost.flash)} of flash",
                "ram": f"{_kb(more.cost.ram)} of RAM",
                "ms": f"{more.cost.ms_worst:.1f} ms",
            }
            lines.append(
                f"more would be {more.point.name}, {_accuracy(more.point)}, with "
                + " and ".join(needs[name] for name in more.excess)
            )
        if self.measured_on != self.board.name:
            lines.append(
                f"not measured on {self.board.name}: bytes are those of {self.measured_on}, which has the same core; "
                "milliseconds are its cycles at this clock, plus this flash's wait states for all weights (likely) "
                "and for all code too (at most)"
            )
        if recipe.is_relative_to(Path.cwd()):
            recipe = recipe.relative_to(Path.cwd())
        lines.append(f"run: {command(f'run {recipe.as_posix()} --board {self.board.name}')}")
        return lines


def recommend(results: Results, board: Board, flash: int | None, ram: int | None, ms: float | None) -> Recommendation:
    """Picks the most accurate point that keeps the limits; of equals the one with the least flash.

    Args:
        flash: bytes; None: what the board has.
        ram: bytes; None: what the board has.
        ms: of the slowest token, by the high estimate; None: any.

    Raises:
        ThimbleError: no point was measured on a board with that core.
    """
    limits = Limits(min(flash or board.flash.size, board.flash.size), min(ram or board.ram.size, board.ram.size), ms)
    measured_on, picks = _picks(results, board, limits)
    fitting = sorted((pick for pick in picks if not pick.excess), key=_rank)
    too_large = sorted((pick for pick in picks if pick.excess), key=_rank)
    if not fitting:
        closest = min(too_large, key=lambda pick: (max(pick.excess.values()), *_rank(pick)))
        return Recommendation(board, limits, measured_on, closest, 0, len(picks), None, None)
    best = fitting[0]
    alike = [pick for pick in fitting if _alike(pick.point, best.point) and pick.cost.flash < best.cost.flash]
    better = next((pick for pick in too_large if pick.point.accuracy > best.point.accuracy), None)
    cheaper = min(alike, key=lambda pick: pick.cost.flash, default=None)
    return Recommendation(board, limits, measured_on, best, len(fitting), len(picks), cheaper, better)


def _picks(results: Results, board: Board, limits: Limits) -> tuple[str, list[Pick]]:
    """The points' costs on the board, measured there or worked out from one with the same core."""
    boards = {known.name: known for known in all_boards()}
    there = [name for name in results.boards if name == board.name] or [
        name
        for name in results.boards
        if name in boards and (boards[name].core, boards[name].flags) == (board.core, board.flags)
    ]
    if not there:
        raise ThimbleError(
            f"{results.name} was not measured on a board with the core of {board.name} ({board.core}), but on "
            f"{', '.join(results.boards)}",
            f"measure it there: {command(f'sweep SWEEP.yaml --board {board.name}')}, then recommend --sweep DIR",
        )
    name = there[0]
    picks = []
    for point in results.points:
        if name in point.boards:
            cost = point.boards[name]
            if name != board.name:
                cost = _rescale_to_board(cost, boards[name], board)
            picks.append(Pick(point, cost, limits.excess(cost)))
    return name, picks


def _rescale_to_board(cost: Cost, measured_on: Board, board: Board) -> Cost:
    """The cost on another board with the same core: its clock, and the wait states of its flash. At most: every word of
    weights waits, and every instruction as if it were four bytes that no cache holds."""
    flash = board.timing.flash
    likely = cost.ms * measured_on.clock_hz / 1000 + flash.likely_data(cost.weight_bytes)
    code = flash.wait_states * cost.instructions_worst * 4 / flash.line_bytes
    worst = cost.cycles_worst + flash.worst_data(cost.weight_bytes) + code
    per_ms = board.clock_hz / 1000
    return Cost(**{**vars(cost), "ms": likely / per_ms, "ms_worst": worst / per_ms, "cycles_worst": worst})


def _alike(left: TrialResult, right: TrialResult) -> bool:
    """Whether their accuracies differ by no more than the standard error of the difference."""
    return abs(left.accuracy - right.accuracy) <= math.hypot(left.error, right.error)


def _rank(pick: Pick) -> tuple[float, ...]:
    return (-pick.point.accuracy, pick.cost.flash, pick.cost.ram, pick.cost.ms)


def _plain(pick: Pick | None) -> dict[str, Any] | None:
    if pick is None:
        return None
    point = pick.point
    return {
        "point": point.name,
        "accuracy": point.accuracy,
        "error": point.error,
        "cost": vars(pick.cost),
        "excess": pick.excess,
        "recipe": dict(point.recipe),
    }


def _accuracy(point: TrialResult) -> str:
    return f"{100 * point.accuracy:.1f} ± {100 * point.error:.1f} %"


def _kb(count: int) -> str:
    return f"{count / 1024:,.1f} KB"


def _over(pick: Pick, limit: str) -> str:
    return f" [red]({100 * pick.excess[limit]:.1f} % too much)[/]" if limit in pick.excess else ""
