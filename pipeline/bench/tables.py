"""The rows as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from pipeline.bench.answers import ALL_LOGITS
from pipeline.bench.rows import Row

__all__ = [
    "answer_table",
    "compressed_table",
    "kernel_table",
    "layer_table",
    "memory_table",
    "prompt_table",
    "step_table",
]


def kernel_table(rows: Sequence[Row]) -> Table:
    """The int8 product: instructions for each MAC by depth."""
    kernels = [row for row in rows if row.kernel]
    depths = sorted({row.depth for row in kernels if row.depth is not None})
    table = Table(
        title="int8 fully connected, 64 rows, its input prepared: instructions for each multiply-accumulate",
        title_justify="left",
    )
    table.add_column("core")
    table.add_column("engine")
    for depth in depths:
        table.add_column(f"depth {depth}", justify="right")
    by_cell = {(row.core, row.engine, row.depth): row for row in kernels}
    for core, engine in dict.fromkeys((row.core, row.engine) for row in kernels):
        cells = [_per_mac(by_cell.get((core, engine, depth))) for depth in depths]
        table.add_row(core, engine, *cells, style="bold" if engine == "thimble" else "")
    return table


def step_table(rows: Sequence[Row]) -> Table:
    """Whole decode steps: instructions and instructions for each MAC, by fill."""
    table = Table(title="a decode step, by tokens in the context", title_justify="left")
    for name in ("model", "core", "engine"):
        table.add_column(name)
    for name in ("empty", "half full", "full", "a MAC, half full", "code", "RAM"):
        table.add_column(name, justify="right")
    steps = [row for row in rows if row.fill is not None and not row.layer and row.instructions is not None]
    for model, core, engine in dict.fromkeys((row.model, row.core, row.engine) for row in steps):
        group = sorted(
            (row for row in steps if (row.model, row.core, row.engine) == (model, core, engine)),
            key=lambda row: row.fill or 0,
        )
        counts = [f"{row.instructions:,}" for row in group]
        middle = group[len(group) // 2]
        table.add_row(
            *(model, core, engine, *[*counts, "", ""][:3]),
            *(
                _per_mac(middle),
                _bytes(middle.code_bytes),
                _bytes(middle.ram_bytes),
            ),
            style="bold" if engine == "thimble" else "",
        )
    return table


def memory_table(rows: Sequence[Row]) -> Table:
    """Flash and RAM of the engine, and the part that is neither weights of the .tflite nor live activations."""
    table = Table(title="bytes in flash and RAM", title_justify="left")
    for name in ("model", "core"):
        table.add_column(name)
    for name in ("code", "weights", "in the .tflite", "more", "KV cache", "activations", "alive at once", "more"):
        table.add_column(name, justify="right")
    for row in {(row.model, row.core): row for row in rows if row.raw_weight_bytes is not None}.values():
        table.add_row(
            *(row.model, row.core, _bytes(row.firmware_code_bytes)),
            *(_bytes(row.weight_bytes), _bytes(row.raw_weight_bytes), _more(row.weight_bytes, row.raw_weight_bytes)),
            *(_bytes(row.cache_bytes), _bytes(row.activation_bytes), _bytes(row.live_bytes)),
            _more(row.activation_bytes, row.live_bytes),
        )
    return table


def layer_table(rows: Sequence[Row]) -> Table:
    """Where a step's instructions go."""
    layers = [row for row in rows if row.layer]
    kinds = list(dict.fromkeys(row.layer for row in layers))
    table = Table(title="instructions by kind of layer, context half full (for each MAC)", title_justify="left")
    table.add_column("model")
    table.add_column("core")
    for kind in kinds:
        table.add_column(kind.replace("_", " "), justify="right")
    by_cell = {(row.model, row.core, row.layer): row for row in layers}
    for model, core in dict.fromkeys((row.model, row.core) for row in layers):
        cells = []
        for kind in kinds:
            row = by_cell.get((model, core, kind))
            share = f" ({row.per_mac:.2f})" if row is not None and row.per_mac is not None else ""
            cells.append("" if row is None else f"{row.instructions:,}{share}")
        table.add_row(model, core, *cells)
    return table


def compressed_table(rows: Sequence[Row]) -> Table:
    """The products of a model's layer by the structure of their weights, beside dense ones."""
    table = Table(
        title="all products of a layer by the structure of its weights, the inputs' preparation included",
        title_justify="left",
    )
    for name in ("model", "core", "weights", "held in"):
        table.add_column(name)
    for name in ("bytes", "fewer", "instructions", "of dense"):
        table.add_column(name, justify="right")
    structured = [row for row in rows if row.weights]
    dense = {(row.model, row.core): row for row in structured if row.weights == "dense"}
    for row in structured:
        plain = dense[row.model, row.core]
        assert row.weight_bytes and plain.weight_bytes and row.instructions and plain.instructions
        table.add_row(
            *(row.model, row.core, row.weights, row.forms, _bytes(row.weight_bytes)),
            f"{100 * (1 - row.weight_bytes / plain.weight_bytes):.1f} %",
            f"{row.instructions:,}",
            f"{row.instructions / plain.instructions:.2f}",
        )
    return table


def prompt_table(rows: Sequence[Row]) -> Table:
    """Prompts in blocks beside step by step: instructions a token."""
    prompts = [row for row in rows if row.prompt is not None]
    table = Table(title="a prompt's token", title_justify="left")
    for name in ("model", "core"):
        table.add_column(name)
    for name in ("tokens", "in blocks", "step by step", "fewer"):
        table.add_column(name, justify="right")
    by_cell = {(row.model, row.core, row.engine): row for row in prompts}
    for model, core in dict.fromkeys((row.model, row.core) for row in prompts):
        fast, slow = by_cell.get((model, core, "thimble")), by_cell.get((model, core, "thimble, step by step"))
        if fast is not None and slow is not None and fast.instructions and slow.instructions:
            times = slow.instructions / fast.instructions
            counts = (f"{fast.prompt}", f"{fast.instructions:,}", f"{slow.instructions:,}", f"{times:.2f} ×")
            table.add_row(model, core, *counts)
    return table


def answer_table(rows: Sequence[Row]) -> Table:
    """Whole answers in answer tokens: instructions with all logits, and with those that are allowed."""
    table = Table(title="an answer, its prompt included: mean of the model's example sentences", title_justify="left")
    for name in ("model", "core"):
        table.add_column(name)
    for name in ("tokens in", "out", "certain", "all logits", "allowed", "after the prompt", "allowed"):
        table.add_column(name, justify="right")
    by_cell = {(row.model, row.core, row.engine): row for row in rows if row.answers}
    for model, core in dict.fromkeys((model, core) for model, core, _ in by_cell):
        whole, allowed = by_cell[model, core, ALL_LOGITS], by_cell[model, core, "thimble"]
        table.add_row(
            *(model, core, *(f"{count}" for count in (allowed.tokens_in, allowed.tokens_out, allowed.certain))),
            *(f"{row.instructions:,}" for row in (whole, allowed)),
            *(f"{row.own_instructions:,}" for row in (whole, allowed)),
        )
    return table


def _per_mac(row: Row | None) -> str:
    if row is None or row.per_mac is None:
        return row.note.split(":")[0] if row is not None else ""
    return f"{row.per_mac:.3f}"


def _more(count: int | None, bound: int | None) -> str:
    return f"{100 * (count / bound - 1):.1f} %" if count is not None and bound else ""


def _bytes(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
