"""The report's charts: each function takes plain data and returns one SVG document as text.

A chart is as wide as its place: what is drawn is stretched, and letters keep their size. Its colours are those of the
page around it, and those of the light page where it stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["FONT_SIZE", "INK", "tests_over_threshold", "training_curves"]

FONT_SIZE = 12
"""Of all letters, in CSS pixels."""
INK = "var(--ink, #1d2329)"

_SOFT, _LINE = "var(--soft, #59636e)", "var(--line, #d9dee3)"
_BLUE, _GREEN, _RED = "var(--accent, #1f5fbf)", "var(--good, #20754f)", "var(--bad, #ad2b20)"
_LEFT, _WIDTH = 13.0, 85.0  # of the plot, in percent of the chart's width
_TITLE, _LEGEND, _PLOT, _FOOT = 26, 24, 170, 48  # heights of the parts, in pixels
_ROOM = 0.04  # of the values' range, above and below a curve


@dataclass(frozen=True)
class _Curve:
    """A line of a chart.

    Attributes:
        name: in the legend; empty where there is one curve only.
        points: x and y, in order.
        color: of the line.
        dash: of SVG's `stroke-dasharray`; empty for a whole line.
    """

    name: str
    points: Sequence[tuple[float, float]]
    color: str
    dash: str = ""


@dataclass(frozen=True)
class _Axis:
    """An axis of a chart.

    Attributes:
        low: its first value; of a logarithmic axis the logarithm.
        high: its last value, likewise.
        ticks: where a value is written, between both.
        labels: what is written there.
        title: below the chart; empty for none.
    """

    low: float
    high: float
    ticks: Sequence[float]
    labels: Sequence[str]
    title: str = ""

    def share(self, value: float) -> float:
        """Where a value lies, 0 (first) to 1 (last)."""
        return (value - self.low) / (self.high - self.low)


def tests_over_threshold(curve: Sequence[Mapping[str, float]], threshold: float) -> str:
    """Shares of right, nothing and wrong among the tests, over the confidence below which nothing is done.

    Args:
        curve: points in order, each with `threshold` (0…1) and the counts `right`, `nothing` and `wrong`.
        threshold: the recipe's.
    """
    totals = [max(point["right"] + point["nothing"] + point["wrong"], 1) for point in curve]
    curves = [
        _Curve(
            name,
            [(point["threshold"], 100 * point[name] / total) for point, total in zip(curve, totals, strict=True)],
            color,
            dash,
        )
        for name, color, dash in (("right", _GREEN, ""), ("nothing", _SOFT, "2 4"), ("wrong", _RED, ""))
    ]
    marker = _Curve("this recipe", [(threshold, 0), (threshold, 100)], INK, "6 4")
    across = _Axis(
        0, 1, (0, 0.25, 0.5, 0.75, 1), ("0", "0.25", "0.5", "0.75", "1"), "confidence below which nothing is done"
    )
    percents = _Axis(0, 102, (0, 25, 50, 75, 100), ("0", "25", "50", "75", "100 %"))
    return _document([_Panel("Tests over the threshold", [*curves, marker], across, percents)])


def training_curves(history: Sequence[Mapping[str, object]]) -> str:
    """Loss and exact match against the step; of text, which has no answers, the loss on dev.

    Args:
        history: in order, each with `step` and any of `loss`, `dev_loss` (nats a token) and `dev_exact_match` (share).
    """
    has_answers = any("dev_exact_match" in row for row in history) or not any("dev_loss" in row for row in history)
    on_dev = (
        ("dev_exact_match", "Exact match on dev, %", 100.0) if has_answers else ("dev_loss", "Loss on dev, nats", 1.0)
    )
    last = max((_number(row["step"]) for row in history), default=0.0)
    steps = _linear(0, last or 1, "steps")
    panels = []
    for key, title, scale in (("loss", "Loss, nats a token", 1.0), on_dev):
        points = [(_number(row["step"]), scale * _number(row[key])) for row in history if row.get(key) is not None]
        is_logarithmic = key == "loss" and bool(points) and min(value for _, value in points) > 0
        if is_logarithmic:
            points = [(step, math.log10(value)) for step, value in points]
        values = [value for _, value in points] or [0.0]
        axis = (_logarithmic if is_logarithmic else _linear)(min(values), max(values))
        panels.append(_Panel(title, [_Curve("", points, _BLUE)], steps, axis))
    return _document(panels)


@dataclass(frozen=True)
class _Panel:
    title: str
    curves: Sequence[_Curve]
    across: _Axis
    up: _Axis

    @property
    def has_legend(self) -> bool:
        return any(curve.name for curve in self.curves)

    @property
    def height(self) -> int:
        return _TITLE + (_LEGEND if self.has_legend else 0) + _PLOT + _FOOT


def _document(panels: Sequence[_Panel]) -> str:
    parts = []
    top = 0
    for panel in panels:
        parts.append(f'<svg y="{top}" width="100%" height="{panel.height}">\n{_panel(panel)}\n</svg>')
        top += panel.height
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" width="100%" height="{top}" role="img"'
    title = escape("; ".join(panel.title for panel in panels), {'"': "&quot;"})
    font = f'font-family="system-ui, sans-serif" font-size="{FONT_SIZE}"'
    return f'{head} aria-label="{title}" {font} fill="{_SOFT}">\n' + "\n".join(parts) + "\n</svg>\n"


def _panel(panel: _Panel) -> str:
    """Axes with their values, the legend, and the curves in a drawing that is stretched to its place."""
    top = _TITLE
    made = [f'<text x="0" y="15" font-size="14" font-weight="bold" fill="{INK}">{escape(panel.title)}</text>']
    if panel.has_legend:
        for place, curve in enumerate(panel.curves):
            left = 100 / len(panel.curves) * place
            dash = f' stroke-dasharray="{curve.dash}"' if curve.dash else ""
            made.append(
                f'<svg x="{left:.1f}%" y="{top}" width="{100 / len(panel.curves):.1f}%" height="{_LEGEND}">'
                f'<line x1="0" x2="14" y1="9" y2="9" stroke="{curve.color}" stroke-width="2.5"{dash}/>'
                f'<text x="18" y="13">{escape(curve.name)}</text></svg>'
            )
        top += _LEGEND
    for value, label in zip(panel.up.ticks, panel.up.labels, strict=True):
        y = top + _PLOT * (1 - panel.up.share(value))
        made.append(f'<line x1="{_LEFT}%" x2="{_LEFT + _WIDTH}%" y1="{y:.1f}" y2="{y:.1f}" stroke="{_LINE}"/>')
        made.append(f'<text x="{_LEFT - 1.5}%" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    bottom = top + _PLOT
    for value, label in zip(panel.across.ticks, panel.across.labels, strict=True):
        share = panel.across.share(value)
        anchor = "end" if share > 0.95 else "middle"
        x = _LEFT + _WIDTH * share
        made.append(f'<text x="{x:.2f}%" y="{bottom + 18}" text-anchor="{anchor}">{escape(label)}</text>')
    if panel.across.title:
        middle = _LEFT + _WIDTH / 2
        made.append(f'<text x="{middle}%" y="{bottom + 37}" text-anchor="middle">{escape(panel.across.title)}</text>')
    lines = "".join(_line(curve, panel) for curve in panel.curves if curve.points)
    made.append(
        f'<svg x="{_LEFT}%" y="{top}" width="{_WIDTH}%" height="{_PLOT}" viewBox="0 0 1000 1000" '
        f'preserveAspectRatio="none" fill="none">{lines}</svg>'
    )
    return "\n".join(made)


def _line(curve: _Curve, panel: _Panel) -> str:
    places = [(1000 * panel.across.share(x), 1000 * (1 - panel.up.share(y))) for x, y in curve.points]
    if len(places) == 1:  # a line needs two ends to be seen
        places = [(max(places[0][0] - 10, 0), places[0][1]), places[0]]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dash = f' stroke-dasharray="{curve.dash}"' if curve.dash else ""
    stroke = f'stroke="{curve.color}" stroke-width="2"{dash} vector-effect="non-scaling-stroke"'
    return f'<polyline points="{points}" {stroke}/>'


def _linear(low: float, high: float, title: str = "") -> _Axis:
    """An axis with three to six values that are 1, 2 or 5 times a power of ten apart."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    apart = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    ticks = [apart * number for number in range(math.ceil(low / apart - 1e-9), math.floor(high / apart + 1e-9) + 1)]
    digits = max(0, -math.floor(math.log10(apart) + 1e-9))
    room = 0 if title else _ROOM * (high - low)
    return _Axis(low - room, high + room, ticks, [f"{tick:,.{digits}f}" for tick in ticks], title)


def _logarithmic(low: float, high: float) -> _Axis:
    """An axis from 10 to the power of `low` to 10 to the power of `high`; its values are 1, 2 or 5 times powers of ten,
    or powers of ten alone where these are enough."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks: list[float] = []
    for factors in ((1,), (1, 2, 5), (1, 1.2, 1.5, 2, 3, 4, 5, 6, 8)):
        ticks = [power + math.log10(factor) for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low - 1e-9 <= tick <= high + 1e-9]
        if len(ticks) >= 2:
            break
    room = _ROOM * (high - low)
    return _Axis(low - room, high + room, ticks, [f"{10**tick:.3g}" for tick in ticks])


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
