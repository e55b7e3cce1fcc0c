"""What the generated C is described by."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pipeline.targets.cores import WeightLayout

__all__ = ["CompiledModel", "Explanation", "Layer", "StoredProduct"]


@dataclass(frozen=True)
class Layer:
    """One layer: `function` is its C function, which may serve several; `kind` is fully_connected, attention, norm,
    matmul or elementwise; `macs` of attention are those at half the context."""

    name: str
    function: str
    kind: str
    macs: int
    weight_bytes: int


@dataclass(frozen=True)
class StoredProduct:
    """How a matrix product's weights are held: `form` as `WeightEncoding` names it, its bytes and the instructions that
    a token's product takes by count, and those of the plain form."""

    name: str
    form: str
    weight_bytes: int
    instructions: int
    plain_weight_bytes: int
    plain_instructions: int


@dataclass(frozen=True)
class Explanation:
    """What became of a .tflite's operators: how many there are of each kind, how many fusions of each kind took their
    place, how many of each kind are computed by themselves, and what nearly was a fusion: its tensor, and the condition
    that failed."""

    operators: dict[str, int]
    fusions: dict[str, int]
    alone: dict[str, int]
    missed: tuple[str, ...]


@dataclass(frozen=True)
class CompiledModel:
    """Facts about the generated C. Bytes: `weight_bytes` of matrices and embeddings, `raw_weight_bytes` of these
    without packing and padding, `table_bytes` of all other constants, `arena_bytes` of activations, of which
    `largest_live_set` are alive at once, both for `block` tokens of a prompt. `arena_places` gives the offset in the
    arena of each input and output of a graph that is no decode step.
    """

    vocab: int
    context: int
    macs: int
    weight_bytes: int
    raw_weight_bytes: int
    table_bytes: int
    kv_cache_bytes: int
    arena_bytes: int
    largest_live_set: int
    block: int
    layers: tuple[Layer, ...]
    arena_places: dict[str, int]
    products: tuple[StoredProduct, ...] = ()

    @property
    def forms(self) -> str:
        """Describes the compressed weights; empty where all are plain."""
        stored = [product for product in self.products if product.form not in list(WeightLayout)]
        if not stored:
            return ""
        counts = Counter(product.form for product in stored)
        which = " and ".join(f"{count} in {form}" for form, count in sorted(counts.items()))
        return (
            f"weights of {len(self.products)} products: {which}; "
            f"{sum(p.weight_bytes for p in self.products):,} bytes "
            f"instead of {sum(p.plain_weight_bytes for p in self.products):,}, "
            f"about {sum(p.instructions for p in self.products):,} instructions a token "
            f"instead of {sum(p.plain_instructions for p in self.products):,}"
        )
