"""The forms in which a product's weights can be held, what each costs, and which is taken.

The .tflite says nothing of sparsity: the weights' own zeros do. A form's instructions are counted from its kernel, for
one token on the packing's core, within 10 % of what an emulated board counts (tests/kernels/test_kernels.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.block_sparse import PLACES, block_sparse_fits, stored_blocks
from pipeline.compiler.int4 import s4_fits
from pipeline.compiler.nm_sparse import nonzeros_of_four, words_of_row
from pipeline.compiler.packing import scales_fit, weights_fit
from pipeline.numerics import fixed_point as fp
from pipeline.targets.cores import WeightLayout

__all__ = ["Choice", "Objective", "Product", "WeightEncoding", "candidate_encodings", "choose", "normalize_dead_rows"]


class Objective(StrEnum):
    """Objective of the choice of an encoding: fewest bytes among those of at most 2.25 times the instructions of plain
    weights (`balanced`), fewest instructions (`speed`), or fewest bytes (`size`)."""

    BALANCED = "balanced"
    SPEED = "speed"
    SIZE = "size"


@dataclass(frozen=True)
class Product:
    """A matrix product as its .tflite has it: int8 weights [rows, depth], int32 biases [rows] or None, and of each row
    the multiplier and the right shift of its scale."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32] | None
    multipliers: NDArray[np.int32]
    right_shifts: NDArray[np.int64]

    @property
    def strips(self) -> int:
        """Blocks of four rows."""
        return (len(self.weights) + 3) // 4


@dataclass(frozen=True)
class WeightEncoding:
    """`name`: pairs, quads or rows, where weights stay as they are in that `packing`; blocks4 and blocks8, with the
    `columns` of a block; nibbles; 1:4 and 2:4, where `nonzeros` of four columns are. `weight_bytes` include indices,
    but not scales and biases."""

    name: str
    weight_bytes: int
    instructions: int
    packing: WeightLayout | None = None
    columns: int = 0
    nonzeros: int = 0

    @property
    def kernel(self) -> str:
        """The middle of its kernel's name."""
        return "picked" if self.nonzeros else self.name


class Choice(NamedTuple):
    """A product, the encoding chosen for its weights, and the plain one."""

    product: Product
    form: WeightEncoding
    plain: WeightEncoding


_BALANCED = 2.25
_TURN, _NEXT_TURN, _NO_BLOCKS, _BIASES = 2, 3, 1, 2
_PER_STRIP = {
    WeightLayout.INTERLEAVED_2: (52, 49 / 16),
    WeightLayout.INTERLEAVED_4: (68, 6.5),
    WeightLayout.ROW_MAJOR: (6, 0.7),
}
"""Instructions of plain weights for four rows: besides the columns, and for each."""
_BLOCKS = {
    WeightLayout.INTERLEAVED_2: (38, {4: 14, 8: 26}),
    WeightLayout.INTERLEAVED_4: (71, {4: 81, 8: 142}),
    WeightLayout.ROW_MAJOR: (38, {4: 14, 8: 26}),
}
"""Instructions of blocks for four rows: besides them, and for each."""
_S4 = {
    WeightLayout.INTERLEAVED_2: (49, 58 / 16),
    WeightLayout.INTERLEAVED_4: (105, 13.5),
    WeightLayout.ROW_MAJOR: (49, 58 / 16),
}
"""Instructions of weights of four bits for four rows: besides the columns, and for each."""
_NM_SPARSE = {
    WeightLayout.INTERLEAVED_2: (37, 45, 14.5),
    WeightLayout.INTERLEAVED_4: (43, 116, 29),
    WeightLayout.ROW_MAJOR: (37, 45, 14.5),
}
"""Instructions of weights with one or two of four columns, for a row: besides its words, for each four of them, and for
each word that is left."""
_CODE_BYTES = {"blocks4": 1150, "blocks8": 1110, "nibbles": 800, "1:4": 980, "2:4": 980}
"""By which an image for a Cortex-M4 grows: the kernel, what prepares its input, and their calls."""


def normalize_dead_rows(product: Product, zero_point: int) -> Product:
    """Replaces the scales of rows without weights by ones that every kernel supports.

    A pruned row's output is one value, whatever its scale, which the converter sets to anything. With the multiplier
    1/2 and a right shift of 1, four times that value less the zero point, as its bias, gives it.
    """
    dead = ~product.weights.any(axis=1)
    multipliers, right_shifts, bias = product.multipliers.copy(), product.right_shifts.copy(), product.bias
    if bias is not None:
        dead &= np.abs(bias.astype(np.int64)) << np.maximum(-right_shifts, 0) < 1 << 31
        bias = bias.copy()
        for row in np.flatnonzero(dead).tolist():
            value = int(fp.multiply(int(bias[row]), int(multipliers[row]), -int(right_shifts[row])))
            bias[row] = 4 * (min(max(value + zero_point, -128), 127) - zero_point)
    multipliers[dead], right_shifts[dead] = 1 << 30, 1
    return Product(product.weights, bias, multipliers, right_shifts)


def candidate_encodings(product: Product, packing: WeightLayout) -> list[WeightEncoding]:
    """All encodings that represent these weights exactly, the plain one first."""
    rows, depth = product.weights.shape
    fit = scales_fit(product.weights, product.bias, product.right_shifts) and weights_fit(product.weights, packing)
    kind = packing if fit else WeightLayout.ROW_MAJOR
    fixed, column = _PER_STRIP[packing]
    encodings = [
        WeightEncoding(kind, _plain_bytes(rows, depth, kind), round(product.strips * (fixed + column * depth)), kind)
    ]
    if block_sparse_fits(product.weights, product.bias, product.multipliers, product.right_shifts):
        encodings += [_blocks(product, columns, packing) for columns in PLACES]
    if s4_fits(product.weights, product.bias, product.multipliers, product.right_shifts):
        fixed, column = _S4[packing]
        size = _plain_bytes(rows, depth, WeightLayout.INTERLEAVED_2) // 2
        encodings.append(WeightEncoding("nibbles", size, round(product.strips * (fixed + column * depth))))
    nonzeros = nonzeros_of_four(product.weights)
    if nonzeros <= 2 and scales_fit(product.weights, product.bias, product.right_shifts):
        encodings.append(_nm_sparse(product, max(nonzeros, 1), packing))
    return encodings


def _plain_bytes(rows: int, depth: int, kind: WeightLayout) -> int:
    return rows * depth if kind is WeightLayout.ROW_MAJOR else (rows + 3) // 4 * 4 * ((depth + 3) // 4 * 4)


def _blocks(product: Product, columns: int, packing: WeightLayout) -> WeightEncoding:
    fixed, each = _BLOCKS[packing]
    counts = [len(blocks) for blocks in stored_blocks(product.weights, columns)]
    turns = [-(-count // PLACES[columns]) for count in counts]
    indices = sum(-(-count // 4) for count in counts)
    instructions = len(counts) * (fixed + (_BIASES if product.bias is not None else 0)) + sum(counts) * each[columns]
    instructions += sum(_TURN + _NEXT_TURN * (turn - 1) if turn else _NO_BLOCKS for turn in turns)
    return WeightEncoding(f"blocks{columns}", 4 * columns * sum(counts) + 4 * indices, instructions, columns=columns)


def _nm_sparse(product: Product, nonzeros: int, packing: WeightLayout) -> WeightEncoding:
    rows, depth = product.weights.shape
    fixed, four, single = _NM_SPARSE[packing]
    words = words_of_row(depth, nonzeros)
    instructions = rows * (fixed + four * (words // 4) + single * (words % 4))
    return WeightEncoding(
        f"{nonzeros}:4", 4 * rows * (words + (words + 3) // 4), round(instructions), nonzeros=nonzeros
    )


def choose(products: Mapping[int, Product], packing: WeightLayout, aim: Objective) -> dict[int, Choice]:
    """The form of each product of a model.

    Unless the objective is speed, a further kernel must save more bytes than its own code takes.
    """
    candidates = {key: candidate_encodings(product, packing) for key, product in products.items()}
    owners = Counter(product.weights.tobytes() for product in products.values())
    sharers = {key: owners[product.weights.tobytes()] for key, product in products.items()}

    def chosen(names: set[str]) -> dict[int, WeightEncoding]:
        """Each product's form, of the plain one and those with these names."""
        return {
            key: _best([form for form in some if form.packing or form.name in names], aim, sharers[key])
            for key, some in candidates.items()
        }

    def size(names: set[str]) -> float:
        return sum(_bytes(form, sharers[key]) for key, form in chosen(names).items())

    names = set(_CODE_BYTES)
    while aim is not Objective.SPEED:
        names = {form.name for form in chosen(names).values() if not form.packing}
        gains = {name: size(names - {name}) - size(names) - _CODE_BYTES[name] for name in sorted(names)}
        if not gains or min(gains.values()) > 0:
            break
        names -= {min(gains, key=lambda name: gains[name])}
    return {key: Choice(products[key], form, candidates[key][0]) for key, form in chosen(names).items()}


def _bytes(form: WeightEncoding, sharers: int) -> float:
    """Of one product of those that have the same weights, which lie in flash once; but blocks have their scales among
    them, and each product its own."""
    return form.weight_bytes if form.columns else form.weight_bytes / sharers


def _best(candidates: Sequence[WeightEncoding], aim: Objective, sharers: int) -> WeightEncoding:
    """The best encoding; the first, the plain one, wins ties."""
    if aim is Objective.SPEED:
        return min(candidates, key=lambda form: (form.instructions, form.weight_bytes))
    max_instructions = candidates[0].instructions * _BALANCED
    allowed = [form for form in candidates if aim is Objective.SIZE or form.instructions <= max_instructions]
    return min(allowed, key=lambda form: (_bytes(form, sharers), form.instructions))
