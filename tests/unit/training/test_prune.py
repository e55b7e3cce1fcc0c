"""Pruning: the sparsity and the pattern that were asked for, in the Dense kernels, with what the model learned kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from pipeline.errors import ThimbleError
from pipeline.network.decoder import build_decoder
from pipeline.recipes.schema import ModelConfig, PruneConfig, TrainConfig
from pipeline.text.codec import PlainCodec
from pipeline.training.loop import TrainingData
from pipeline.training.prune import prune
from tests.support.tiny_models import PAIRS, config_of, tokenizer_of

TOKENIZER = tokenizer_of(340)
GATED, RELU, LAYERNORM = (
    "rmsnorm, gated, rotary, grouped",
    "rmsnorm, relu, learned, tied",
    "layernorm, relu, rotary, untied",
)


def pruned(
    kind: str, config: PruneConfig, dropout: float = 0.0, reported: list[int] | None = None
) -> tuple[keras.Model, ModelConfig, list[dict[str, float]]]:
    """A model of one layer, pruned."""
    keras.utils.set_random_seed(1)
    sizes = config_of(kind, vocab_size=TOKENIZER.vocab_size, layers=1, context=48)
    model = build_decoder(sizes, dropout)
    training_data = TrainingData(PlainCodec(TOKENIZER), PAIRS, PAIRS[:3], sizes.context)
    steps_reported = [] if reported is None else reported
    report = lambda done, of, figures: steps_reported.append(done)  # noqa: E731
    with tempfile.TemporaryDirectory() as out:
        history = prune(model, sizes, config, TrainConfig(batch_size=4), training_data, Path(out), report)
    return model, sizes, history


def rows_of(model: keras.Model, name: str) -> np.ndarray:
    """A kernel as the .tflite has it, [out, in]."""
    return np.asarray(model.get_layer(name).kernel.numpy().T)


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("steps", [1, 30, 70])
@pytest.mark.parametrize("kind", [GATED, LAYERNORM])
def test_kernels_reach_the_sparsity(kind: str, steps: int) -> None:
    shown: list[int] = []
    model, _, history = pruned(kind, PruneConfig(sparsity=0.4, steps=steps), reported=shown)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            share = float(np.mean(layer.kernel.numpy() == 0))
            assert share == pytest.approx(0.0 if layer.name == "head" else 0.4, abs=0.01), layer.name
    assert (model.get_layer("embed").table.numpy() != 0).all()
    assert not any("prune" in layer.name for layer in model.layers)
    assert history[-1]["step"] == steps
    assert np.isfinite(history[-1]["loss"])
    assert shown[-1] == steps


def test_all_weights_are_tuned() -> None:
    keras.utils.set_random_seed(1)
    fresh = build_decoder(config_of(GATED, vocab_size=TOKENIZER.vocab_size, layers=1, context=48))
    model, _, _ = pruned(GATED, PruneConfig(steps=2))
    for before, after in zip(fresh.trainable_variables, model.trainable_variables, strict=True):
        assert (before.numpy() != after.numpy()).any(), after.name


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (4, 2), (1, 8)])
def test_blocks_are_whole(rows: int, columns: int) -> None:
    """Rows are outputs and columns inputs, as in the .tflite."""
    model, _, _ = pruned(GATED, PruneConfig(steps=2, pattern="block", block=(rows, columns)))
    for name in ("q", "k", "o", "gate", "up", "down"):
        kernel = rows_of(model, f"layer0_{name}")
        high, wide = kernel.shape
        blocks = (kernel != 0).reshape(high // rows, rows, wide // columns, columns).sum(axis=(1, 3))
        assert set(np.unique(blocks)) == {0, rows * columns}, name
        assert (blocks == 0).mean() == pytest.approx(0.5, abs=0.02), name


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize(("pattern", "nonzeros", "of"), [("2:4", 2, 4), ("1:4", 1, 4)])
def test_n_of_m_neighbours_along_the_input_are_left(pattern: str, nonzeros: int, of: int) -> None:
    model, _, _ = pruned(RELU, PruneConfig.from_mapping({"steps": 2, "pattern": pattern}))
    for name in ("q", "v", "o", "up", "down"):
        kernel = rows_of(model, f"layer0_{name}")
        assert ((kernel != 0).reshape(len(kernel), -1, of).sum(axis=2) == nonzeros).all(), name


def test_heads_go_with_all_that_makes_them() -> None:
    model, sizes, _ = pruned(GATED, PruneConfig(steps=2, pattern="heads"))
    group = sizes.heads // sizes.kv_heads
    read = (rows_of(model, "layer0_o") != 0).any(axis=0).reshape(sizes.kv_heads, -1)
    assert sorted(read.all(axis=1)) == sorted(read.any(axis=1)) == [False, True]
    for name, each in (("q", group), ("k", 1), ("v", 1)):
        live_rows = (rows_of(model, f"layer0_{name}") != 0).any(axis=1).reshape(sizes.kv_heads, each * sizes.head_dim)
        np.testing.assert_array_equal(live_rows, np.repeat(read.any(axis=1)[:, None], live_rows.shape[1], axis=1))
    assert (rows_of(model, "layer0_down") != 0).all()


@pytest.mark.parametrize("kind", [GATED, RELU])
def test_channels_go_with_all_that_makes_them(kind: str) -> None:
    model, sizes, _ = pruned(kind, PruneConfig(steps=2, pattern="channels", sparsity=0.25))
    read = (rows_of(model, "layer0_down") != 0).any(axis=0)
    assert read.sum() == 0.75 * sizes.ffn_dim
    for name in ("gate", "up") if sizes.ffn == "gated" else ("up",):
        np.testing.assert_array_equal((rows_of(model, f"layer0_{name}") != 0).any(axis=1), read)
    assert (rows_of(model, "layer0_o") != 0).all()


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (PruneConfig(pattern="block", block=(5, 4)), "`prune.block`"),
        (PruneConfig(pattern="heads", sparsity=0.1), "removes 0 of 2 heads"),
        (PruneConfig(pattern="heads", sparsity=0.9), "removes 2 of 2 heads"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused(config: PruneConfig, named: str) -> None:
    with pytest.raises(ThimbleError, match=named):
        pruned(GATED, config.replace(steps=1))


@pytest.mark.variants(keep=0)
@pytest.mark.xla
def test_pruning_is_reproducible() -> None:
    weights_by_run = []
    for _ in range(2):
        model, _, _ = pruned(RELU, PruneConfig(steps=4), dropout=0.1)
        weights_by_run.append([weight.numpy() for weight in model.trainable_variables])
    for a, b in zip(*weights_by_run, strict=True):
        np.testing.assert_array_equal(a, b)
