"""Models small enough to build, train and convert in seconds, of every kind that a recipe can ask for: those that
are trained here, and those that only models of others are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tf_keras as keras

from pipeline.network.decoder import build_decoder
from pipeline.recipes.schema import ModelConfig
from pipeline.tasks.task import Pair
from pipeline.text.tokenizers.byte_bpe import Tokenizer

__all__ = ["IMPORTED_KINDS", "KINDS", "PAIRS", "config_of", "lively", "tokenizer_of"]

_SIZES: dict[str, object] = {"vocab_size": 300, "d_model": 16, "layers": 2, "heads": 4, "ffn_dim": 24, "context": 20}

KINDS: Mapping[str, dict[str, object]] = {
    "rmsnorm, relu, learned, tied": {"kv_heads": 4},
    "rmsnorm, gated, rotary, grouped": {"kv_heads": 2, "ffn": "gated", "positions": "rotary"},
    "layernorm, relu, rotary, untied": {
        "kv_heads": 4,
        "norm": "layernorm",
        "positions": "rotary",
        "tied_embeddings": False,
    },
    "layernorm, gated, learned, one K/V head": {"kv_heads": 1, "ffn": "gated", "norm": "layernorm"},
}

IMPORTED_KINDS: Mapping[str, dict[str, object]] = {
    "layernorm, gelu, learned, biases": {"norm": "layernorm", "ffn": "gelu", "biases": True, "norm_epsilon": 1e-3},
    "rmsnorm, gated, rotary by llama3, biases": {
        "kv_heads": 2,
        "ffn": "gated",
        "positions": "rotary",
        "biases": True,
        "rope_base": 500_000,
        "rope_scaling": {"kind": "llama3", "factor": 8, "original_context": 16},
    },
    "rmsnorm, gated, rotary by factors": {
        "kv_heads": 4,
        "ffn": "gated",
        "positions": "rotary",
        "tied_embeddings": False,
        "rope_scaling": {"kind": "factors", "factors": [1, 2.5]},
    },
}

PAIRS = [
    Pair(f"turn {state} the {area} {thing}", f"HassTurn{state.title()} area={area} domain={thing}")
    for state in ("on", "off")
    for area in ("kitchen", "hall", "attic")
    for thing in ("light", "fan")
]


def config_of(kind: str, **changes: object) -> ModelConfig:
    """The configuration of one of KINDS or IMPORTED_KINDS."""
    return ModelConfig.from_mapping({**_SIZES, **{**KINDS, **IMPORTED_KINDS}[kind], **changes})


def lively(config: ModelConfig, seed: int = 1) -> keras.Model:
    """An untrained model whose gains, offsets and biases are not at their neutral start, and whose logits differ."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build_decoder(config)
    for weight in model.trainable_variables:
        if "gamma" in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif "beta" in weight.name or "bias" in weight.name:
            weight.assign(rng.uniform(-0.5, 0.5, weight.shape))
        elif "embed" in weight.name:
            weight.assign(weight * 4)
    return model


def tokenizer_of(vocab_size: int = 300) -> Tokenizer:
    """A tokenizer of PAIRS."""
    return Tokenizer.train([text for pair in PAIRS for text in (pair.sentence, pair.action)], vocab_size)
