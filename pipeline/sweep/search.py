"""Which points to measure next: all of a grid, or what Optuna proposes from those that were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pipeline.errors import MissingTool
from pipeline.recipes.sweep_schema import Choice, Range, Search
from pipeline.sweep.plan import Point, Sweep

__all__ = ["DIRECTIONS", "Grid", "Proposer", "Searcher", "proposer_of"]

DIRECTIONS: Mapping[str, Literal["maximize", "minimize"]] = {
    "accuracy": "maximize",
    "flash": "minimize",
    "ram": "minimize",
    "ms": "minimize",
}
_TRIES = 200
"""So often a proposal may be one that is known or skipped before the search says that it has seen all."""


class Grid:
    """All points of the file, in order."""

    def __init__(self, sweep: Sweep) -> None:
        self._left = sweep.grid()
        self.total = len(self._left)

    def next(self) -> Point | None:
        """The next point, or None at the end."""
        return self._left.pop(0) if self._left else None

    def tell(self, point: Point, figures: Mapping[str, float] | None) -> None:
        """A grid does not learn."""


class Searcher:
    """A budgeted search for the front of accuracy, flash, RAM and time, by Optuna.

    Points that an earlier run of the same sweep began come first, in their order: what is finished is taken from their
    folders, and the search goes on as it would have.
    """

    def __init__(self, sweep: Sweep, search: Search, begun: Sequence[Mapping[str, Choice]]) -> None:
        try:
            import optuna
        except ImportError:
            raise MissingTool("`search` needs the package `optuna`", "pip install optuna") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers: Mapping[str, Any] = {
            "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, constant_liar=True),
            "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=10),
            "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
        }
        # Another seed where the search goes on: from the first one, it would propose the first points again.
        self._study = optuna.create_study(
            directions=list(DIRECTIONS.values()), sampler=samplers[search.sampler](search.seed + len(begun))
        )
        self._failed = optuna.trial.TrialState.FAIL
        self._sweep = sweep
        self._space = {axis.name: _distribution(axis.choices) for axis in sweep.dimensions}
        self._begun = [choices for choices in begun if self._fits(choices)]
        self._singles = sweep.singles()
        self._open: dict[str, Any] = {}
        self._seen: set[str] = set()
        self._left = search.points
        self.total = search.points + len(self._singles)

    def next(self) -> Point | None:
        """The next point: one described in the file, one begun earlier, or a new one; None when the budget is used, or
        nothing new is proposed any more."""
        if self._singles:
            return self._singles.pop(0)
        if not self._left:
            return None
        while self._begun:
            point = self._sweep.point(self._begun.pop(0))
            if self._is_new(point):
                self._study.enqueue_trial(dict(point.choices))
                return self._take(point, self._study.ask(self._space))
        for _ in range(_TRIES):
            trial = self._study.ask(self._space)
            point = self._sweep.point(self._rounded(trial.params))
            if self._is_new(point):
                return self._take(point, trial)
            self._study.tell(trial, state=self._failed)
        self.total -= self._left
        self._left = 0
        return None

    def tell(self, point: Point, figures: Mapping[str, float] | None) -> None:
        """Reports a point's objectives (the keys of DIRECTIONS), or None where it failed."""
        trial = self._open.pop(point.name, None)
        if trial is None:
            return
        if figures is None:
            self._study.tell(trial, state=self._failed)
        else:
            self._study.tell(trial, [figures[key] for key in DIRECTIONS])

    def _take(self, point: Point, trial: Any) -> Point:
        self._seen.add(point.name)
        self._open[point.name] = trial
        self._left -= 1
        return point

    def _is_new(self, point: Point) -> bool:
        return point.name not in self._seen and not self._sweep.skips(point.choices)

    def _fits(self, choices: Mapping[str, Choice]) -> bool:
        """Whether earlier choices are still the file's."""
        return list(choices) == list(self._space) and all(
            _in_range(value, axis.choices) if isinstance(axis.choices, Range) else value in axis.choices
            for value, axis in zip(choices.values(), self._sweep.dimensions, strict=True)
        )

    def _rounded(self, params: Mapping[str, Any]) -> dict[str, Choice]:
        return {
            axis.name: axis.choices.number(params[axis.name]) if isinstance(axis.choices, Range) else params[axis.name]
            for axis in self._sweep.dimensions
        }


Proposer = Grid | Searcher


def proposer_of(sweep: Sweep, begun: Sequence[Mapping[str, Choice]]) -> Proposer:
    """What the file asks for; `begun` are the choices of an earlier run's points."""
    return Grid(sweep) if sweep.search is None else Searcher(sweep, sweep.search, begun)


def _in_range(value: object, numbers: Range) -> bool:
    """Whether an earlier run's choice is one of the numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not numbers.low <= value <= numbers.high:
        return False
    if numbers.whole and value != round(value):
        return False
    step = (int(numbers.step) or 1) if numbers.whole else numbers.step
    steps = (value - numbers.low) / step if step else 0.0
    return abs(steps - round(steps)) < 1e-5  # `Range.number` keeps six digits


def _distribution(choices: Mapping[str, Any] | Range) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(choices, Range):
        return CategoricalDistribution(list(choices))
    if choices.whole:
        return IntDistribution(int(choices.low), int(choices.high), step=int(choices.step) or 1)
    return FloatDistribution(choices.low, choices.high, step=choices.step or None)
