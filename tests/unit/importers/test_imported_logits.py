"""Models of other projects: the Keras model gives the logits that NumPy computes from the file's own weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.importers.gguf_file import read_gguf
from pipeline.importers.hugging_face import read_hugging_face
from pipeline.importers.imported_model import ImportedModel, decoder_of
from pipeline.importers.refusals import Refusals
from tests.support.made_models import (
    GPT2_CONFIG,
    GPT_NEO,
    gguf_file,
    gpt2_folder,
    gpt2_logits,
    gpt_neo_folder,
    llama_folder,
    llama_logits,
)

pytest.importorskip("safetensors")
pytest.importorskip("gguf")

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


def logits(model: ImportedModel, context: int, tied: bool) -> tuple[np.ndarray, np.ndarray]:
    """Random tokens, and the Keras model's logits of them."""
    tokens = np.random.default_rng(8).integers(0, 400, context)
    decoder = decoder_of(model.read(), model.config(context, tied), Path("made"))
    return tokens, decoder(tokens[None]).numpy()[0]


def assert_equal(computed: np.ndarray, expected: np.ndarray) -> None:
    assert expected.std() > 0.5
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "form"),
    [
        ({"rope_theta": 500_000.0, "rope_scaling": LLAMA3}, {"biases": True}),
        (
            {"tie_word_embeddings": True, "rope_scaling": {"type": "linear", "factor": 4.0}},
            {"dtype": "BF16", "shards": 3},
        ),
        ({"model_type": "mistral", "sliding_window": 32, "num_key_value_heads": 4}, {"dtype": "F16"}),
        ({"model_type": "qwen2", "use_sliding_window": False, "num_key_value_heads": 1, "rms_norm_eps": 1e-2}, {}),
    ],
    ids=["llama3, biases", "linear, tied, BF16, shards", "mistral, F16", "qwen2, one K/V head"],
)
def test_llama(changes: dict[str, Any], form: dict[str, Any], tmp_path: Path) -> None:
    weights = llama_folder(tmp_path, **form, **changes)
    model = read_hugging_face(tmp_path, Refusals(tmp_path))
    assert model.is_tied == changes.get("tie_word_embeddings", False)
    assert model.parameter_count == sum(values.size for values in weights.values())
    assert model.max_context == changes.get("sliding_window", 64)
    tokens, computed = logits(model, 32, model.is_tied)
    assert_equal(computed, llama_logits(changes, weights, tokens))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "scale_attn_by_inverse_layer_idx": True,
            "scale_attn_weights": False,
            "n_inner": 40,
            "layer_norm_epsilon": 1e-3,
        },
        {"activation_function": "relu"},
    ],
    ids=["as it is", "scores scaled otherwise", "relu"],
)
def test_gpt2(changes: dict[str, Any], tmp_path: Path) -> None:
    weights = gpt2_folder(tmp_path, bare=bool(changes), **changes)
    model = read_hugging_face(tmp_path, Refusals(tmp_path))
    assert model.is_tied and not model.can_be_fitted and model.max_context == 48
    tokens, computed = logits(model, 40, True)
    assert_equal(computed, gpt2_logits({**GPT2_CONFIG, **changes}, weights, tokens))


def test_gpt_neo_within_the_window_of_its_local_layers(tmp_path: Path) -> None:
    weights = gpt_neo_folder(tmp_path)
    model = read_hugging_face(tmp_path, Refusals(tmp_path))
    assert (model.max_context, model.reason) == (24, "has layers with local attention, over")
    tokens, computed = logits(model, 24, False)
    assert_equal(computed, gpt2_logits(GPT_NEO, weights, tokens))


@pytest.mark.parametrize("quantization", ["F32", "F16", "BF16", "Q8_0", "Q4_0"])
def test_gguf_of_llama(quantization: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"rope_theta": 500_000.0, "rope_scaling": LLAMA3, "intermediate_size": 64}
    llama_folder(tmp_path / "folder", biases=True, **changes)
    weights = gguf_file(tmp_path / "made.gguf", tmp_path / "folder", "llama", quantization)
    model = read_gguf(tmp_path / "made.gguf", Refusals(tmp_path))
    tokens, computed = logits(model, 32, False)
    assert_equal(computed, llama_logits(changes, weights, tokens))


def test_gguf_of_gpt2(tmp_path: Path) -> None:
    gpt2_folder(tmp_path / "folder")
    weights = gguf_file(tmp_path / "made.gguf", tmp_path / "folder", "gpt2", "F16")
    model = read_gguf(tmp_path / "made.gguf", Refusals(tmp_path))
    assert model.is_tied
    tokens, computed = logits(model, 40, True)
    assert_equal(computed, gpt2_logits(GPT2_CONFIG, weights, tokens))
