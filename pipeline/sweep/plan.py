"""A sweep's file: axes whose choices are laid over one another and make recipes."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ThimbleError

__all__ = ["SAMPLERS", "Axis", "Choice", "Point", "Range", "Search", "Sweep", "load_sweep", "recipe_text"]

SAMPLERS = ("tpe", "nsga2", "random")

_KEYS = {"name": str, "description": str, "recipe": dict, "axes": dict, "skip": list, "points": dict, "search": dict}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_RANGE_KEYS = ("key", "low", "high", "step")

Choice = str | int | float
"""A choice's name, or a number of a range."""


@dataclass(frozen=True)
class Range:
    """An axis of numbers: one key of the recipe (`prune.sparsity`) from `low` to `high`, by `step` (0: any)."""

    key: str
    low: float
    high: float
    step: float
    whole: bool

    def values(self) -> list[Choice]:
        """All numbers, for a grid."""
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return [self.number(self.low + index * self.step) for index in range(count)]

    def number(self, value: float) -> Choice:
        """The number as the recipe has it: whole, or without the noise of adding steps."""
        return round(value) if self.whole else round(value, 6)

    def overlay(self, value: Choice) -> dict[str, Any]:
        """What the number changes of a recipe."""
        nested: Any = value
        for part in reversed(self.key.split(".")):
            nested = {part: nested}
        return dict(nested)


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
class Search:
    """A budgeted search instead of the whole grid: how many points, what proposes them, and its seed."""

    points: int
    sampler: str = "tpe"
    seed: int = 1


@dataclass(frozen=True)
class Point:
    """One recipe of a sweep: its name, the choices that made it, and the recipe's data as its YAML file has them."""

    name: str
    choices: Mapping[str, Choice]
    recipe: Mapping[str, Any]


@dataclass(frozen=True)
class Sweep:
    """A checked sweep file."""

    path: Path
    name: str
    description: str
    recipe: Mapping[str, Any]
    axes: tuple[Axis, ...]
    skip: tuple[Mapping[str, Any], ...]
    points: Mapping[str, Mapping[str, Any]]
    search: Search | None

    def grid(self) -> list[Point]:
        """Every combination of choices that `skip` does not name, then the file's further points.

        Raises:
            ThimbleError: two points have one name.
        """
        names = [axis.name for axis in self.axes]
        points = [
            self.point(dict(zip(names, values, strict=True)))
            for values in (itertools.product(*(axis.values() for axis in self.axes)) if self.axes else ())
            if not self.skips(dict(zip(names, values, strict=True)))
        ]
        return self._distinct([*points, *self.singles()])

    def singles(self) -> list[Point]:
        """The points that the file describes one by one."""
        return [self._made(name, {}, [overlay]) for name, overlay in self.points.items()]

    def point(self, choices: Mapping[str, Choice]) -> Point:
        """The point of these choices, one of each axis."""
        labels = [axis.label(choices[axis.name]) for axis in self.axes]
        overlays = [axis.overlay(choices[axis.name]) for axis in self.axes]
        return self._made("-".join(labels), choices, overlays)

    def skips(self, choices: Mapping[str, Choice]) -> bool:
        """Whether an entry of `skip` names these choices: each axis that it has, by one choice or a list of them."""
        return any(
            all(
                choices.get(axis) in (values if isinstance(values, list) else [values]) for axis, values in rule.items()
            )
            for rule in self.skip
        )

    def _made(self, label: str, choices: Mapping[str, Choice], overlays: list[Mapping[str, Any]]) -> Point:
        """`from` files first, then what all points share, then the choices in the order of the axes."""
        layers = [self._file(overlay["from"]) for overlay in (self.recipe, *overlays) if "from" in overlay]
        layers += [{key: value for key, value in layer.items() if key != "from"} for layer in (self.recipe, *overlays)]
        recipe: dict[str, Any] = {}
        for layer in layers:
            recipe = _laid_over(recipe, layer)
        recipe["name"] = f"{self.name}-{label}"
        return Point(label, dict(choices), recipe)

    def _file(self, name: str) -> dict[str, Any]:
        """A recipe's data. What the sweep measures has no budgets to fail by."""
        path = self.path.parent / name
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
            raise ThimbleError(
                f"{self.path}: cannot read `from: {name}`: {reason}", "name a recipe, seen from the sweep file's folder"
            ) from None
        if not isinstance(data, dict):
            raise ThimbleError(f"{self.path}: `from: {name}` is no recipe", "name a recipe's YAML file")
        data.pop("budgets", None)
        return data

    def _distinct(self, points: list[Point]) -> list[Point]:
        names = [point.name for point in points]
        for name in names:
            if names.count(name) > 1:
                raise ThimbleError(f"{self.path}: two points are called {name}", "give choices names that differ")
        if not points:
            raise ThimbleError(f"{self.path} has no points", "give it `axes` with choices, or `points`")
        return points


def load_sweep(path: Path) -> Sweep:
    """Reads and checks a sweep file; its recipes are checked when they are made.

    Raises:
        ThimbleError: no such file, not YAML, an unknown key or a wrong type; names the key.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ThimbleError(f"no sweep at {path}", "name a sweep's file, such as models/sweeps/home-en.yaml") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ThimbleError(f"cannot read the sweep {path}: {' '.join(str(error).split())}", "mend the file") from None
    try:
        return _sweep(path, data)
    except ThimbleError as error:
        raise ThimbleError(f"{path}: {error.what}", error.remedy) from None


def _sweep(path: Path, data: object) -> Sweep:
    if not isinstance(data, dict):
        raise ThimbleError("a sweep is a mapping of sections", "see docs/sweep.md")
    _known("the sweep", data, _KEYS)
    for key, value in data.items():
        if not isinstance(value, _KEYS[key]):
            raise ThimbleError(f"`{key}` is {value!r:.40}", f"write it as docs/sweep.md shows ({_KEYS[key].__name__})")
    if not _NAME.fullmatch(data.get("name", "")):
        raise ThimbleError(f"`name` {data.get('name')!r} cannot name a folder", "use letters, digits, '-', '_', '.'")
    axes = tuple(_axis(name, definition) for name, definition in data.get("axes", {}).items())
    points = data.get("points", {})
    for name, overlay in points.items():
        _named(f"points.{name}", name, overlay)
    search = _search(data["search"]) if "search" in data else None
    if search is None:
        for axis in axes:
            if isinstance(axis.choices, Range) and not axis.choices.step:
                raise ThimbleError(f"`axes.{axis.name}` has no `step`", "a grid needs one; a `search` does not")
    elif not axes:
        raise ThimbleError("`search` without `axes` has nothing to choose from", "give it axes")
    return Sweep(
        path=path,
        name=data["name"],
        description=data.get("description", ""),
        recipe=data.get("recipe", {}),
        axes=axes,
        skip=tuple(_rules(data.get("skip", []), axes)),
        points=points,
        search=search,
    )


def _axis(name: object, definition: object) -> Axis:
    if not isinstance(name, str) or not isinstance(definition, dict) or not definition:
        raise ThimbleError(
            f"`axes.{name}` is {definition!r:.40}", "give it choices by name, or key, low, high and step"
        )
    if "key" in definition:
        return Axis(name, _range(name, definition))
    for choice, overlay in definition.items():
        _named(f"axes.{name}.{choice}", choice, overlay)
    return Axis(name, definition)


def _named(where: str, name: object, overlay: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ThimbleError(f"`{where}`: {name!r} cannot be part of a file's name", "use letters, digits, '-', '_', '.'")
    if not isinstance(overlay, dict):
        raise ThimbleError(f"`{where}` is {overlay!r:.40}", "write what it changes of the recipe, {} for nothing")


def _range(name: str, definition: Mapping[str, Any]) -> Range:
    where = f"axes.{name}"
    _known(where, definition, dict.fromkeys(_RANGE_KEYS))
    numbers = [definition.get("low"), definition.get("high"), definition.get("step", 0)]
    if not isinstance(definition["key"], str) or any(
        isinstance(value, bool) or not isinstance(value, int | float) for value in numbers
    ):
        raise ThimbleError(
            f"`{where}` is {dict(definition)!r:.60}", "write key: SECTION.KEY, and low, high, step as numbers"
        )
    low, high, step = numbers
    if not (low <= high and step >= 0):
        raise ThimbleError(f"`{where}` goes from {low} to {high} by {step}", "use low <= high, and a step above 0")
    return Range(definition["key"], low, high, step, all(isinstance(value, int) for value in numbers))


def _search(definition: Mapping[str, Any]) -> Search:
    _known("search", definition, {"points": int, "sampler": str, "seed": int})
    search = Search(definition.get("points", 0), definition.get("sampler", "tpe"), definition.get("seed", 1))
    for key in ("points", "seed"):
        value = getattr(search, key)
        if isinstance(value, bool) or not isinstance(value, int) or value < (key == "points"):
            raise ThimbleError(f"`search.{key}` is {value!r}", "use a whole number, points above 0")
    if search.sampler not in SAMPLERS:
        raise ThimbleError(f"`search.sampler` {search.sampler!r} is not known", f"use one of: {', '.join(SAMPLERS)}")
    return search


def _rules(entries: list[Any], axes: tuple[Axis, ...]) -> Iterator[Mapping[str, Any]]:
    """`skip`'s entries, whose axes and choices must be there."""
    known = {axis.name: axis.choices for axis in axes}
    for rule in entries:
        if not isinstance(rule, dict) or not rule:
            raise ThimbleError(f"`skip` holds {rule!r:.40}", "write each entry as {axis: choice, …}")
        for name, values in rule.items():
            choices = known.get(name)
            if choices is None:
                raise ThimbleError(f"`skip` names {name!r}, which is no axis", f"the axes: {', '.join(known)}")
            for value in values if isinstance(values, list) else [values]:
                if not isinstance(choices, Range) and value not in choices:
                    raise ThimbleError(
                        f"`skip` names {value!r}, which is no choice of `{name}`", f"the choices: {', '.join(choices)}"
                    )
        yield rule


def _known(where: str, data: Mapping[str, Any], keys: Mapping[str, object]) -> None:
    for key in data:
        if key not in keys:
            raise ThimbleError(f"unknown key `{key}` in {where}", f"known keys: {', '.join(keys)}")


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
    return head + yaml.safe_dump(_plain(point.recipe), sort_keys=False, allow_unicode=True, width=120)


def _plain(value: Any) -> Any:
    """Mappings as dicts."""
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, Mapping) else value
