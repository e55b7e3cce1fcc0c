"""Decode steps made by TensorFlow's converter: untrained decoders with weights from NumPy, recipes, and stories260K."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tf_keras as keras
import yaml
from rich.console import Console

from pipeline.importers.recipe import ImportOptions, import_model
from pipeline.network.decoder import build_decoder
from pipeline.network.key_centering import rope_offset
from pipeline.quantize.ptq import quantize
from pipeline.recipes.load import Recipe, load_recipe
from pipeline.recipes.schema import EvaluateConfig, ModelConfig
from pipeline.resources import ROOT
from pipeline.stages.registry import run_recipe
from pipeline.training.loop import limit_threads
from pipeline.workflow.runner import RunOptions
from tests.support.shared_stages import shared_stages

__all__ = ["decoder_tflite", "imported_tflite", "recipe_tflite"]

_BUILD = tempfile.TemporaryDirectory(prefix="thimble-golden-")


def decoder_tflite(
    sizes: Mapping[str, object],
    seed: int,
    activations: str = "int8",
    weights: str = "int8",
    ranges: str = "minmax",
    smooth: bool = False,
) -> bytes:
    """The .tflite of an untrained decoder.

    Args:
        sizes: as `ModelConfig.from_mapping` takes them.
        seed: of weights, gains, biases and calibration tokens.
        activations: int8 or int16.
        weights: int8 or int4.
        ranges: minmax or fitted.
        smooth: whether keys are held without a mean, which is random here.
    """
    _start()
    config = ModelConfig.from_mapping(sizes)
    random = np.random.default_rng(seed)
    model = build_decoder(config)
    for variable in model.trainable_variables:
        shape = tuple(variable.shape)
        if "gamma" in variable.name:
            values = random.uniform(0.6, 1.4, shape)
        elif len(shape) < 2:
            values = random.uniform(-0.4, 0.4, shape)
        else:
            values = random.normal(0, 1, shape) * (2 / shape[0] ** 0.5 if "embed" not in variable.name else 0.3)
        variable.assign(values.astype(np.float32))
    calibration = [random.integers(0, config.vocab_size, config.context).tolist() for _ in range(3)]
    means = {}
    if smooth:
        slow = rope_offset(config.context, config.rope_frequencies).slow
        shape = (config.kv_heads, 2, slow.size)
        means = {f"layer{layer}": random.uniform(-2, 2, shape) * slow for layer in range(config.layers)}
    return quantize(model, config, calibration, activations, weights, ranges, None, means or None)


def recipe_tflite(name: str, **sections: Mapping[str, object]) -> bytes:
    """The .tflite that the stages make of a shipped recipe, with its shipped weights.

    Args:
        name: of a folder in models.
        sections: keys of the recipe's sections that are replaced.
    """
    recipe = load_recipe(ROOT / "models" / name / "recipe.yaml")
    replaced = {key: getattr(recipe, key).replace(**values) for key, values in sections.items()}
    return _quantized(recipe.replace(**replaced))


def imported_tflite(checkpoint: Path, tokenizer: Path, name: str, options: ImportOptions) -> bytes:
    """The .tflite of a llama2.c checkpoint, calibrated with little text of its own."""
    _start()
    recipe = Path(_BUILD.name) / f"{name}.yaml"
    import_model(checkpoint, tokenizer, recipe, options, Console(quiet=True))
    sections = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    sections["task"] |= {"calibration_tokens": 512, "measured_tokens": 256, "fitting_tokens": 512}
    recipe.write_text(yaml.safe_dump(sections, allow_unicode=True), encoding="utf-8")
    return _quantized(load_recipe(recipe))


def _quantized(recipe: Recipe) -> bytes:
    _start()
    few = recipe.replace(evaluate=EvaluateConfig(host_sentences=1, device_sentences=1))
    own = Path(_BUILD.name)
    options = RunOptions(build=own / "build", until="quantize", shared=shared_stages(own / "shared"))
    workspace = run_recipe(few, options, Console(quiet=True))
    return (workspace.stage("quantize") / "model.tflite").read_bytes()


def _start() -> None:
    """The same state whatever ran before: sums in one order, names without counters."""
    limit_threads()
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
