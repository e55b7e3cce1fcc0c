"""A search learns, keeps to its budget, and goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.sweep.plan import Choice, Point, Range, Sweep, load_sweep
from pipeline.sweep.search import Searcher, _in_range, proposer_of

AXES = {
    "model": {"nano": {}, "small": {}, "base": {}},
    "sparsity": {"key": "prune.sparsity", "low": 0.1, "high": 0.9},
    "window": {"key": "model.window", "low": 8, "high": 64, "step": 8},
}


def sweep_of(folder: Path, **changes: object) -> Sweep:
    path = folder / "sweep.yaml"
    data = {"name": "s", "axes": AXES, "search": {"points": 12, "seed": 3}, **changes}
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return load_sweep(path)


def figures(point: Point) -> dict[str, float] | None:
    """More weights are more accurate, and cost more; one in three models fails."""
    size = {"nano": 1, "small": 2, "base": 4}[str(point.choices["model"])]
    density = 1 - float(point.choices["sparsity"])
    if point.choices["model"] == "small" and density > 0.7:
        return None
    return {
        "accuracy": 1 - 0.1 / size - 0.1 * (1 - density),
        "flash": size * density,
        "ram": size,
        "ms": size * density,
    }


def run(searcher: Searcher, max_points: int = 1000) -> list[Point]:
    points: list[Point] = []
    while len(points) < max_points and (point := searcher.next()) is not None:
        points.append(point)
        searcher.tell(point, figures(point))
    return points


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_it_measures_as_many_different_points_as_it_may(tmp_path: Path, sampler: str) -> None:
    sweep = sweep_of(tmp_path, search={"points": 15, "sampler": sampler}, skip=[{"model": "base", "window": [8, 16]}])
    points = run(Searcher(sweep, sweep.search, []))  # type: ignore[arg-type]
    assert len({point.name for point in points}) == len(points) == 15
    assert not any(sweep.skips(point.choices) for point in points)
    for point in points:
        assert 0.1 <= float(point.choices["sparsity"]) <= 0.9 and int(point.choices["window"]) % 8 == 0
        assert point.recipe["prune"]["sparsity"] == point.choices["sparsity"]


def test_it_goes_on_with_what_was_begun(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path)
    first = run(proposer_of(sweep, []), max_points=5)  # type: ignore[arg-type]
    odd: dict[str, Choice] = {"model": "gone", "sparsity": 0.5, "window": 8}
    begun = [*(point.choices for point in first), odd]
    points = run(proposer_of(sweep, begun))  # type: ignore[arg-type]
    assert [point.name for point in points[:5]] == [point.name for point in first]
    assert len({point.name for point in points}) == len(points) == 12


def test_it_ends_when_all_was_seen(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, axes={"model": AXES["model"]})
    searcher = proposer_of(sweep, [])
    names = []
    while (point := searcher.next()) is not None:
        names.append(point.name)
        searcher.tell(point, {"accuracy": 0.5, "flash": 1, "ram": 1, "ms": 1})
    assert sorted(names) == ["base", "nano", "small"] and searcher.total == 3


@pytest.mark.parametrize(
    ("numbers", "inside", "outside"),
    [
        (Range("a", 0.1, 0.9, 0.0, False), [0.1, 0.123456, 0.9], [0.09, 0.91, "0.5", True, None]),
        (Range("a", 0.1, 0.9, 0.1, False), [0.1, 0.3, 0.9], [0.15, 1.0]),
        (Range("a", 0.0, 1.0, 0.3, False), [0.0, 0.3, 0.9], [1.0]),
        (Range("a", 8, 64, 8, True), [8, 16, 64], [12, 72, 8.5]),
        (Range("a", 1, 5, 0, True), [1, 2, 5], [0, 2.5]),
    ],
)
def test_an_earlier_choice_must_be_one_of_the_numbers(
    numbers: Range, inside: list[object], outside: list[object]
) -> None:
    assert all(_in_range(value, numbers) for value in inside)
    assert not any(_in_range(value, numbers) for value in outside)
