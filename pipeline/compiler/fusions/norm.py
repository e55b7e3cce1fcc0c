"""RMS norm of one int8 row: x · inverse_root[mean(square[x])], after its tables are fused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.fusions.table import unary_of
from pipeline.compiler.ir.graph import Graph, Op, is_int8
from pipeline.compiler.ir.program import Address, Constant, Value
from pipeline.compiler.lowering import Lowering, parameters, scaler
from pipeline.compiler.ops.mean import fold_count
from pipeline.compiler.ops.mul import MulConstants
from pipeline.compiler.ops.operator import Operator, one_row
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS", "Norm", "fuse_norms", "missed_norms"]

_KIND = "norm"
_MAX_MEAN_SHIFT = 8  # 255 · 8192 · 2^8 stays below 2^30


@dataclass(frozen=True)
class Norm:
    """`c` are the constants of the MUL; `squares`, `means` and `root` are tensors by index, `inverse_root` and `square`
    the tables of the last and the first."""

    c: MulConstants
    squares: int
    means: int
    root: int
    square: NDArray[np.int8]
    inverse_root: NDArray[np.int8]


def fuse_norms(graph: Graph) -> Graph:
    """Makes one operator of each norm that a kernel computes."""
    replacements: dict[int, Op] = {}
    removed: list[int] = []
    for number, op in enumerate(graph.ops):
        found = _norm(graph, op) if op.kind == "MUL" else None
        if isinstance(found, tuple):
            x, norm, mean = found
            replacements[number] = Op(_KIND, (x,), op.outputs, fusion=norm)
            removed.append(graph.place(mean))
    return graph.rewritten(replacements, removed)


def missed_norms(graph: Graph) -> dict[int, str]:
    """By its output each product of a tensor and the inverse root of a mean that is computed by itself, with the
    condition that failed; the graph is one whose tables are fused."""
    found = {op.outputs[0]: _norm(graph, op) for op in graph.ops if op.kind == "MUL"}
    return {index: reason for index, reason in found.items() if isinstance(reason, str) and reason}


def _norm(graph: Graph, op: Op) -> tuple[int, Norm, Op] | str:
    """The norm's input, the norm, and its MEAN; or why it is none, empty where it is not like one at all."""
    out, reason = graph.tensors[op.outputs[0]], ""
    for x_index, root_index in (op.inputs, op.inputs[::-1]):
        x, root = graph.tensors[x_index], graph.tensors[root_index]
        unary = unary_of(graph, root_index)
        mean = None if unary is None else graph.producer(unary.root)
        if unary is None or mean is None or mean.kind != "MEAN" or not is_int8(x, root, out):
            continue
        square = unary_of(graph, mean.inputs[0])
        alone = all(map(graph.reads_alone, (mean.inputs[0], unary.root, root_index)))
        if square is None or square.root != x_index:
            reason = "the mean is not of the squares of what is multiplied: c = x - mean(x), c * rsqrt(mean(c * c) + e)"
            continue
        if not alone or x.rows != 1 or out.size != x.size:
            reason = "it is of several rows, or its mean or root are read elsewhere"
            continue
        squares, means = mean.inputs[0], mean.outputs[0]
        shift = fp.quantize_multiplier(graph.tensors[squares].scale / graph.tensors[means].scale)[1]
        c = MulConstants.prepare(x, root, out, op.activation)
        if shift <= _MAX_MEAN_SHIFT and x.columns <= 8192 and x.columns % 2 == 0 and c.fused:
            return x_index, Norm(c, squares, means, root_index, square.table, unary.table), mean
        reason = f"{x.columns} columns (an even number up to 8,192), or scales far apart"
    return reason


def _lower(ctx: Lowering, op: Op) -> None:
    norm = op.fusion
    assert isinstance(norm, Norm)
    x, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    squares, means = ctx.tensor(norm.squares), ctx.tensor(norm.means)
    source = ctx.contiguous(x.index)
    out = ctx.allocate(out_tensor)
    scale = fold_count(squares.columns, *fp.quantize_multiplier(squares.scale / means.scale))
    name = f"norm_{out_tensor.index}"
    fields: dict[str, Value] = {
        "square": ctx.constant(Constant(f"square_{norm.squares}", "int8_t", norm.square)),
        "inverse_root": ctx.constant(Constant(f"inverse_root_{norm.root}", "int8_t", norm.inverse_root)),
        "sum_start": -squares.zero_point * x.columns,
        "mean": scaler(*scale),
        "mean_zero_point": means.zero_point,
        "x_offset": norm.c.a_offset,
        "root_offset": norm.c.b_offset,
        "out": norm.c.scale,
        "columns": x.columns,
    }
    own = parameters("thimble_norm_s8_params", name, fields)
    ctx.block_call("thimble_norm_s8", (Address(name), source, out), [source], out, [own], "norm")


OPERATORS = (Operator(_KIND, "INT8", _lower, ("thimble_norm_s8",), writes_rows=one_row),)
