"""What a sweep's file may say: axes whose choices are laid over one another and make recipes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from pipeline.validation import Complaint, Number, StrictModel, complain, complaint, did_you_mean

__all__ = ["SAMPLERS", "Choice", "Range", "Search", "SweepFile"]

Sampler = Literal["tpe", "nsga2", "random"]
SAMPLERS: tuple[str, ...] = get_args(Sampler)

Choice = str | int | float
"""A choice's name, or a number of a range."""
_MAX_VALUES = 1_000
"""Numbers of an axis in a grid."""
_MOST_STEPS = 1_000_000_000
"""Between the ends of a range: what searches can tell apart."""
_MAX_POINTS = 10_000
"""Points of a grid: more than anyone trains."""
_Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
"""What may be part of a file's name."""
_Overlay = dict[str, Any]
"""What is laid over a recipe; `from` names a recipe below it."""


class Range(StrictModel):
    """An axis of numbers: one key of the recipe from `low` to `high`."""

    key: str = Field(pattern=r"^[a-z_]+(\.[a-z0-9_]+)*$")
    """The recipe's key, such as `prune.sparsity`."""
    low: Number
    """The first number."""
    high: Number
    """The last number."""
    step: Number = Field(0, ge=0)
    """From one number to the next; 0: any, for a search."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.low > self.high:
            complain([complaint("", f"goes from {self.low} to {self.high}", "use low <= high")])
        if not math.isfinite(float(self.high) - float(self.low)):
            complain([complaint("", f"goes from {self.low} to {self.high}", "use a range that is less wide")])
        step = self.step or (1 if self.whole else 0)
        if step and (self.high - self.low) / step > _MOST_STEPS:
            remedy = f"use a larger step, or none where any number will do: at most {_MOST_STEPS:,} steps"
            complain([complaint("", f"goes from {self.low} to {self.high} by {step}", remedy)])
        return self

    @property
    def whole(self) -> bool:
        """Whether all of its numbers are whole."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step))

    def count(self) -> float:
        """How many numbers a grid has; infinite where there is no step."""
        steps = (self.high - self.low) / self.step if self.step else math.inf
        return math.floor(steps + 1e-9) + 1 if math.isfinite(steps) else math.inf

    def values(self) -> list[Choice]:
        """All numbers, for a grid."""
        return [self.number(self.low + index * self.step) for index in range(int(self.count()))]

    def number(self, value: float) -> Choice:
        """The number as the recipe has it: whole, or without the noise of adding steps."""
        return round(value) if self.whole else round(value, 6)

    def overlay(self, value: Choice) -> dict[str, Any]:
        """What the number changes of a recipe."""
        nested: Any = value
        for part in reversed(self.key.split(".")):
            nested = {part: nested}
        return dict(nested)


class Search(StrictModel):
    """A budgeted search instead of the whole grid."""

    section: ClassVar[str] = "search"

    points: int = Field(ge=1, le=_MAX_POINTS)
    """How many points are measured."""
    sampler: Sampler = "tpe"
    """What proposes them."""
    seed: int = Field(1, ge=0, lt=1 << 31)
    """Decides what is proposed."""


def _kind_of_axis(value: Any) -> str:
    return "[Range]" if isinstance(value, Range) or (isinstance(value, Mapping) and "key" in value) else "[dict]"


_Choices = Annotated[dict[_Label, _Overlay], Field(min_length=1)]
_AxisChoices = Annotated[
    Annotated[Range, Tag("[Range]")] | Annotated[_Choices, Tag("[dict]")], Discriminator(_kind_of_axis)
]


class SweepFile(StrictModel):
    """Many recipes: axes whose choices are laid over one another, or points one by one."""

    name: _Label
    """Names the folder `build/sweep/NAME`."""
    description: str = ""
    """A line for the results."""
    recipe: _Overlay = Field(default_factory=dict)
    """What all points share."""
    axes: dict[_Label, _AxisChoices] = Field(default_factory=dict)
    """By name: choices, with what each changes of the recipe, or a range of numbers for one key."""
    skip: list[dict[str, Choice | list[Choice]]] = Field(default_factory=list)
    """Combinations that are not wanted: by axis, one choice or a list of them."""
    points: dict[_Label, _Overlay] = Field(default_factory=dict)
    """Further points, one by one."""
    search: Search | None = None
    """Measure so many points that a search proposes instead of the whole grid."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        complain([*self._axis_complaints(), *self._skip_complaints()])
        return self

    def _axis_complaints(self) -> Iterator[Complaint]:
        if self.search is not None and not self.axes:
            yield complaint("axes", "is empty: a `search` has nothing to choose from", "give it axes")
        points = 1.0
        for name, choices in self.axes.items():
            if self.search is not None:
                continue
            if isinstance(choices, Range) and not choices.step:
                yield complaint(("axes", name), "has no `step`", "a grid needs one; a `search` does not")
                continue
            count = choices.count() if isinstance(choices, Range) else len(choices)
            points *= count
            if count > _MAX_VALUES:
                remedy = f"at most {_MAX_VALUES:,}: a larger `step`, or a `search`"
                yield complaint(("axes", name), f"has {count:,g} numbers", remedy)
        if points > _MAX_POINTS:
            yield complaint("axes", f"make {points:,g} points", f"at most {_MAX_POINTS:,}, or a `search`")

    def _skip_complaints(self) -> Iterator[Complaint]:
        """Entries of `skip` whose axes or choices are not there."""
        for rule in self.skip:
            if not rule:
                yield complaint("skip", "holds an empty entry", "write each entry as {axis: choice, …}")
            for name, values in rule.items():
                choices = self.axes.get(name)
                if choices is None:
                    remedy = f"the axes: {', '.join(self.axes)}{did_you_mean(name, self.axes)}"
                    yield complaint("skip", f"names {name!r}, which is no axis", remedy)
                    continue
                for value in values if isinstance(values, list) else [values]:
                    if not isinstance(choices, Range) and value not in choices:
                        remedy = f"the choices: {', '.join(choices)}{did_you_mean(value, choices)}"
                        yield complaint("skip", f"names {value!r}, which is no choice of `{name}`", remedy)
