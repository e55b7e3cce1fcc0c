"""The operators of the compiler's registry as a table for the documentation."""

from __future__ import annotations

from pipeline.compiler.ops.registry import OPERATORS, SUPPORTED

__all__ = ["operator_table"]


def operator_table() -> str:
    """A Markdown table: a line for each operator, with what computes it for either type."""
    lines = ["| operator | int8 | int16 |", "| --- | --- | --- |"]
    lines += [f"| {kind} | {_computed_by(kind, 'INT8')} | {_computed_by(kind, 'INT16')} |" for kind in SUPPORTED]
    return "\n".join(lines)


def _computed_by(kind: str, dtype: str) -> str:
    row = OPERATORS.get((kind, dtype))
    if row is None:
        return ""
    if row.evaluate is not None and dtype == "INT8":  # there are tables of 256 values alone
        return "table, or kernel" if row.kernels else "table"
    return "kernel" if row.kernels else "view"
