"""The picture: instructions for each multiply-accumulate, ours beside the peers'."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.bench.rows import Row

__all__ = ["draw"]

_COLOURS = {
    "thimble": "#1b6ca8",
    "CMSIS-NN": "#c46a2b",
    "TensorFlow Lite Micro, CMSIS-NN": "#8a4f9e",
    "TensorFlow Lite Micro, reference": "#c3a5cf",
    "float C": "#9aa0a6",
}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Two panels of bars: the int8 product at one depth, and a whole decode step with the context half full."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    kernels = [row for row in rows if row.kernel and row.depth == 128 and row.per_mac is not None]
    fills = {row.model: _half(rows, row.model) for row in rows if row.model}
    steps = [
        r for r in rows if r.model and not r.layer and r.fill is not None and r.fill == fills[r.model] and r.per_mac
    ]
    models = list(dict.fromkeys(row.model for row in steps))
    chosen = [models[len(models) // 2]] if models else []
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), constrained_layout=True)
    _bars(panels[0], kernels, "int8 product, depth 128, 64 rows")
    _bars(panels[1], [r for r in steps if r.model in chosen], f"decode step of {', '.join(chosen)}, context half full")
    panels[0].set_ylabel("instructions for each multiply-accumulate")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _half(rows: Sequence[Row], model: str) -> int | None:
    fills = sorted({row.fill for row in rows if row.model == model and not row.layer and row.fill is not None})
    return fills[len(fills) // 2] if fills else None


def _bars(panel: object, rows: Sequence[Row], title: str) -> None:
    from typing import Any, cast

    axes = cast(Any, panel)
    cores = list(dict.fromkeys(row.core for row in rows))
    engines = [engine for engine in _COLOURS if any(row.engine == engine for row in rows)]
    values = {(row.core, row.engine): row.per_mac for row in rows}
    compared = [values[key] for key in values if key[1] in engines and key[1] != "float C"]
    top = max((value for value in compared if value), default=1.0) * 1.6
    width = 0.8 / max(len(engines), 1)
    for column, engine in enumerate(engines):
        for number, core in enumerate(cores):
            value = values.get((core, engine))
            if value is None:
                continue
            x = number + (column - (len(engines) - 1) / 2) * width
            axes.bar(x, min(value, top), width * 0.92, color=_COLOURS[engine], label=engine if number == 0 else None)
            beyond = " ↑" if value > top else ""  # cut off: the others would not be seen beside it
            axes.annotate(f"{value:.2f}{beyond}", (x, min(value, top)), ha="center", va="bottom", fontsize=7)
    for number, core in enumerate(cores):
        limit = values.get((core, "limit"))
        if limit is not None:
            axes.hlines(limit, number - 0.42, number + 0.42, color="black", linewidth=1.2)
    axes.set_xticks(range(len(cores)), cores)
    axes.set_ylim(0, top * 1.1)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    if any(row.engine == "limit" for row in rows):
        from matplotlib.lines import Line2D

        unique["the limit"] = Line2D([], [], color="black", linewidth=1.2)
    axes.legend(unique.values(), unique.keys(), frameon=False, fontsize=8)
