"""Weights of four bits, in the order in which thimble_fully_connected_nibbles_s8.c reads them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.encodings.encoding import Encoding, ProductCall, ProductInput, input_as_int16, product_constants
from pipeline.compiler.encodings.plain import row_constants
from pipeline.compiler.ir.program import Pointer, WeightEncoding
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.product import Product, largest_sums, plain_bytes, scales_fit
from pipeline.targets.cores import WeightLayout

__all__ = ["INT4", "pack_s4", "s4_fits"]

_INSTRUCTIONS = {
    WeightLayout.INTERLEAVED_2: (49, 58 / 16),
    WeightLayout.INTERLEAVED_4: (105, 13.5),
    WeightLayout.ROW_MAJOR: (49, 58 / 16),
}
"""Instructions of weights of four bits for four rows: besides the columns, and for each."""
_LAST_LIMIT, _LIMIT = 1 << 19, 1 << 23
_OUTPUT_LIMIT = 1 << 14
_BITS = {"b": (0, 16), "d": (20, 4), "a": (8, 24), "c": (28, 12)}
"""Where a row's weights at two columns begin in a word."""


def s4_fits(
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    multipliers: NDArray[np.int32],
    right_shifts: NDArray[np.int64],
) -> bool:
    """Whether the kernel computes these rows exactly.

    Weights of −8…7; |Σ w·x| < 2^23, and < 2^19 of every fourth row, so that the sums come apart; what the
    requantization wants (`scales_fit`); and outputs below 2^14 before they are limited, so that two fit a word.

    Args:
        weights: int8 [rows, depth].
        bias: int32 [rows] or None.
        multipliers: [rows].
        right_shifts: [rows].
    """
    reach, total = largest_sums(weights), largest_sums(weights, bias)
    return bool(
        (weights >= -8).all()
        and (weights <= 7).all()
        and (reach < _LIMIT).all()
        and (reach[3::4] < _LAST_LIMIT).all()
        and scales_fit(weights, bias, right_shifts)
        and (total * multipliers.astype(np.float64) / 2.0 ** (31 + right_shifts) < _OUTPUT_LIMIT).all()
    )


def pack_s4(weights: NDArray[np.int8]) -> NDArray[np.uint32]:
    """A word for four rows at two columns: uint32, flat.

    Args:
        weights: int8 [rows, depth], of −8…7.
    """
    rows, depth = weights.shape
    padded = np.zeros(((rows + 3) // 4 * 4, (depth + 3) // 4 * 4), np.int8)
    padded[:rows, :depth] = weights
    strips = (padded + 8).astype(np.uint32).reshape(len(padded) // 4, 4, padded.shape[1] // 2, 2)
    words = np.zeros((len(strips), strips.shape[2]), np.uint32)
    for row, name in enumerate("abcd"):
        for column, bit in enumerate(_BITS[name]):
            words |= strips[:, row, :, column] << np.uint32(bit)
    return words.reshape(-1)


def _candidates(product: Product, layout: WeightLayout) -> list[WeightEncoding]:
    if not s4_fits(product.weights, product.bias, product.multipliers, product.right_shifts):
        return []
    rows, depth = product.weights.shape
    fixed, column = _INSTRUCTIONS[layout]
    size = plain_bytes(rows, depth, WeightLayout.INTERLEAVED_2) // 2
    return [WeightEncoding("nibbles", size, round(product.strips * (fixed + column * depth)))]


def _prepare(ctx: Lowering, it: ProductInput, form: WeightEncoding) -> ProductCall:
    product = it.product
    rows, depth = product.weights.shape
    source, _ = input_as_int16(ctx, it.x, alone=True)
    constants = row_constants(product.bias, product.multipliers, product.right_shifts)
    fields = product_constants(ctx, it, {"weights": pack_s4(product.weights), "constants": constants})
    fields |= {"biased": int(product.bias is not None), "depth": depth, "rows": rows}
    return ProductCall(
        f"thimble_fully_connected_{form.name}_s8",
        "thimble_fully_connected_nibbles_s8_params",
        Pointer(source, "const int16_t *"),
        None,
        fields,
        some_rows="thimble_some_nibble_rows_s8",
    )


INT4 = Encoding(_candidates, _prepare, ("thimble_fully_connected_nibbles_s8",), {"nibbles": 800})
