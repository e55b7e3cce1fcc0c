"""Weights as a file: arrays, and what they are in words.

Of training, half-precision numbers are the result, not an approximation of it: the stages that come after read them.
Imported weights keep single precision.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from pipeline.errors import ThimbleError
from pipeline.files import atomic_write
from pipeline.recipes.schema import ModelConfig

__all__ = ["StartWeights", "build_from", "save_model", "start_from"]

_TOKEN_AXES = {"embed/table:0": 0, "head/kernel:0": 1}
"""Arrays with a vector for each token, and along which axis."""
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


@dataclass(frozen=True)
class StartWeights:
    """Weights in which a training begins.

    Attributes:
        path: the file.
        token_sources: where the model has other tokens, for each of its ids the file's ids whose mean it begins as, see
            `pipeline.text.transfer`.
    """

    path: Path
    token_sources: Sequence[Sequence[int]] | None = None

    def digest(self) -> int:
        """A number of all that the result depends on."""
        return zlib.crc32(repr(self.token_sources).encode(), zlib.crc32(self.path.read_bytes()))


def start_from(start: StartWeights, model: keras.Model, config: ModelConfig) -> int:
    """Loads those weights of a file that match the model by name and shape, and returns their number; others keep their
    values.

    Weights that several layers share become the mean of what the file has for each of these layers.

    Args:
        start: the file.
        model: whose weights change.
        config: of the model.

    Raises:
        ThimbleError: no such file, a damaged one, or none of its weights fits.
    """
    path = start.path
    arrays = _load(path)
    num_loaded = 0
    for weight in model.trainable_variables:
        if start.token_sources is not None and weight.name in _TOKEN_AXES and weight.name in arrays:
            axis = _TOKEN_AXES[weight.name]
            old, new = _finite(path, weight.name, arrays), weight.numpy()
            if old.shape[1 - axis] == new.shape[1 - axis]:
                weight.assign(_other_tokens(old, new, start.token_sources, axis))
                num_loaded += 1
            continue
        names = [name for name in _sources(weight.name, config) if name in arrays]
        if names and all(arrays[name].shape == tuple(weight.shape) for name in names):
            weight.assign(np.mean([_finite(path, name, arrays) for name in names], axis=0))
            num_loaded += 1
    if not num_loaded:
        raise ThimbleError(
            f"`train.start`: no array of {path} fits the model", "start from weights of a model of the same width"
        )
    return num_loaded


def _other_tokens(old: np.ndarray, new: np.ndarray, sources: Sequence[Sequence[int]], axis: int) -> np.ndarray:
    """The new table, with the means of old rows (columns, for axis 1) where there are any."""
    old, table = np.moveaxis(old, axis, 0), np.moveaxis(new, axis, 0).copy()
    for index, rows in enumerate(sources):
        if rows:
            table[index] = old[list(rows)].mean(axis=0)
    return np.moveaxis(table, 0, axis)


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
