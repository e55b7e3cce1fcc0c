"""What a sweep measured: figures of each point, the front of those that none beats, and the table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from pipeline.errors import ThimbleError
from pipeline.recipes.sweep_schema import Choice
from pipeline.sweep.plan import Point
from pipeline.sweep.trial import Outcome
from pipeline.verification.result import RunResult

__all__ = ["Cost", "Results", "TrialFailure", "TrialResult", "front_of", "measured", "read_results"]


@dataclass(frozen=True)
class Cost:
    """Costs of a point on a board: bytes; milliseconds of a token (likely mean; high estimate of the slowest, which
    budgets limit); instructions (mean, slowest); bytes of weights; cycles of the slowest by the high estimate."""

    flash: int
    ram: int
    ms: float
    ms_worst: float
    instructions: float
    instructions_worst: float
    weight_bytes: int
    cycles_worst: float


@dataclass(frozen=True)
class TrialResult:
    """A measured point.

    `accuracy` is the mean over the held-out splits of the exact-match rate of the quantized model, computed on the
    host, whose logits equal the board's byte for byte; `error` its standard error; `splits` the shares themselves,
    `device` those of the fewer sentences that the board was asked.
    """

    name: str
    choices: Mapping[str, Choice]
    recipe: Mapping[str, Any]
    parameters: int
    accuracy: float
    error: float
    splits: Mapping[str, float]
    float_splits: Mapping[str, float]
    device: Mapping[str, float]
    sentences: Mapping[str, int]
    boards: Mapping[str, Cost]
    seconds: float


@dataclass(frozen=True)
class TrialFailure:
    """A failed point, with its error and remedy."""

    name: str
    error: str
    remedy: str


@dataclass(frozen=True)
class Results:
    """All points of a sweep; `front` names for each board those that no other beats in accuracy, flash, RAM and time at
    once. `source` is the sweep's file."""

    name: str
    description: str
    source: str
    points: Sequence[TrialResult]
    failed: Sequence[TrialFailure]
    versions: Mapping[str, str]
    front: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def boards(self) -> list[str]:
        """Boards that any point was measured on, in order."""
        return list(dict.fromkeys(board for point in self.points for board in point.boards))

    def chosen(self) -> list[TrialResult]:
        """Points on the front of any board."""
        names = {name for front in self.front.values() for name in front}
        return [point for point in self.points if point.name in names]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as pareto.json holds it."""
        return asdict(self)

    def table(self, board: str) -> Table:
        """The points on a board, the most accurate first; a mark at those on the front."""
        table = Table(
            "", "point", "accuracy", "flash", "RAM", "ms a token", "instructions", box=None, header_style="bold"
        )
        for row in self.rows(board):
            table.add_row(*row)
        return table

    def rows(self, board: str) -> list[tuple[str, ...]]:
        """The table's cells."""
        there = [point for point in self.points if board in point.boards]
        return [
            (
                "●" if point.name in self.front.get(board, ()) else "",
                point.name,
                f"{100 * point.accuracy:.1f} ± {100 * point.error:.1f} %",
                f"{cost.flash / 1024:.1f} KB",
                f"{cost.ram / 1024:.1f} KB",
                f"{cost.ms:.1f}",
                f"{cost.instructions:,.0f}",
            )
            for point in sorted(there, key=lambda point: -point.accuracy)
            for cost in (point.boards[board],)
        ]

    def markdown(self, board: str) -> str:
        """The table as a page of text."""
        first = next(point for point in self.points if board in point.boards)
        lines = [
            f"# {self.name}",
            "",
            self.description,
            "",
            f"On `{board}`. Accuracy: mean over {len(first.splits)} held-out splits, {first.sentences['host']} "
            f"sentences each, ± its standard error; the board was asked {first.sentences['device']} of each. ms: "
            "likely mean. ●: no other point is better in accuracy, flash, RAM and time at once.",
            "",
            "| | point | accuracy | flash | RAM | ms a token | instructions |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows(board)]
        lines += ["", *(f"Failed: `{point.name}`: {' '.join(point.error.split())}" for point in self.failed)]
        return "\n".join(lines).rstrip() + "\n"


def measured(point: Point, outcome: Outcome) -> TrialResult:
    """The figures of a point that ran through, from the result of each board."""
    results = {
        board: RunResult.from_data(data, f"the result of {point.name} on {board}")
        for board, data in outcome["results"].items()
    }
    first = next(iter(results.values()))
    quality, sentences = first.quality, first.quality_sentences
    splits = quality["quantized"]
    count = sentences["host"]
    variance = sum(share * (1 - share) / count for share in splits.values()) / len(splits) ** 2
    return TrialResult(
        name=point.name,
        choices=dict(point.choices),
        recipe=dict(point.recipe),
        parameters=outcome["parameters"],
        accuracy=sum(splits.values()) / len(splits),
        error=math.sqrt(variance),
        splits=splits,
        float_splits=quality["float"],
        device=quality["device"],
        sentences=sentences,
        boards={board: _cost(result) for board, result in results.items()},
        seconds=outcome["seconds"],
    )


def _cost(result: RunResult) -> Cost:
    instructions, cycles = result.instructions, result.cycles
    assert instructions is not None and cycles is not None, "an emulator counts instructions, from which cycles follow"
    return Cost(
        flash=result.flash_bytes.total,
        ram=result.ram_bytes.total,
        ms=result.milliseconds.decode_mean.likely,
        ms_worst=result.milliseconds.decode_max.high,
        instructions=instructions.decode_mean,
        instructions_worst=instructions.decode_max,
        weight_bytes=result.flash_bytes.weights,
        cycles_worst=cycles.decode_max.high,
    )


def front_of(points: Iterable[TrialResult], board: str) -> list[str]:
    """Names of the Pareto-optimal points: at least as good in accuracy, flash, RAM and time, better in one."""
    objectives = {point.name: _objectives(point, board) for point in points if board in point.boards}
    return [
        name
        for name, values in objectives.items()
        if not any(
            rival != values and all(mine <= theirs for mine, theirs in zip(rival, values, strict=True))
            for rival in objectives.values()
        )
    ]


def _objectives(point: TrialResult, board: str) -> tuple[float, ...]:
    """Less is better."""
    cost = point.boards[board]
    return (-point.accuracy, cost.flash, cost.ram, cost.ms)


def read_results(folder: Path) -> Results:
    """The `pareto.json` of a finished sweep.

    Raises:
        ThimbleError: there is none, or it is damaged.
    """
    path = folder / "pareto.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        points = [
            TrialResult(**{**point, "boards": {name: Cost(**cost) for name, cost in point["boards"].items()}})
            for point in data.pop("points")
        ]
        return Results(points=points, failed=[TrialFailure(**point) for point in data.pop("failed")], **data)
    except FileNotFoundError:
        raise ThimbleError(
            f"no results at {path}", "name a finished sweep's folder: --sweep build/sweep/NAME"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ThimbleError(f"{path} is damaged: {error}", "run the sweep again, which writes it anew") from None
