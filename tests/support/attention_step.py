"""Decode steps of attentions and nothing else, with any scales: what a fused kernel could round differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.support.build_model import ModelBuilder
from tests.support.strategies import Quantization, int8_values

__all__ = ["UPDATES", "VOCAB", "AttentionSpec", "attention_step", "default_mask"]


VOCAB = 24


UPDATES = ("one-hot", "one-hot less itself", "where", "slice", "slice in float")
"""How a step may put its own row into whole caches."""


@dataclass(frozen=True)
class AttentionSpec:
    """One attention: its size, the quantization of each tensor, the mask's two values, and the weights' seed.

    With `scaled_scores` scores are multiplied by 0.27 before the mask is added, as most people write it. `update`, one
    of UPDATES, puts the new row into the cache, which is then an output; without one the row is, and concatenated.
    `row` is the new rows' quantization where it is not the cache's.
    """

    kv_heads: int = 2
    group: int = 2
    head_dim: int = 8
    context: int = 6
    x: Quantization = field(default_factory=lambda: Quantization(0.02, 3))
    q: Quantization = field(default_factory=lambda: Quantization(0.05, -7))
    k: Quantization = field(default_factory=lambda: Quantization(0.05, 11))
    v: Quantization = field(default_factory=lambda: Quantization(0.04, -20))
    scores: Quantization = field(default_factory=lambda: Quantization(0.1, 5))
    mask: Quantization = field(default_factory=lambda: Quantization(20 / 255, 127))
    masked_scores: Quantization = field(default_factory=lambda: Quantization(0.15, 40))
    out: Quantization = field(default_factory=lambda: Quantization(0.03, 9))
    unmasked: int = 127
    masked: int = -128
    beta: float = 1.0
    mask_first: bool = False
    scaled_scores: Quantization | None = None
    vocab: int = VOCAB
    update: str = ""
    row: Quantization | None = None
    seed: int = 0


def default_mask(spec: AttentionSpec) -> np.ndarray:
    """int8 [context, context + 1]: row p lets columns before p and the last one through; [context, context], p too,
    where the row is put into the cache."""
    if spec.update:
        own = np.tri(spec.context, dtype=bool)
        return np.where(own, spec.unmasked, spec.masked).astype(np.int8)
    filled = np.arange(spec.context + 1)[None, :] < np.arange(spec.context)[:, None]
    filled[:, spec.context] = True
    return np.where(filled, spec.unmasked, spec.masked).astype(np.int8)


def attention_step(
    spec: AttentionSpec,
    caches: Sequence[int] = (0,),
    masks: Mapping[int, np.ndarray] | None = None,
    vocab: int | None = None,
) -> bytes:
    """The .tflite: embedding, then for each number of `caches` in this order an attention over that cache, then logits.

    Args:
        spec: the attentions' sizes and scales.
        caches: the layers' numbers in the inputs' names, in the graph's order.
        masks: for some layers, another table [context, context + 1] than the usual one.
        vocab: ids, each with a logit; None: VOCAB ids, and the last attention's output for logits.
    """
    model = ModelBuilder()
    width = spec.kv_heads * spec.group * spec.head_dim
    token, position = (model.input(name, (1,), dtype="INT32") for name in ("token", "position"))
    cache_shape = (spec.kv_heads, spec.context, spec.head_dim)
    held = {
        f"{kind}_cache_{layer}": model.input(f"{kind}_cache_{layer}", cache_shape, *quantization.pair)
        for layer in sorted(caches)
        for kind, quantization in (("k", _of_layer(spec.k, layer)), ("v", _of_layer(spec.v, layer)))
    }
    mask_rows = {}
    columns = spec.context if spec.update else spec.context + 1
    update = _Update(model, spec, position) if spec.update else None
    for layer in caches:
        mask = (masks or {}).get(layer, default_mask(spec))
        mask_rows[layer] = model.tensor((1, columns), *spec.mask.pair)
        mask_table = model.tensor(mask.shape, *spec.mask.pair, data=mask)
        model.op("GATHER", [mask_table, position], [mask_rows[layer]], axis=0)
    rows = (vocab or spec.vocab, width)
    table = model.tensor(rows, *spec.x.pair, data=int8_values(4 * spec.seed, rows))
    x = model.tensor((1, width), *spec.x.pair)
    model.op("GATHER", [table, token], [x], axis=0)
    outputs: dict[str, int] = {}

    def matrix_product(source: int, rows: int, quantization: Quantization, shape: Sequence[int], number: int) -> int:
        values = int8_values(4 * (spec.seed + number), (rows, width), -127)
        scale = float(np.float32(quantization.scale / (spec.x.scale * 73 * width**0.5)))
        weights = model.tensor((rows, width), scale, data=values)
        flat, shaped = model.tensor((1, rows), *quantization.pair), model.tensor(shape, *quantization.pair)
        model.op("FULLY_CONNECTED", [source, weights], [flat], keepNumDims=True)
        model.op("RESHAPE", [flat, model.tensor((len(shape),), data=list(shape), dtype="INT32")], [shaped])
        return shaped

    number = 1
    for layer in caches:
        k_quantization, v_quantization = _of_layer(spec.k, layer), _of_layer(spec.v, layer)
        q = matrix_product(x, width, spec.q, (spec.kv_heads, spec.group, spec.head_dim), number)
        kv_rows = spec.kv_heads * spec.head_dim
        k = matrix_product(x, kv_rows, spec.row or k_quantization, (spec.kv_heads, 1, spec.head_dim), number + 1)
        v = matrix_product(x, kv_rows, spec.row or v_quantization, (spec.kv_heads, 1, spec.head_dim), number + 2)
        longer = (spec.kv_heads, columns, spec.head_dim)
        keys, values = (
            model.tensor(longer, *cache_quantization.pair) for cache_quantization in (k_quantization, v_quantization)
        )
        if update is None:
            outputs |= {f"k_new_{layer}": k, f"v_new_{layer}": v}
            model.op("CONCATENATION", [held[f"k_cache_{layer}"], k], [keys], axis=1)
            model.op("CONCATENATION", [held[f"v_cache_{layer}"], v], [values], axis=1)
        else:
            outputs |= {f"k_new_{layer}": keys, f"v_new_{layer}": values}
            update.put(held[f"k_cache_{layer}"], k, keys, k_quantization)
            update.put(held[f"v_cache_{layer}"], v, values, v_quantization)
        square = (spec.kv_heads, spec.group, columns)
        scores = model.tensor(square, *spec.scores.pair)
        model.op("BATCH_MATMUL", [q, keys], [scores], adjX=False, adjY=True)
        if spec.scaled_scores is not None:
            product, scores = scores, model.tensor(square, *spec.scaled_scores.pair)
            model.op("MUL", [product, model.tensor((), 2.0**-9, -40, 100)], [scores])
        added = model.tensor(square, *spec.masked_scores.pair)
        model.op("ADD", [mask_rows[layer], scores] if spec.mask_first else [scores, mask_rows[layer]], [added])
        probabilities = model.tensor(square, 1 / 256, -128)
        model.op("SOFTMAX", [added], [probabilities], beta=spec.beta)
        out = model.tensor((spec.kv_heads, spec.group, spec.head_dim), *spec.out.pair)
        model.op("BATCH_MATMUL", [probabilities, values], [out], adjX=False, adjY=False)
        flat = model.tensor((1, width), *spec.out.pair)
        model.op("RESHAPE", [out, model.tensor((2,), data=[1, width], dtype="INT32")], [flat])
        x = model.tensor((1, width), *spec.x.pair)
        model.op("QUANTIZE", [flat], [x])
        number += 3
    outputs["logits"] = x if vocab is None else matrix_product(x, vocab, spec.out, (1, vocab), number)
    return model.bytes(outputs)


def _of_layer(quantization: Quantization, layer: int) -> Quantization:
    """Each layer's cache has an empty value of its own."""
    return Quantization(quantization.scale, (quantization.zero_point + 128 + 10 * layer) % 256 - 128)


class _Update:
    """Puts new rows into caches, in the spec's way."""

    def __init__(self, model: ModelBuilder, spec: AttentionSpec, position: int) -> None:
        self.model, self.spec = model, spec
        self.whole = (spec.kv_heads, spec.context, spec.head_dim)
        self.kind = spec.update.partition(" ")[0]
        if spec.update.startswith("one-hot"):
            self.here = self._looked_up(position, np.eye(spec.context))
            if spec.update == "one-hot":
                self.elsewhere = self._looked_up(position, 1 - np.eye(spec.context))
            else:
                one = model.tensor((), 1 / 255, -128, 127)
                self.elsewhere = model.tensor((1, spec.context, 1), 1 / 255, -128)
                model.op("SUB", [one, self.here], [self.elsewhere])
        elif spec.update == "where":
            places = model.tensor((1, spec.context, 1), data=np.arange(spec.context), dtype="INT32")
            self.here = model.tensor((1, spec.context, 1), dtype="BOOL")
            model.op("EQUAL", [places, position], [self.here])
        else:
            first, one = (model.tensor((1,), data=[value], dtype="INT32") for value in (0, 1))
            number = model.tensor((), dtype="INT32")
            model.op("STRIDED_SLICE", [position, first, one, one], [number], shrinkAxisMask=1)
            none, self.here = model.tensor((), data=0, dtype="INT32"), model.tensor((3,), dtype="INT32")
            model.op("PACK", [none, number, none], [self.here], valuesCount=3)

    def put(self, cache: int, row: int, out: int, quantization: Quantization) -> None:
        """The cache with the row in it."""
        model = self.model
        if self.kind == "one-hot":
            kept, put = (model.tensor(self.whole, *quantization.pair) for _ in range(2))
            model.op("MUL", [cache, self.elsewhere], [kept])
            model.op("MUL", [self.here, row], [put])
            model.op("ADD", [kept, put], [out])
        elif self.kind == "where":
            model.op("SELECT_V2", [self.here, row, cache], [out])
        elif self.spec.update == "slice":
            model.op("DYNAMIC_UPDATE_SLICE", [cache, row, self.here], [out])
        else:
            held, real = (model.tensor(self.whole, dtype="FLOAT32") for _ in range(2))
            new = model.tensor((self.spec.kv_heads, 1, self.spec.head_dim), dtype="FLOAT32")
            model.op("DEQUANTIZE", [cache], [held])
            model.op("DEQUANTIZE", [row], [new])
            model.op("DYNAMIC_UPDATE_SLICE", [held, new, self.here], [real])
            model.op("QUANTIZE", [real], [out])

    def _looked_up(self, position: int, table: np.ndarray) -> int:
        model, context = self.model, self.spec.context
        values = model.tensor(table.shape, 1 / 255, -128, np.where(table, 127, -128))
        row, shaped = model.tensor((1, context), 1 / 255, -128), model.tensor((1, context, 1), 1 / 255, -128)
        model.op("GATHER", [values, position], [row], axis=0)
        model.op("RESHAPE", [row, model.tensor((3,), data=[1, context, 1], dtype="INT32")], [shaped])
        return shaped
