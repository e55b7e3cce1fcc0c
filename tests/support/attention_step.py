"""Decode steps of attentions and nothing else, with any scales: what a fused kernel could round differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.support.build_model import ModelBuilder
from tests.support.strategies import Quantization, int8_values

__all__ = ["VOCAB", "AttentionSpec", "attention_step", "default_mask"]


VOCAB = 24


@dataclass(frozen=True)
class AttentionSpec:
    """One attention: its size, the quantization of each tensor, the mask's two values, and the weights' seed.

    With `scaled_scores` scores are multiplied by 0.27 before the mask is added, as most people write it.
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
    seed: int = 0


def default_mask(spec: AttentionSpec) -> np.ndarray:
    """int8 [context, context + 1]: row p lets columns before p and the last one through."""
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
    for layer in caches:
        mask = (masks or {}).get(layer, default_mask(spec))
        mask_rows[layer] = model.tensor((1, spec.context + 1), *spec.mask.pair)
        mask_table = model.tensor(mask.shape, *spec.mask.pair, data=mask)
        model.op("GATHER", [mask_table, position], [mask_rows[layer]], axis=0)
    rows = (vocab or VOCAB, width)
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
        columns = spec.kv_heads * spec.head_dim
        k = matrix_product(x, columns, k_quantization, (spec.kv_heads, 1, spec.head_dim), number + 1)
        v = matrix_product(x, columns, v_quantization, (spec.kv_heads, 1, spec.head_dim), number + 2)
        outputs |= {f"k_new_{layer}": k, f"v_new_{layer}": v}
        longer = (spec.kv_heads, spec.context + 1, spec.head_dim)
        keys, values = (
            model.tensor(longer, *cache_quantization.pair) for cache_quantization in (k_quantization, v_quantization)
        )
        model.op("CONCATENATION", [held[f"k_cache_{layer}"], k], [keys], axis=1)
        model.op("CONCATENATION", [held[f"v_cache_{layer}"], v], [values], axis=1)
        square = (spec.kv_heads, spec.group, spec.context + 1)
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
