"""The front as a picture: accuracy against flash, RAM and time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.sweep.pareto import Cost, Results, TrialResult

__all__ = ["draw_front", "front_in"]

_COLOURS = ("#2b6cb0", "#dd8b2f", "#2f9e77", "#8d6bb8", "#c0504d", "#5f6b76")
_PANELS: tuple[tuple[str, Callable[[Cost], float]], ...] = (
    ("flash, KB", lambda cost: cost.flash / 1024),
    ("RAM, KB", lambda cost: cost.ram / 1024),
    ("ms a token", lambda cost: cost.ms),
)


def draw_front(results: Results, board: str, path: Path) -> None:
    """Writes a PNG of three panels with one accuracy axis.

    Colours are the first axis' choices. A line joins the points that no cheaper one of the panel reaches; these are
    named, the others stay pale.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    points = [point for point in results.points if board in point.boards]
    groups = list(dict.fromkeys(map(_group, points)))
    colours = {group: _COLOURS[index % len(_COLOURS)] for index, group in enumerate(groups)}
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (label, value) in zip(panels, _PANELS, strict=True):
        front = front_in(points, board, value)
        for point in points:
            axes.errorbar(
                value(point.boards[board]),
                100 * point.accuracy,
                yerr=100 * point.error,
                fmt="o",
                color=colours[_group(point)],
                alpha=1.0 if point in front else 0.35,
                markersize=6 if point in front else 4.5,
                elinewidth=0.8 if point in front else 0.4,
            )
        coordinates = [(value(point.boards[board]), 100 * point.accuracy) for point in front]
        axes.step(
            [x for x, _ in coordinates],
            [y for _, y in coordinates],
            where="post",
            color="#aab2bb",
            linewidth=1,
            zorder=0,
        )
        for (x, y), point in zip(coordinates, front, strict=True):
            axes.annotate(
                point.name, (x, y), xytext=(5, -4), textcoords="offset points", rotation=-35, va="top", fontsize=7.5
            )
        axes.set_xlim(0, 1.25 * max(value(point.boards[board]) for point in points))  # room for the last name
        axes.margins(y=0.12)
        axes.set_xlabel(label)
        axes.grid(color="#e4e7eb", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("whole action right, %: mean over the held-out splits, ± standard error")
    handles = [
        matplotlib.lines.Line2D([], [], color=colours[group], marker="o", linestyle="", label=group) for group in groups
    ]
    panels[-1].legend(handles=handles, frameon=False, loc="lower right")
    figure.suptitle(f"{results.name}: accuracy against cost on {board}, {len(points)} points", fontsize=11)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def front_in(points: list[TrialResult], board: str, value: Callable[[Cost], float]) -> list[TrialResult]:
    """The points that no other one beats in accuracy and this cost alone, the cheapest first."""
    ordered = sorted(points, key=lambda point: (value(point.boards[board]), -point.accuracy))
    front: list[TrialResult] = []
    for point in ordered:
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def _group(point: TrialResult) -> str:
    return str(next(iter(point.choices.values()), "single"))
