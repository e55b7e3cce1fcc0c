"""The report's pictures: each function takes plain data and returns one SVG document as text."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams.update(
    {
        "svg.hashsalt": "thimble",  # the same data gives the same bytes
        "svg.fonttype": "path",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "figure.constrained_layout.use": True,
    }
)

from matplotlib.figure import Figure  # noqa: E402  (the backend is chosen first)

__all__ = ["accuracy_by_split", "instructions_by_layer", "memory_map", "tests_over_threshold", "training_curves"]

BLUE, ORANGE, GREEN, GREY = "#2b6cb0", "#dd8b2f", "#2f9e77", "#cbd2d9"
SHADES = ["#2b6cb0", "#63a4dd", "#2f9e77", "#8fd0b5", "#dd8b2f", "#f0c088", "#8d6bb8"]
KINDS = {
    "fully_connected": BLUE,
    "attention": ORANGE,
    "norm": GREEN,
    "elementwise": "#8d6bb8",
}


def memory_map(flash: Mapping[str, int], flash_size: int, ram: Mapping[str, int], ram_size: int) -> str:
    """Flash and RAM in use, part by part; scaled to the bytes in use, the label gives the share of the board's memory.

    Args:
        flash: bytes a part, in order.
        ram: likewise. flash_size, ram_size: bytes that the board has.
    """
    figure = Figure(figsize=(8.5, 2.9))
    for row, (title, parts, size) in enumerate((("Flash", flash, flash_size), ("RAM", ram, ram_size))):
        axes = figure.add_subplot(2, 1, row + 1)
        used = sum(parts.values()) / 1024
        left = 0.0
        for shade, (name, count) in zip(SHADES, parts.items(), strict=False):
            axes.barh(0, count / 1024, left=left, color=shade, height=0.6, label=f"{name} {count / 1024:.1f} KB")
            left += count / 1024
        share = used * 1024 / size
        axes.set_title(f"{title}: {used:.1f} KB of {size / 1024:,.0f} KB ({share:.1%})")
        axes.set_xlim(0, used * 1.02 or 1)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} KB")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.1), frameon=False, fontsize=8)
    return _svg(figure)


def instructions_by_layer(layers: Sequence[Mapping[str, object]]) -> str:
    """Instructions of one decode step in each layer; the number of multiply-accumulates beside it where there are any.

    Args:
        layers: in order, each with `name`, `kind`, `macs` and `instructions`.
    """
    figure = Figure(figsize=(8.5, 0.9 + 0.19 * len(layers)))
    axes = figure.add_subplot(1, 1, 1)
    labelled: set[str] = set()
    for row, layer in enumerate(layers):
        kind, count, macs = str(layer["kind"]), _number(layer["instructions"]), _number(layer["macs"])
        label = kind.replace("_", " ") if kind not in labelled else None
        labelled.add(kind)
        axes.barh(row, count, color=KINDS.get(kind, "#8d99a6"), label=label, height=0.75)
        note = f" {count:,.0f}" + (f"  ({count / macs:.2f} per MAC)" if macs > 0 else "")
        axes.text(count, row, note, va="center", fontsize=7)
    axes.set_yticks(range(len(layers)), [str(layer["name"]) for layer in layers], fontsize=7)
    axes.invert_yaxis()
    axes.margins(x=0.22, y=0.01)
    axes.set_xlabel("instructions")
    axes.set_title("Instructions of one decode step, layer by layer")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _svg(figure)


def accuracy_by_split(quality: Mapping[str, Mapping[str, float]], baseline: Mapping[str, float]) -> str:
    """Exact match in percent on each held-out split: float, int8 on the host, int8 on the device.

    Args:
        quality: engine → split → share (0…1).
        baseline: split → share that hassil itself recognizes.
    """
    figure = Figure(figsize=(8.5, 3.1))
    axes = figure.add_subplot(1, 1, 1)
    engines = list(quality)
    splits = list(next(iter(quality.values()), {}))
    width = 0.8 / max(len(engines), 1)
    for column, engine in enumerate(engines):
        positions = [row + (column - (len(engines) - 1) / 2) * width for row in range(len(splits))]
        values = [100 * quality[engine].get(split, 0.0) for split in splits]
        bars = axes.bar(positions, values, width * 0.92, label=engine, color=[BLUE, ORANGE, GREEN, GREY][column % 4])
        axes.bar_label(bars, [f"{value:.1f}" for value in values], fontsize=7, padding=1)
    for row, split in enumerate(splits):
        if split in baseline:
            label = "hassil itself" if split == next(iter(baseline)) else "_"  # an underscore: not in the legend
            axes.hlines(100 * baseline[split], row - 0.42, row + 0.42, color="#444", linestyle="--", label=label)
    axes.set_xticks(range(len(splits)), [split.replace("_", " ") for split in splits])
    axes.set_ylim(0, 112)
    axes.set_ylabel("exact match, %")
    axes.set_title("Whole action right, by held-out split")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _svg(figure)


def tests_over_threshold(curve: Sequence[Mapping[str, float]], threshold: float) -> str:
    """Shares of right, nothing and wrong among the tests, over the confidence below which nothing is done.

    Args:
        curve: points in order, each with `threshold` (0…1) and the counts `right`, `nothing` and `wrong`.
        threshold: the recipe's.
    """
    figure = Figure(figsize=(8.5, 2.8))
    axes = figure.add_subplot(1, 1, 1)
    totals = [max(point["right"] + point["nothing"] + point["wrong"], 1) for point in curve]
    for name, color in (("right", GREEN), ("nothing", GREY), ("wrong", ORANGE)):
        shares = [100 * point[name] / total for point, total in zip(curve, totals, strict=True)]
        axes.plot([point["threshold"] for point in curve], shares, color=color, linewidth=1.8, label=name)
    axes.axvline(threshold, color="#444", linestyle="--", linewidth=1, label="this recipe")
    axes.set_xlim(-0.02, 1)
    axes.set_ylim(0, 102)
    axes.set_xlabel("confidence below which nothing is done")
    axes.set_ylabel("of all tests, %")
    axes.set_title("Tests over the threshold")
    axes.grid(color="#e4e7eb", linewidth=0.6)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _svg(figure)


def training_curves(history: Sequence[Mapping[str, object]]) -> str:
    """Loss and exact match against the step; of text, which has no answers, the loss on dev.

    Args:
        history: in order, each with `step` and any of `loss`, `dev_loss` (nats a token) and `dev_exact_match` (share).
    """
    figure = Figure(figsize=(8.5, 2.8))
    has_answers = any("dev_exact_match" in row for row in history) or not any("dev_loss" in row for row in history)
    on_dev = ("dev_exact_match", "exact match on dev, %", 100.0) if has_answers else ("dev_loss", "loss on dev", 1.0)
    panels = (("loss", "loss, nats a token", 1.0), on_dev)
    for column, (key, label, scale) in enumerate(panels):
        axes = figure.add_subplot(1, 2, column + 1)
        points = [(_number(row["step"]), scale * _number(row[key])) for row in history if row.get(key) is not None]
        axes.plot([x for x, _ in points], [y for _, y in points], color=BLUE, linewidth=1.4)
        if key == "loss" and points:
            axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.set_title(label)
        axes.grid(color="#e4e7eb", linewidth=0.6)
    return _svg(figure)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
