"""A model written anew for integers: in float it computes the same, in integers it comes nearer to that."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.network.decoder import TappedLayer
from pipeline.quantize.ptq import quantize
from pipeline.recipes.schema import QatConfig
from pipeline.training import fit_int
from pipeline.training.checkpointing import CHECKPOINT
from pipeline.training.fit_int import Fit, Reparameterization, fit_reparameterization, write
from pipeline.training.qat import fold_gains
from pipeline.verification.oracle import Oracle
from tests.support.tiny_models import config_of, lively


@pytest.mark.variants(keep=0)
@pytest.mark.parametrize(("activations", "rate"), [("int8", 0.01), ("int16", 0.003)])
def test_a_form_that_suits_integers(activations: str, rate: float, tmp_path: Path) -> None:
    config = config_of("rmsnorm, gated, rotary, grouped", tied_embeddings=False)
    model = lively(config, seed=5)
    embed = model.get_layer("embed").table
    embed.assign(embed * np.where(np.arange(config.d_model) == 3, 8.0, 1.0))  # one channel makes all steps coarse
    text = np.random.default_rng(5).integers(0, config.vocab_size, (12, config.context)).astype(np.int32)
    exact, before = model(text).numpy(), model.get_layer("layer0_q").kernel.numpy()
    reported: list[int] = []
    fit = fit_reparameterization(
        model,
        config,
        QatConfig(steps=50, learning_rate=rate),
        activations,
        text,
        1,
        tmp_path,
        lambda done, steps, figures: reported.append(done),
    )
    history = fit.history
    rewritten = model(text).numpy()
    assert np.abs(rewritten - exact).mean() < 0.05 * np.abs(exact).mean(), "in float hardly another function"
    assert np.abs(model.get_layer("layer0_q").kernel.numpy() - before).max() > 0.1
    assert [point["step"] for point in history] == [25, 50] and reported[-1] == 50
    assert history[1]["loss"] < 0.95 * history[0]["loss"]
    assert all(layer.hook is None for layer in model.layers if isinstance(layer, TappedLayer))
    if activations == "int16":
        assert fit.ranges == {} and fit.key_means == {}
        return
    assert all(low <= 0 < high for low, high in fit.ranges.values())
    assert fit.ranges["layer0_norm_ffn/square"][0] == 0 and fit.ranges["head/out"][0] < 0
    assert all(mean.any() for mean in fit.key_means.values()) and len(fit.key_means) == config.layers
    calibration = text[:4].tolist()
    oracle = Oracle(quantize(model, config, calibration, "int8", "int8", "fitted", fit.ranges, fit.key_means))
    computed = [tensor for tensor in oracle.graph.tensors if tensor.data is None and tensor.dtype == "INT8"]
    spans = {tensor.name: 255 * tensor.scale for tensor in computed}
    for name in ("layer0_q/out", "layer1_attention/q", "layer1_attention/k", "layer0_gating/out"):
        (span,) = {round(spans[tensor_name], 4) for tensor_name in spans if tensor_name.startswith(name + "/")}
        low, high = fit.ranges[name]
        assert span == pytest.approx(high - low, rel=1e-3), name
    for kind in ("k_cache_0", "k_new_0"):
        index = {**oracle.graph.inputs, **oracle.graph.outputs}[kind]
        low, high = fit.ranges["layer0_attention/k"]
        assert 255 * oracle.graph.tensors[index].scale == pytest.approx(high - low, rel=1e-3)
    low, high = fit.ranges["head/out"]
    assert 255 * oracle.graph.tensors[oracle.graph.outputs["logits"]].scale >= 0.999 * (high - low)


@pytest.mark.parametrize("heads", [(4, 2), (4, 4), (2, 1)])
def test_every_form_is_the_same_function_in_float(heads: tuple[int, int]) -> None:
    sizes = {"heads": heads[0], "kv_heads": heads[1], "tied_embeddings": False}
    config = config_of("rmsnorm, gated, rotary, grouped", **sizes)
    model = lively(config, seed=6)
    fold_gains(model, config)
    text = np.random.default_rng(6).integers(0, config.vocab_size, (3, config.context)).astype(np.int32)
    exact, kernels = model(text).numpy(), [weight.numpy() for weight in model.trainable_variables]
    reparameterization = Reparameterization(config, 1)
    for variable in reparameterization.variables:
        variable.assign(np.random.default_rng(7).normal(0, 0.2, variable.shape))
    write(model, reparameterization)
    np.testing.assert_allclose(model(text).numpy(), exact, atol=1e-3 * np.abs(exact).max())
    changed = [
        name for name, old in zip(model.trainable_variables, kernels, strict=True) if (name != old).numpy().any()
    ]
    assert len(changed) == 2 + 7 * config.layers, "the embedding, the head and all kernels are written anew"


@pytest.mark.variants(keep=0)
def test_a_stopped_fit_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the very step, in either phase and between them, to the same weights, ranges and history, bit by bit; a stop
    leaves no hook."""
    config = config_of("rmsnorm, gated, rotary, grouped", tied_embeddings=False, layers=1)
    text = np.random.default_rng(5).integers(0, config.vocab_size, (12, config.context)).astype(np.int32)
    monkeypatch.setattr(fit_int, "_REPORT_EVERY", 5)
    step, done = fit_int._Trainer.step, [0]

    def fitted(out: Path, stop: int = 0, sent: int = 0) -> tuple[bytes, Fit]:
        out.mkdir(exist_ok=True)

        def counted(*arguments: Any) -> tuple[float, float]:
            done[0] += 1
            if done[0] == stop:
                os.kill(os.getpid(), sent)
            return step(*arguments)

        monkeypatch.setattr(fit_int._Trainer, "step", counted)
        model = lively(config, seed=5)
        tuning = QatConfig(steps=12, learning_rate=0.01)
        try:
            fit = fit_reparameterization(model, config, tuning, "int8", text, 1, out, lambda *_: None)
        finally:
            assert all(layer.hook is None for layer in model.layers if isinstance(layer, TappedLayer))
        return b"".join(weight.numpy().tobytes() for weight in model.weights), fit

    weights, whole = fitted(tmp_path / "whole")
    assert [point["step"] for point in whole.history] == [5, 10, 12] and done == [12]
    done[0] = 0
    for stop, sent, raised in (
        (2, signal.SIGINT, KeyboardInterrupt),
        (3, signal.SIGTERM, SystemExit),
        (7, signal.SIGINT, KeyboardInterrupt),
    ):
        with pytest.raises(raised):
            fitted(tmp_path / "cut", stop, sent)
        assert [path.name for path in (tmp_path / "cut").iterdir()] == [CHECKPOINT] and done == [stop]
    resumed, fit = fitted(tmp_path / "cut")
    assert done == [12], "no step was done twice"
    assert resumed == weights and fit.history == whole.history and fit.ranges == whole.ranges
    assert fit.key_means.keys() == whole.key_means.keys()
    assert all((fit.key_means[layer] == mean).all() for layer, mean in whole.key_means.items())
