"""A flame graph as one SVG document: a frame is as wide as what was counted in it and in all that it calls.

It is as wide as its place; letters keep their size, and are cut where a frame ends.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from pipeline.report.charts import FONT_SIZE, INK

__all__ = ["flame_graph"]

_WIDE, _NARROW = 920.0, 350.0  # pixels: the graph on a desk, on a phone
_ROW, _TOP = 19.0, 30.0
_MIN_WIDTH = 0.6 / _WIDE  # narrower frames are left out
_LETTER = 7.3
_MIN_LETTERS = 3
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
    scale = 1.0 / root.count if root.count else 0.0
    drawn = list(_draw(root, 0.0, 0, scale))
    depth = max((row for row, _ in drawn), default=0) + 1
    height = _TOP + depth * _ROW + 4
    boxes = "\n".join(_box(row, frame, root.count, unit) for row, frame in drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flame" width="100%" height="{height:.0f}" '
        f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="{FONT_SIZE}">\n'
        f"<style>@media (max-width: 44rem) {{ .flame .on-a-desk {{ display: none; }} }}</style>\n"
        f'<text x="0" y="16" font-weight="bold" font-family="system-ui, sans-serif" font-size="14" fill="{INK}">'
        f"{escape(title)}</text>\n{boxes}\n</svg>\n"
    )


def _draw(frame: _Frame, left: float, row: int, scale: float) -> Iterator[tuple[int, tuple[str, float, float, float]]]:
    """Row, and name, left edge and width (of 1), and count, of every frame wide enough to be seen; the widest first."""
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
    return name[: letters - 1] + "…" if letters >= _MIN_LETTERS else ""


def _box(row: int, frame: tuple[str, float, float, float], total: float, unit: str) -> str:
    name, left, width, count = frame
    hue = next((hue for start, hue in _HUES.items() if name.startswith(start)), _PLAIN)
    light = 72 + zlib.crc32(name.encode()) % 12
    caption = _fitting(name, _letters(width, _WIDE))
    place = "" if _letters(width, _NARROW) >= _MIN_LETTERS else ' class="on-a-desk"'
    label = f'<text x="3" y="13.5" fill="#1d2329"{place}>{escape(caption)}</text>' if caption else ""
    return (
        f'<svg x="{100 * left:.3f}%" y="{_TOP + row * _ROW:.0f}" width="{100 * width:.3f}%" height="{_ROW - 1:.0f}">'
        f"<title>{escape(name)}: {count:,.0f} {escape(unit)}, {count / total:.1%}</title>"
        f'<rect width="100%" height="100%" rx="1.5" stroke="var(--paper, #fff)" stroke-width=".5" '
        f'fill="hsl({hue},60%,{light}%)"/>{label}</svg>'
    )


def _letters(width: float, whole: float) -> int:
    """Letters that fit into a frame.

    Args:
        width: of the frame, of 1.
        whole: width of the graph in pixels.
    """
    return int((width * whole - 6) / _LETTER)
