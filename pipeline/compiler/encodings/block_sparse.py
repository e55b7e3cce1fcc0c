"""Weights of which only blocks that are not zero are kept, in the order in which thimble_blocks.h reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.encodings.encoding import Encoding, ProductCall, ProductInput, encoded_input, product_constants
from pipeline.compiler.encodings.plain import outputs_fit, pack_pairs, weights_fit
from pipeline.compiler.ir.program import Pointer, WeightEncoding
from pipeline.compiler.lowering import Lowering
from pipeline.compiler.product import Product, largest_sums
from pipeline.targets.cores import WeightLayout

__all__ = ["BLOCK_SPARSE", "PLACES", "block_sparse_fits", "blocks_bytes", "pack_block_sparse", "stored_blocks"]

PLACES = {4: 8, 8: 4}
"""Blocks in an iteration of the kernel's loop, by columns of a block; a block has four rows."""

_TURN, _NEXT_TURN, _NO_BLOCKS_COST, _BIASES = 2, 3, 1, 2
_INSTRUCTIONS = {
    WeightLayout.INTERLEAVED_2: (38, {4: 14, 8: 26}),
    WeightLayout.INTERLEAVED_4: (71, {4: 81, 8: 142}),
    WeightLayout.ROW_MAJOR: (38, {4: 14, 8: 26}),
}
"""Instructions of blocks for four rows: besides them, and for each."""
_ROWS = 4
_IN_INDEX = 4  # blocks whose positions one word holds
_NO_BLOCKS, _END, _BIASED = 8, 9, 10  # entries that are no place
_MAX_SHIFT = 16
_SUM_LIMIT = 1 << 22  # twice a sum comes apart below 2^23


def block_sparse_fits(
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    multipliers: NDArray[np.int32],
    right_shifts: NDArray[np.int64],
) -> bool:
    """Whether the kernel computes these rows exactly.

    |Σ w·x + bias| < 2^22, so that twice the sums come apart; right shifts 1…16; outputs below 2^14 before they are
    limited, so that two fit a word; and no multiplier of a strip's first row is 0, since its sign ends a turn.

    Args:
        weights: int8 [rows, depth].
        bias: int32 [rows] or None.
        multipliers: [rows].
        right_shifts: [rows].
    """
    return bool(
        weights_fit(weights, WeightLayout.INTERLEAVED_2)
        and (largest_sums(weights, bias) < _SUM_LIMIT).all()
        and ((right_shifts >= 1) & (right_shifts <= _MAX_SHIFT)).all()
        and outputs_fit(weights, bias, multipliers, right_shifts)
        and (multipliers[::_ROWS] > 0).all()
    )


def blocks_bytes(depth: int, columns: int) -> int:
    """Of the input's form: in each block of columns a sum besides."""
    return -(-depth // columns) * _step(columns)


def stored_blocks(weights: NDArray[np.int8], columns: int) -> list[list[int]]:
    """Indices of the stored blocks of each strip of four rows: all nonzero blocks, and zero blocks between where a gap
    exceeds an index byte's range.

    Args:
        weights: int8 [rows, depth].
        columns: of a block, 4 or 8.
    """
    return [_within_reach(np.flatnonzero(strip.any(axis=(0, 2))).tolist(), columns) for strip in _cut(weights, columns)]


def _cut(weights: NDArray[np.int8], columns: int) -> NDArray[np.int8]:
    """[strips, 4, blocks, columns], with zero weights where there are none."""
    rows, depth = weights.shape
    padded = np.zeros(((rows + _ROWS - 1) // _ROWS * _ROWS, (depth + columns - 1) // columns * columns), np.int8)
    padded[:rows, :depth] = weights
    return padded.reshape(len(padded) // _ROWS, _ROWS, padded.shape[1] // columns, columns)


def _step(columns: int) -> int:
    """Bytes of x of a block."""
    return 4 + 2 * columns


def _entry(blocks: Sequence[int], columns: int) -> int:
    """The place that the first turn begins with, so that the others are full."""
    return -len(blocks) % PLACES[columns]


def _gaps(blocks: Sequence[int], columns: int) -> list[tuple[int, int]]:
    """For each block its position in a loop iteration and the bytes of x between the previous block and it."""
    entry, before = _entry(blocks, columns), [-1, *blocks]
    return [
        ((entry + number) % PLACES[columns], (block - before[number] - 1) * _step(columns))
        for number, block in enumerate(blocks)
    ]


def _within_reach(blocks: list[int], columns: int) -> list[int]:
    """A byte of an index reaches 255 bytes; the highest of an iteration's first word 127, since its sign ends the
    iteration before."""
    while True:
        limits = [(127 if index == _IN_INDEX - 1 else 255, gap) for index, gap in _gaps(blocks, columns)]
        far = next((number for number, (limit, gap) in enumerate(limits) if gap > limit), None)
        if far is None:
            return blocks
        start = blocks[far - 1] + 1 if far else 0
        blocks = [*blocks[:far], start + 127 // _step(columns), *blocks[far:]]


def pack_block_sparse(
    weights: NDArray[np.int8],
    columns: int,
    bias: NDArray[np.int32] | None,
    multipliers: NDArray[np.int32],
    right_shifts: NDArray[np.int64],
) -> NDArray[np.int32]:
    """The stream of a matrix of which `block_sparse_fits` holds, biases and scales included.

    Args:
        weights: int8 [rows, depth].
        columns: of a block, 4 or 8.
        bias: int32 [rows] or None.
        multipliers: [rows].
        right_shifts: [rows].

    Returns:
        int32, flat.
    """
    strips = _cut(weights, columns)
    stored = stored_blocks(weights, columns)
    scales = _by_strip(multipliers), _by_strip(right_shifts - 1)
    biases = None if bias is None else _by_strip(bias)
    words: list[int] = []
    for number, (strip, blocks) in enumerate(zip(strips, stored, strict=True)):
        multiplier = [int(value) for value in scales[0][number]]
        indices = _indices(blocks, columns)
        entry = _entry(blocks, columns) if blocks else _NO_BLOCKS
        if not words:
            words += [0, 0]
        words[-2] = indices.pop(0) if blocks else -multiplier[0]
        words[-1] |= (_BIASED if bias is not None else entry) << 28
        if biases is not None:
            a, b, c, d = (2 * int(value) for value in biases[number])
            words += [256 * a + b, 256 * b + c, entry, 256 * c + d]
        for index, block in enumerate(blocks, entry):
            words += pack_pairs(strip[:, block]).view(np.int32).tolist()
            if index % _IN_INDEX == _IN_INDEX - 1:
                words.append(indices.pop(0) if indices else -multiplier[0])
        shifts = sum(int(shift) << 8 * row for row, shift in enumerate(scales[1][number]))
        words += [*multiplier[1:], 0, shifts]
    words[-1] |= _END << 28
    return (np.array(words, np.int64) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)


def _indices(blocks: Sequence[int], columns: int) -> list[int]:
    """One word for every four stored blocks: the gap before each, the first in the lowest byte."""
    words: list[int] = []
    for number, (index, gap) in enumerate(_gaps(blocks, columns)):
        if number == 0 or index % _IN_INDEX == 0:
            words.append(0)
        words[-1] |= gap << 8 * (index % _IN_INDEX)
    return words


def _by_strip(values: NDArray[np.integer]) -> NDArray[np.int64]:
    """[strips, 4], zeros for missing rows."""
    padded = np.zeros((len(values) + _ROWS - 1) // _ROWS * _ROWS, np.int64)
    padded[: len(values)] = values
    return padded.reshape(-1, _ROWS)


def _candidates(product: Product, layout: WeightLayout) -> list[WeightEncoding]:
    if not block_sparse_fits(product.weights, product.bias, product.multipliers, product.right_shifts):
        return []
    return [_candidate(product, columns, layout) for columns in PLACES]


def _candidate(product: Product, columns: int, layout: WeightLayout) -> WeightEncoding:
    fixed, each = _INSTRUCTIONS[layout]
    counts = [len(blocks) for blocks in stored_blocks(product.weights, columns)]
    turns = [-(-count // PLACES[columns]) for count in counts]
    indices = sum(-(-count // 4) for count in counts)
    instructions = len(counts) * (fixed + (_BIASES if product.bias is not None else 0)) + sum(counts) * each[columns]
    instructions += sum(_TURN + _NEXT_TURN * (turn - 1) if turn else _NO_BLOCKS_COST for turn in turns)
    return WeightEncoding(f"blocks{columns}", 4 * columns * sum(counts) + 4 * indices, instructions, columns=columns)


def _prepare(ctx: Lowering, it: ProductInput, form: WeightEncoding) -> ProductCall:
    weights, columns = it.product, form.columns
    stream = pack_block_sparse(weights.weights, columns, weights.bias, weights.multipliers, weights.right_shifts)
    size = blocks_bytes(it.x.size, columns)
    source = encoded_input(ctx, it.x, f"blocks{columns}", "thimble_widen_blocks_s8", size, columns)
    return ProductCall(
        f"thimble_fully_connected_{form.name}_s8",
        "thimble_fully_connected_blocks_s8_params",
        Pointer(source, "const int32_t *"),
        None,
        product_constants(ctx, it, {"stream": stream}),
    )


BLOCK_SPARSE = Encoding(
    _candidates,
    _prepare,
    ("thimble_fully_connected_blocks4_s8", "thimble_fully_connected_blocks8_s8", "thimble_widen_blocks_s8"),
    {"blocks4": 1150, "blocks8": 1110},
)
