"""Weights of eight bits in the order in which a core's fully-connected kernel reads them, and as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.encodings.encoding import Encoding, ProductCall, ProductInput, input_as_int16, product_constants
from pipeline.compiler.ir.program import Pointer, WeightEncoding
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.product import LARGEST_INPUT, Product, largest_sums, plain_bytes, scales_fit
from pipeline.targets.cores import WeightLayout

__all__ = [
    "PLAIN",
    "columns_at_once",
    "outputs_fit",
    "pack",
    "pack_pairs",
    "pack_quads",
    "row_constants",
    "weights_fit",
]

_INSTRUCTIONS = {
    WeightLayout.INTERLEAVED_2: (52, 49 / 16),
    WeightLayout.INTERLEAVED_4: (68, 6.5),
    WeightLayout.ROW_MAJOR: (6, 0.7),
}
"""Instructions of plain weights for four rows: besides the columns, and for each."""
_COLUMNS = 4  # of a block
_OUTPUT_LIMIT = (1 << 14) - 1
_LIMIT = 1 << 23  # sums below it come apart
_OFFSET_ROWS = {
    WeightLayout.INTERLEAVED_2: (3,),
    WeightLayout.INTERLEAVED_4: (1, 2, 3),
}  # of a block; stored as w + 128


def outputs_fit(
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    multipliers: NDArray[np.int32],
    right_shifts: NDArray[np.int64],
) -> bool:
    """Whether outputs stay below 2^14 before they are limited, so that two, doubled, fit a word: the kernel of two
    tokens with INTERLEAVED_2 limits two rows at once.

    Args:
        weights: int8 [rows, depth].
        bias: int32 [rows] or None.
        multipliers: [rows].
        right_shifts: [rows].
    """
    reach = largest_sums(weights, bias)
    return bool((reach * multipliers.astype(np.float64) / 2.0 ** (31 + right_shifts) < _OUTPUT_LIMIT).all())


def weights_fit(weights: NDArray[np.int8], packing: WeightLayout) -> bool:
    """Whether the packing holds these weights.

    Halfwords of INTERLEAVED_2 are 256·a + b, and 256·b + c once the kernel has made them: an a or b of −128 fits if the
    row after it is not negative there.
    """
    if packing is not WeightLayout.INTERLEAVED_2:
        return True
    blocks = _blocks(weights)
    return not bool(((blocks[:, :2] == -128) & (blocks[:, 1:3] < 0)).any())


def columns_at_once(weights: NDArray[np.int8], packing: WeightLayout) -> int:
    """How many columns a packed kernel may sum before it takes the four rows of a block apart.

    Its three sums modulo 2^32 give each row's Σ w·x while |Σ w·x| < 2^23. This is the depth, rounded up to whole
    blocks, where that holds for every row; else the most columns, a multiple of 4, for which it holds in every part. In
    parts it must hold for w + 128 where the packing adds that, since only the whole Σ x is known.

    Args:
        weights: int8 [rows, depth].
        packing: INTERLEAVED_2 or INTERLEAVED_4.
    """
    rows, depth = int(weights.shape[0]), int(weights.shape[1])
    whole = (depth + _COLUMNS - 1) // _COLUMNS * _COLUMNS
    padded = np.zeros(((rows + 3) // 4 * 4, whole), np.int64)
    padded[:rows, :depth] = weights
    if (LARGEST_INPUT * np.abs(padded).sum(axis=1) < _LIMIT).all():
        return whole
    for row in _OFFSET_ROWS[packing]:
        padded[row::4] += 128
    sums = np.concatenate([np.zeros((len(padded), 1), np.int64), np.abs(padded).cumsum(axis=1)], axis=1)
    columns = whole - _COLUMNS
    while columns > _COLUMNS:
        starts = np.arange(0, whole, columns)
        parts = sums[:, np.minimum(starts + columns, whole)] - sums[:, starts]
        if (LARGEST_INPUT * parts < _LIMIT).all():
            break
        columns -= _COLUMNS
    return columns


def _blocks(weights: NDArray[np.int8]) -> NDArray[np.int64]:
    """[blocks, 4, depth rounded up to 4], with zero weights where there are none."""
    rows, depth = weights.shape
    padded = np.zeros(((rows + 3) // 4 * 4, (depth + _COLUMNS - 1) // _COLUMNS * _COLUMNS), np.int64)
    padded[:rows, :depth] = weights
    return padded.reshape(len(padded) // 4, 4, padded.shape[1])


def pack_pairs(weights: NDArray[np.int8]) -> NDArray[np.int16]:
    """Four rows a, b, c, d: for every two columns the halfwords 256·a + b of both, then 256·c + (d + 128) of both.

    Args:
        weights: int8 [rows, depth], of which `weights_fit` holds.

    Returns:
        int16, flat; missing rows and columns are zero weights.
    """
    a, b, c, d = _blocks(weights).transpose(1, 0, 2)
    pairs = np.stack([256 * a + b, 256 * c + d + 128], axis=1)  # [blocks, 2, columns]
    columns = pairs.reshape(len(pairs), 2, pairs.shape[2] // 2, 2)
    return np.ascontiguousarray(columns.transpose(0, 2, 1, 3)).astype(np.int16).reshape(-1)


def pack_quads(weights: NDArray[np.int8]) -> NDArray[np.int32]:
    """Four rows a, b, c, d: for every column the word of the bytes d + 128, c + 128, b + 128 and a, the lowest first.

    Args:
        weights: int8 [rows, depth].

    Returns:
        int32, flat; missing rows and columns are zero weights.
    """
    a, b, c, d = _blocks(weights).transpose(1, 0, 2)
    words: NDArray[np.int64] = (a << 24) + (b + 128 << 16) + (c + 128 << 8) + d + 128
    return words.astype(np.int32).reshape(-1)


def pack(weights: NDArray[np.int8], packing: WeightLayout) -> NDArray[np.generic]:
    """The weights in that order, flat."""
    if packing is WeightLayout.INTERLEAVED_2:
        return pack_pairs(weights)
    return pack_quads(weights) if packing is WeightLayout.INTERLEAVED_4 else weights.reshape(-1)


def row_constants(
    bias: NDArray[np.int32] | None, multipliers: NDArray[np.int32], right_shifts: NDArray[np.int64]
) -> NDArray[np.int32]:
    """What the packed kernels requantize with: for each four rows twice the biases (if any), the multipliers, and a
    word of the right shifts less one, the first row's in its lowest byte.

    Args:
        bias: [rows].
        multipliers: [rows].
        right_shifts: [rows], 1…31.

    Returns:
        int32, flat; zeros for missing rows.
    """
    rows = len(multipliers)
    biases = [] if bias is None else [2 * bias.astype(np.int64)]
    kinds = np.stack([*biases, multipliers.astype(np.int64), right_shifts - 1])
    padded = np.zeros((len(kinds), (rows + 3) // 4 * 4), np.int64)
    padded[:, :rows] = kinds
    blocks = padded.reshape(len(padded), padded.shape[1] // 4, 4).transpose(1, 0, 2)
    shifts = (blocks[:, -1] << np.array([0, 8, 16, 24])).sum(axis=1, keepdims=True)
    words = np.concatenate([blocks[:, :-1].reshape(len(blocks), -1), shifts], axis=1)
    return np.ascontiguousarray(words).astype(np.int32).reshape(-1)


def _candidates(product: Product, layout: WeightLayout) -> list[WeightEncoding]:
    rows, depth = product.weights.shape
    fit = scales_fit(product.weights, product.bias, product.right_shifts) and weights_fit(product.weights, layout)
    kind = layout if fit else WeightLayout.ROW_MAJOR
    fixed, column = _INSTRUCTIONS[layout]
    instructions = round(product.strips * (fixed + column * depth))
    return [WeightEncoding(kind, plain_bytes(rows, depth, kind), instructions, kind)]


def _prepare(ctx: Lowering, it: ProductInput, form: WeightEncoding) -> ProductCall:
    return _rows(ctx, it) if form.packing is WeightLayout.ROW_MAJOR else _interleaved(ctx, it, form)


def _rows(ctx: Lowering, it: ProductInput) -> ProductCall:
    product = it.product
    rows, depth = product.weights.shape
    source, shifts = ctx.contiguous(it.x.index), (-product.right_shifts).astype(np.int8)
    offsets = -it.x.zero_point * product.weights.astype(np.int64).sum(axis=1)
    total = offsets if product.bias is None else offsets + product.bias
    arrays: dict[str, NDArray[np.generic]] = {
        **{"weights": product.weights.reshape(-1), "bias": _wrapped(total)},
        **{"multiplier": product.multipliers, "shift": shifts},
    }
    fields = product_constants(ctx, it, arrays)
    fields |= {"depth": depth, "rows": rows, "largest_shift": int(shifts.max())}
    fields |= {"out_min": it.limits[0], "out_max": it.limits[1]}
    return ProductCall(
        "thimble_fully_connected_rows_s8",
        "thimble_fully_connected_rows_s8_params",
        Pointer(source),
        ctx.in_block(source) and rows % 4 == 0,
        fields,
        clamps=True,
        some_rows="thimble_some_rows_s8",
    )


def _wrapped(values: NDArray[np.int64]) -> NDArray[np.int32]:
    """As int32, modulo 2^32."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def _interleaved(ctx: Lowering, it: ProductInput, form: WeightEncoding) -> ProductCall:
    product, kind = it.product, form.packing
    assert kind is not None
    rows, depth = product.weights.shape
    part = columns_at_once(product.weights, kind)
    scales = product.bias, product.multipliers, product.right_shifts
    in_halfwords = kind is not WeightLayout.INTERLEAVED_2 or outputs_fit(product.weights, *scales)
    source, in_block = input_as_int16(ctx, it.x, alone=part < depth or not in_halfwords)
    arrays = {"weights": pack(product.weights, kind), "constants": row_constants(*scales)}
    fields = product_constants(ctx, it, arrays)
    fields |= {"biased": int(product.bias is not None), "depth": depth, "rows": rows, "part": part}
    return ProductCall(
        f"thimble_fully_connected_{kind}{'_parts' if part < depth else ''}_s8",
        "thimble_fully_connected_packed_s8_params",
        Pointer(source, "const int16_t *"),
        None if part < depth else in_block,
        fields,
        some_rows="thimble_some_packed_rows_s8",
    )


PLAIN = Encoding(
    _candidates,
    _prepare,
    (
        *("thimble_fully_connected_pairs_s8", "thimble_fully_connected_pairs_parts_s8"),
        *("thimble_fully_connected_quads_s8", "thimble_fully_connected_quads_parts_s8"),
        *("thimble_fully_connected_rows_s8", "thimble_widen_s8"),
    ),
)
