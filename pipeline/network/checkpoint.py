"""Weights as a file: arrays, and what they are in words.

Of training, half-precision numbers are the result, not an approximation of it: the stages that come after read them.
Imported weights keep single precision.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from pipeline.errors import ThimbleError
from pipeline.files import atomic_write
from pipeline.recipes.schema import ModelConfig

__all__ = ["build_from", "save_model", "start_from"]

_REMEDY = "make it again: run the `train` stage with --force --retrain"


def save_model(path: Path, model: keras.Model, metadata: Mapping[str, Any], exact: bool = False) -> None:
    """Writes the model's trainable weights as float16 (`exact`: float32), and the metadata as JSON; renamed into place
    when whole."""
    kind = np.float32 if exact else np.float16
    arrays = {weight.name: weight.numpy().astype(kind) for weight in model.trainable_variables}
    with atomic_write(path) as partial:
        np.savez_compressed(partial, metadata=np.array(json.dumps(metadata, sort_keys=True)), **arrays)


def build_from(path: Path, config: ModelConfig, dropout: float = 0.0) -> keras.Model:
    """The training model with the file's weights.

    Raises:
        ThimbleError: no such file, a damaged one, weights of another model, or numbers that are none.
    """
    from pipeline.network.decoder import build_decoder

    arrays = _load(path)
    model = build_decoder(config, dropout)
    for weight in model.trainable_variables:
        if weight.name not in arrays or arrays[weight.name].shape != tuple(weight.shape):
            stored_shape = arrays[weight.name].shape if weight.name in arrays else "nothing"
            raise ThimbleError(
                f"{path} holds another model: {weight.name} is {stored_shape}, the recipe wants {tuple(weight.shape)}",
                _REMEDY,
            )
        weight.assign(_finite(path, weight.name, arrays))
    return model


def start_from(path: Path, model: keras.Model, config: ModelConfig) -> int:
    """Loads those weights of a file that match the model by name and shape, and returns their number; others keep their
    values.

    Weights that several layers share become the mean of what the file has for each of these layers.

    Raises:
        ThimbleError: no such file, a damaged one, or none of its weights fits.
    """
    arrays = _load(path)
    num_loaded = 0
    for weight in model.trainable_variables:
        names = [name for name in _sources(weight.name, config) if name in arrays]
        if names and all(arrays[name].shape == tuple(weight.shape) for name in names):
            weight.assign(np.mean([_finite(path, name, arrays) for name in names], axis=0))
            num_loaded += 1
    if not num_loaded:
        raise ThimbleError(
            f"`train.start`: no array of {path} fits the model", "start from weights of a model of the same width"
        )
    return num_loaded


def _sources(name: str, config: ModelConfig) -> list[str]:
    """The names that a weight has in a model without shared layers."""
    match = re.fullmatch(r"layer(\d+)_(.*)", name)
    if match is None or config.shared_layers == 1:
        return [name]
    first = int(match[1]) * config.shared_layers
    return [f"layer{first + i}_{match[2]}" for i in range(config.shared_layers)]


def _finite(path: Path, name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    values: np.ndarray = arrays[name].astype(np.float32)
    if not np.isfinite(values).all():
        raise ThimbleError(f"{path} is damaged: {name} holds numbers that are not finite", _REMEDY)
    return values


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        data = np.load(path, allow_pickle=False)
        if not isinstance(data, np.lib.npyio.NpzFile):
            raise ValueError("not an archive of arrays")
        with data:
            arrays = {name: data[name] for name in data.files}
        if not isinstance(json.loads(str(arrays["metadata"])), dict):
            raise ValueError("its metadata is no mapping")
        return arrays
    except FileNotFoundError:
        raise ThimbleError(f"no weights at {path}", "run the `train` stage") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ThimbleError(f"the weights {path} are damaged: {error}", _REMEDY) from None
