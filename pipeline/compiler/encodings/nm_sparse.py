"""Weights of which each row keeps one or two of every four columns (N:M sparsity), in the order in which
thimble_fully_connected_picked_s8.c reads them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.encodings.encoding import Encoding, ProductCall, ProductInput, encoded_input, product_constants
from pipeline.compiler.encodings.plain import row_constants
from pipeline.compiler.ir.program import Pointer, WeightEncoding
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.product import Product, scales_fit
from pipeline.targets.cores import WeightLayout

__all__ = ["NM_SPARSE", "nm_sparse_table_bytes", "nonzeros_of_four", "pack_nm_sparse", "words_of_row"]

_INSTRUCTIONS = {
    WeightLayout.INTERLEAVED_2: (37, 45, 14.5),
    WeightLayout.INTERLEAVED_4: (43, 116, 29),
    WeightLayout.ROW_MAJOR: (37, 45, 14.5),
}
"""Instructions of weights with one or two of four columns, for a row: besides its words, for each four of them, and for
each word that is left."""
_PLACES = {1: {(i, j): i + 4 * j for i in range(4) for j in range(4)}}
_PLACES[2] = {pair: n for n, pair in enumerate(((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)))}
"""By how many are kept: the number of a pair of columns; with one kept they are of two neighbouring fours."""


def nonzeros_of_four(weights: NDArray[np.int8]) -> int:
    """The most weights that any row has in four columns from a multiple of 4 on; int8 [rows, depth]."""
    return int((_fours(weights, 4) != 0).sum(axis=2).max(initial=0))


def words_of_row(depth: int, nonzeros: int) -> int:
    """Words of four weights that a row has."""
    return -(-depth * nonzeros // 16)


def nm_sparse_table_bytes(depth: int, nonzeros: int) -> int:
    """Of the input's form: every pair of columns that a pair of weights may stand at."""
    return words_of_row(depth, nonzeros) * (128 if nonzeros == 1 else 48)


def _fours(weights: NDArray[np.int8], multiple: int) -> NDArray[np.int8]:
    """[rows, fours of columns, 4], with zero weights up to a multiple of columns."""
    rows, depth = weights.shape
    padded = np.zeros((rows, -(-depth // multiple) * multiple), np.int8)
    padded[:, :depth] = weights
    return padded.reshape(rows, -1, 4)


def pack_nm_sparse(weights: NDArray[np.int8], nonzeros: int) -> NDArray[np.uint32]:
    """Packs the nonzero weights and their column indices.

    Two weights are a pair, two pairs a word: the first of each in its bytes 0 and 1, the second in 2 and 3. Every four
    words of a row are preceded by a word with four bits of column indices for each pair, lowest first.

    Args:
        weights: int8 [rows, depth], of which `nonzeros_of_four` is at most `nonzeros`, 1 or 2.

    Returns:
        uint32, flat.
    """
    rows, depth = weights.shape
    words = words_of_row(depth, nonzeros)
    fours = _fours(weights, 16 // nonzeros)
    # The columns of weights first, then as many others as it takes, both in their order.
    columns = np.sort(np.argsort(fours == 0, axis=2, kind="stable")[:, :, :nonzeros], axis=2)
    values = np.take_along_axis(fours, columns, axis=2).reshape(rows, words, 2, 2)
    pairs = columns.reshape(rows, words, 2, 2)
    lookup = np.zeros((4, 4), np.uint32)
    for (first, second), number in _PLACES[nonzeros].items():
        lookup[first, second] = number
    numbers = lookup[pairs[..., 0], pairs[..., 1]]
    bytes_ = values.transpose(0, 1, 3, 2).reshape(rows, words, 4).view(np.uint8).astype(np.uint32)
    packed = (bytes_ << np.array([0, 8, 16, 24], np.uint32)).sum(axis=2, dtype=np.uint32)
    fields = np.zeros((rows, -(-words // 4), 8), np.uint32)
    fields.reshape(rows, -1)[:, : 2 * words] = numbers.reshape(rows, -1)
    heads = (fields << (4 * np.arange(8, dtype=np.uint32))).sum(axis=2, dtype=np.uint32)
    parts = [
        part
        for start in range(0, words, 4)
        for part in (heads[:, start // 4 : start // 4 + 1], packed[:, start : start + 4])
    ]
    return np.concatenate(parts, axis=1).reshape(-1)


def _candidates(product: Product, layout: WeightLayout) -> list[WeightEncoding]:
    nonzeros = nonzeros_of_four(product.weights)
    if nonzeros > 2 or not scales_fit(product.weights, product.bias, product.right_shifts):
        return []
    nonzeros = max(nonzeros, 1)
    rows, depth = product.weights.shape
    fixed, four, single = _INSTRUCTIONS[layout]
    words = words_of_row(depth, nonzeros)
    instructions = rows * (fixed + four * (words // 4) + single * (words % 4))
    size = 4 * rows * (words + (words + 3) // 4)
    return [WeightEncoding(f"{nonzeros}:4", size, round(instructions), nonzeros=nonzeros)]


def _prepare(ctx: Lowering, it: ProductInput, form: WeightEncoding) -> ProductCall:
    product, nonzeros = it.product, form.nonzeros
    rows, depth = product.weights.shape
    constants = row_constants(product.bias, product.multipliers, product.right_shifts)
    arrays = {"weights": pack_nm_sparse(product.weights, nonzeros), "constants": constants}
    fields = product_constants(ctx, it, arrays)
    fields |= {"biased": int(product.bias is not None), "rows": rows}
    fields |= {"words": words_of_row(depth, nonzeros), "kept": nonzeros}
    size = nm_sparse_table_bytes(depth, nonzeros)
    source = encoded_input(ctx, it.x, f"picked{nonzeros}", "thimble_widen_picked_s8", size, nonzeros)
    return ProductCall(
        "thimble_fully_connected_picked_s8",
        "thimble_fully_connected_picked_s8_params",
        Pointer(source, "const int32_t *"),
        None,
        fields,
        some_rows="thimble_some_picked_rows_s8",
    )


NM_SPARSE = Encoding(
    _candidates,
    _prepare,
    ("thimble_fully_connected_picked_s8", "thimble_widen_picked_s8"),
    {"1:4": 980, "2:4": 980},
)
