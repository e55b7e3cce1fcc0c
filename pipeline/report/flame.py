"""A flame graph as one SVG document: a frame is as wide as what was counted in it and in all that it calls."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

__all__ = ["flame_graph"]

_WIDTH, _ROW, _TOP = 1100.0, 18.0, 30.0
_MIN_WIDTH = 0.6  # narrower frames are left out
_LETTER = 6.3
_HUES = {"thimble_": 212, "run_": 28, "model_": 150}
_PLAIN = 268
_COMMON = re.compile(r"^run_layer(\d+)_")


@dataclass
class _Frame:
    count: float = 0.0
    children: dict[str, _Frame] = field(default_factory=dict)


def flame_graph(stacks: Mapping[tuple[str, ...], float], title: str, unit: str) -> str:
    """Draws collapsed stacks, callers at the top.

    Args:
        stacks: outermost frame first → count.
        unit: what is counted, for the texts that appear over a frame.
    """
    root = _Frame()
    for stack, count in stacks.items():
        root.count += count
        frame = root
        for name in stack:
            frame = frame.children.setdefault(name, _Frame())
            frame.count += count
    scale = _WIDTH / root.count if root.count else 0.0
    drawn = list(_draw(root, 0.0, 0, scale))
    depth = max((row for row, _ in drawn), default=0) + 1
    height = _TOP + depth * _ROW + 4
    boxes = "\n".join(_box(row, frame, root.count, unit) for row, frame in drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" '
        f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="10.5">\n'
        f'<text x="0" y="16" font-weight="bold" font-family="sans-serif" font-size="13">{escape(title)}</text>\n'
        f"{boxes}\n</svg>\n"
    )


def _draw(frame: _Frame, left: float, row: int, scale: float) -> Iterator[tuple[int, tuple[str, float, float, float]]]:
    """Row, and name, left edge, width and count, of every frame wide enough to be seen; the widest first."""
    for name, child in sorted(frame.children.items(), key=lambda item: (-item[1].count, item[0])):
        width = child.count * scale
        if width >= _MIN_WIDTH:
            yield row, (name, left, width, child.count)
            yield from _draw(child, left, row + 1, scale)
        left += width


def _fitting(name: str, letters: int) -> str:
    """What fits of a name: all of it, the part that differs from its neighbours (`0 ffn_up` of `run_layer0_ffn_up`), or
    its start."""
    if len(name) > letters:
        name = _COMMON.sub(r"\1 ", name)
        name = next((name.removeprefix(start) for start in _HUES if name.startswith(start)), name)
    if len(name) <= letters:
        return name
    return name[: letters - 1] + "…" if letters > 2 else ""


def _box(row: int, frame: tuple[str, float, float, float], total: float, unit: str) -> str:
    name, left, width, count = frame
    top = _TOP + row * _ROW
    hue = next((hue for start, hue in _HUES.items() if name.startswith(start)), _PLAIN)
    light = 72 + zlib.crc32(name.encode()) % 12
    letters = int((width - 6) / _LETTER)
    caption = _fitting(name, letters)
    label = f'<text x="{left + 3:.1f}" y="{top + 12.5:.1f}">{escape(caption)}</text>' if caption else ""
    return (
        f"<g><title>{escape(name)}: {count:,.0f} {escape(unit)}, {count / total:.1%}</title>"
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(width - 0.4, 0.4):.1f}" height="{_ROW - 1:.0f}" rx="1.5" '
        f'fill="hsl({hue},60%,{light}%)"/>{label}</g>'
    )
