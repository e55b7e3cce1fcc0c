"""A sweep's file: axes whose choices are laid over one another and make recipes."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import PrivateAttr

from pipeline.errors import ConfigError, Problem, ThimbleError
from pipeline.recipes.path_faults import path_problems
from pipeline.recipes.paths import RECIPE, rebase, resolve
from pipeline.recipes.sweep_schema import Choice, Range, SweepFile
from pipeline.validation import read_yaml, validate

__all__ = ["Axis", "Point", "Sweep", "load_sweep", "recipe_text"]


@dataclass(frozen=True)
class Axis:
    """One dimension: named choices with what each lays over the recipe, or a range of numbers."""

    name: str
    choices: Mapping[str, Mapping[str, Any]] | Range

    def values(self) -> list[Choice]:
        """All choices; none that a grid could take where a range has no step."""
        return self.choices.values() if isinstance(self.choices, Range) else list(self.choices)

    def overlay(self, value: Choice) -> Mapping[str, Any]:
        """What a choice changes of a recipe."""
        return self.choices.overlay(value) if isinstance(self.choices, Range) else self.choices[str(value)]

    def label(self, value: Choice) -> str:
        """The choice in a point's name."""
        return f"{self.name}{value:g}" if isinstance(value, int | float) else value


@dataclass(frozen=True)
class Point:
    """One recipe of a sweep: its name, the choices that made it, and the recipe's data as its YAML file has them."""

    name: str
    choices: Mapping[str, Choice]
    recipe: Mapping[str, Any]


class Sweep(SweepFile):
    """A checked sweep file, and the points that it describes."""

    _path: Path = PrivateAttr(default=Path("sweep.yaml"))

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def dimensions(self) -> tuple[Axis, ...]:
        """The axes, in the file's order."""
        return tuple(Axis(name, choices) for name, choices in self.axes.items())

    def grid(self) -> list[Point]:
        """Every combination of choices that `skip` does not name, then the file's further points.

        Raises:
            ThimbleError: two points have one name.
        """
        names = [axis.name for axis in self.dimensions]
        points = [
            self.point(dict(zip(names, values, strict=True)))
            for values in (itertools.product(*(axis.values() for axis in self.dimensions)) if self.axes else ())
            if not self.skips(dict(zip(names, values, strict=True)))
        ]
        return self._distinct([*points, *self.singles()])

    def singles(self) -> list[Point]:
        """The points that the file describes one by one."""
        return [self._made(name, {}, [overlay]) for name, overlay in self.points.items()]

    def point(self, choices: Mapping[str, Choice]) -> Point:
        """The point of these choices, one of each axis."""
        labels = [axis.label(choices[axis.name]) for axis in self.dimensions]
        overlays = [axis.overlay(choices[axis.name]) for axis in self.dimensions]
        return self._made("-".join(labels), choices, overlays)

    def skips(self, choices: Mapping[str, Choice]) -> bool:
        """Whether an entry of `skip` matches these choices."""
        return any(
            all(
                choices.get(axis) in (values if isinstance(values, list) else [values]) for axis, values in rule.items()
            )
            for rule in self.skip
        )

    def _made(self, label: str, choices: Mapping[str, Choice], overlays: list[Mapping[str, Any]]) -> Point:
        """`from` files first, then what all points share, then the choices in the order of the axes."""
        folder = self.path.parent
        problems = [problem for layer in (self.recipe, *overlays) for problem in path_problems(layer)]
        if problems:
            raise ConfigError(self.path, problems)
        layers = [self._file(overlay["from"]) for overlay in (self.recipe, *overlays) if "from" in overlay]
        for layer in (self.recipe, *overlays):
            layers.append(rebase({key: value for key, value in layer.items() if key != "from"}, folder))
        recipe: dict[str, Any] = {}
        for layer in layers:
            recipe = _laid_over(recipe, layer)
        recipe["name"] = f"{self.name}-{label}"
        return Point(label, dict(choices), recipe)

    def _file(self, name: object) -> dict[str, Any]:
        """A recipe's data. What the sweep measures has no budgets to fail by."""
        remedy = "name a recipe, seen from the sweep file's folder, or `shipped:NAME`"
        if problems := list(path_problems({"weights": str(name)})):
            raise ConfigError(self.path, [Problem("from", problems[0].what.replace("`weights`", "`from`"), remedy)])
        path = resolve(str(name), self.path.parent, RECIPE)
        try:
            data = read_yaml(path, "recipe", remedy)
        except FileNotFoundError:
            raise ConfigError(self.path, [Problem("from", f"`from: {name}`: no recipe at {path}", remedy)]) from None
        except ConfigError as error:
            raise ConfigError(self.path, error.problems) from None
        if not isinstance(data, dict):
            raise ConfigError(self.path, [Problem("from", f"`from: {name}` is no recipe", remedy)])
        if problems := list(path_problems(data)):
            raise ConfigError(path, problems)
        return {key: value for key, value in rebase(data, path.parent).items() if key != "budgets"}

    def _distinct(self, points: list[Point]) -> list[Point]:
        for name, count in Counter(point.name for point in points).items():
            if count > 1:
                raise ThimbleError(f"{self.path}: two points are called {name}", "give choices names that differ")
        if not points:
            raise ThimbleError(f"{self.path} has no points", "give it `axes` with choices, or `points`")
        for point in points:
            task = point.recipe.get("task")
            if isinstance(task, Mapping) and task.get("name") == "corpus":
                raise ThimbleError(
                    f"{self.path}: the task of {point.name} is 'corpus', and a sweep compares shares of right answers",
                    "run its recipes one by one, and compare `perplexity` in their result.json",
                )
        return points


def load_sweep(path: Path) -> Sweep:
    """Reads and checks a sweep file; its recipes are checked when they are made.

    Raises:
        ThimbleError: no such file.
        ConfigError: not YAML, or keys that are unknown or of the wrong type; names them all.
    """
    try:
        data = read_yaml(path, "sweep", "mend the file")
    except FileNotFoundError:
        raise ThimbleError(f"no sweep at {path}", "name a sweep's file, such as models/sweeps/home-en.yaml") from None
    sweep = validate(Sweep, data, path)
    sweep._path = path
    return sweep


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged key by key; anything else above replaces what lies below."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _laid_over(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def recipe_text(point: Point) -> str:
    """The point as a recipe's file."""
    chosen = ", ".join(f"{axis}: {choice}" for axis, choice in point.choices.items())
    head = f"# A point of a sweep{f' ({chosen})' if chosen else ''}. Run it: python -m pipeline run THIS_FILE\n"
    recipe = _plain(point.recipe)
    if recipe.get("task", {}).get("name") not in (None, "text"):
        recipe.setdefault("budgets", {"min_exact_match": 0})  # a bad point is a result too
    return head + yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=120)


def _plain(value: Any) -> Any:
    """Mappings as dicts."""
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, Mapping) else value
