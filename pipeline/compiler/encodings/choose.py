"""All encodings of weights, and which of them each product of a model takes.

The .tflite says nothing of sparsity: the weights' own zeros do. An encoding's instructions are counted from its kernel,
for one token on the layout's core, within 10 % of what an emulated board counts (tests/kernels/test_kernels.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum

from pipeline.compiler.encodings.block_sparse import BLOCK_SPARSE
from pipeline.compiler.encodings.encoding import Encoding
from pipeline.compiler.encodings.int4 import INT4
from pipeline.compiler.encodings.nm_sparse import NM_SPARSE
from pipeline.compiler.encodings.plain import PLAIN
from pipeline.compiler.ir.program import WeightEncoding
from pipeline.compiler.product import Choice, Product
from pipeline.targets.cores import WeightLayout

__all__ = ["ENCODINGS", "Objective", "candidate_encodings", "choose", "encoding_of"]

ENCODINGS: tuple[Encoding, ...] = (PLAIN, BLOCK_SPARSE, INT4, NM_SPARSE)
"""The plain one first: it holds any weights."""
_CODE_BYTES = {name: size for encoding in ENCODINGS for name, size in encoding.code_bytes.items()}
_BALANCED = 2.25


class Objective(StrEnum):
    """Objective of the choice of an encoding: fewest bytes among those of at most 2.25 times the instructions of plain
    weights (`balanced`), fewest instructions (`speed`), or fewest bytes (`size`)."""

    BALANCED = "balanced"
    SPEED = "speed"
    SIZE = "size"


def encoding_of(form: WeightEncoding) -> Encoding:
    """The encoding of a candidate."""
    return next((encoding for encoding in ENCODINGS if form.name in encoding.code_bytes), PLAIN)


def candidate_encodings(product: Product, packing: WeightLayout) -> list[WeightEncoding]:
    """All encodings that represent these weights exactly, the plain one first."""
    return [form for encoding in ENCODINGS for form in encoding.candidates(product, packing)]


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
