"""A token's embedding out of the weights of the logits' product, where both are the same numbers rounded twice.

A model whose logits use the embedding's table has it twice in its .tflite: E, the look-up's, with one scale, and W, the
product's, with a scale for each row and the last norm's gain in each column. Before they were rounded E = W · f, with
the factor f = r · c of a row's and a column's scale. So E lies next to W · f, and a bit tells on which side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.ir.graph import Graph, Op, Tensor, is_int8
from pipeline.compiler.product import Choice

__all__ = ["CODE_BYTES", "FACTOR_BITS", "TiedEmbedding", "find_tied_embeddings"]

FACTOR_BITS = 13
"""A factor, below 4, times 2^13 is an int16."""
CODE_BYTES = 450
"""By which an image for a Cortex-M4 grows: the kernel, its parameters and its call."""
_MAX_PLANES = 2
_COLUMNS = 8
_PRODUCT_BITS = 15


@dataclass(frozen=True)
class TiedEmbedding:
    """The table of a look-up as a function of the weights of a product, by whose output `product` names it.

    E[t, i] = base + (W[t, i] · (row_scales[t] · column_scales[i] >> 15) >> 13) + Σ bit k · 2^k.

    `corrections`, uint8 [rows, planes, columns / 8], holds the bits, of each plane those of eight columns in a
    byte, the first one lowest. `row_scales` is int16 [rows], `column_scales` int16 [columns].
    """

    product: int
    row_scales: NDArray[np.int16]
    column_scales: NDArray[np.int16]
    corrections: NDArray[np.uint8]
    base: int

    @property
    def planes(self) -> int:
        """Bits of a correction."""
        return int(self.corrections.shape[1])

    @property
    def bytes(self) -> int:
        """Of the scales and corrections."""
        return self.row_scales.nbytes + self.column_scales.nbytes + self.corrections.nbytes


def find_tied_embeddings(graph: Graph, choices: Mapping[int, Choice]) -> dict[int, TiedEmbedding]:
    """Of each look-up by `token`, by its output, how to compute it from weights that are stored plainly anyway.

    Only what is smaller than the table is given, and only what equals it everywhere.

    Args:
        graph: a graph with its fusions made.
        choices: how the weights of int8 products are held, by the products' outputs.
    """
    products = [op for op in graph.ops if op.outputs[0] in choices and choices[op.outputs[0]].form.packing is not None]
    tied: dict[int, TiedEmbedding] = {}
    for op in graph.ops:
        if op.kind != "GATHER" or op.inputs[1] != graph.inputs.get("token"):
            continue
        table = graph.tensors[op.inputs[0]]
        candidates = (_from_product(table, graph, product) for product in products)
        found = next((each for each in candidates if each is not None), None)
        if found is not None and found.bytes + CODE_BYTES < table.bytes:
            tied[op.outputs[0]] = found
    return tied


def _from_product(table: Tensor, graph: Graph, product: Op) -> TiedEmbedding | None:
    weights = graph.tensors[product.inputs[1]]
    if table.data is None or weights.data is None or table.shape != weights.shape or not is_int8(table):
        return None
    if table.columns % _COLUMNS:  # kernels take eight
        return None
    values, held = table.data.astype(np.int64), weights.data.astype(np.int64)
    steps = np.broadcast_to(weights.scales.astype(np.float64), len(held)) / table.scale
    # Rows without weights have any scale.
    rows = np.where(held.any(axis=1), steps, 0.0)
    columns = _column_factors(values, held, rows, table.zero_point)
    if columns is None or not rows.any():
        return None
    unit = np.iinfo(np.int16).max / rows.max()
    row_scales = np.round(rows * unit).astype(np.int64)
    column_scales = np.round(columns / unit * 2.0 ** (_PRODUCT_BITS + FACTOR_BITS))
    if np.abs(column_scales).max() > np.iinfo(np.int16).max:
        return None
    factors = row_scales[:, None] * column_scales.astype(np.int64) >> _PRODUCT_BITS
    corrections = values - table.zero_point - (held * factors >> FACTOR_BITS)
    first = int(corrections.min())
    planes = max(int(corrections.max() - first).bit_length(), 1)
    if planes > _MAX_PLANES:
        return None
    bits = corrections[:, None, :] - first >> np.arange(planes)[:, None] & 1
    packed = np.packbits(bits.astype(np.uint8), axis=2, bitorder="little")
    rounded = row_scales.astype(np.int16), column_scales.astype(np.int16)
    return TiedEmbedding(product.outputs[0], *rounded, packed, table.zero_point + first)


def _column_factors(
    values: NDArray[np.int64], weights: NDArray[np.int64], rows: NDArray[np.float64], zero_point: int
) -> NDArray[np.float64] | None:
    """What each column of the weights, in steps of its rows, is multiplied with; None where no number fits all rows.

    A value v that was rounded lies within v ± 1/2, a weight within w ± 1/2, so their quotient lies between two bounds,
    and a column's factor within those of all its rows. A value at the end of int8 may have been cut off.
    """
    away = values - zero_point
    scaled = weights * rows[:, None]
    sign = np.where((away * scaled).sum(axis=0) < 0, -1, 1)
    size, other = np.abs(weights), away * np.sign(weights) * sign
    known = (size > 0) & (values > -128) & (values < 127)
    least, most = (size + 0.5) * rows[:, None], (size - 0.5) * rows[:, None]
    low = np.where(known, (other - 0.5) / np.where(known, least, 1.0), -np.inf).max(axis=0)
    high = np.where(known, (other + 0.5) / np.where(known, most, 1.0), np.inf).min(axis=0)
    if (low > high).any():
        return None
    bounded = known.any(axis=0)
    low, high = np.where(bounded, low, 0.0), np.where(bounded, high, 0.0)
    return np.asarray(sign * (low + high) / 2, np.float64)
