"""What other programs write into a .tflite is computed as TensorFlow Lite Micro computes it, or refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.errors import ThimbleError
from tests.support.changed_tflite import changed, every_operator, one_product
from tests.support.run_model import Workbench

FOLDER = os.environ.get("THIMBLE_FOREIGN_TFLITE", "")
FILES = sorted(Path(FOLDER).glob("*.tflite")) if FOLDER else []
REFUSED = {"04", "06", "10", "16", "18", "22", "24", "26", "30"}
"""Of a folder of files by number those that are refused, by name."""


def inputs_of(tflite: bytes) -> dict[str, np.ndarray]:
    """Values of each input."""
    graph, random = read_tflite(tflite), np.random.default_rng(1)
    values = {}
    for name, index in graph.inputs.items():
        tensor = graph.tensors[index]
        dtype = np.dtype(tensor.dtype.lower())
        high = 3 if dtype == np.int32 else np.iinfo(dtype).max
        values[name] = random.integers(0 if high == 3 else -high, high, tensor.shape).astype(dtype)
    return values


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_of_others(bench: Workbench, path: Path) -> None:
    tflite = path.read_bytes()
    if path.stem[:2] in REFUSED:
        with pytest.raises(ThimbleError) as caught:
            bench.build(tflite)
        assert "damaged" not in caught.value.what and "fault" not in caught.value.what
    else:
        bench.check(tflite, inputs_of(tflite))


def test_every_operator_at_once(bench: Workbench) -> None:
    tflite, _ = every_operator()
    bench.check(tflite, inputs_of(tflite))


def _column(model: Any) -> None:
    model.subgraphs[0].tensors[0].shape = [8, 1]


def _text_behind(tflite: bytes) -> bytes:
    return tflite + b"PK\x03\x04" + bytes(200)


def _name_not_utf8(model: Any) -> None:
    model.subgraphs[0].tensors[1].name = b"\xff\xfe\x00"


def _bias_of_another_scale(model: Any) -> None:
    """Which does not matter where each row has a scale."""
    model.subgraphs[0].tensors[2].quantization.scale = [0.5] * 6


def _no_signature(model: Any) -> None:
    model.signatureDefs = []


@pytest.mark.parametrize("change", [_column, _name_not_utf8, _bias_of_another_scale, _no_signature])
@pytest.mark.parametrize("dtype", ["INT8", "INT16"])
def test_what_does_not_matter(bench: Workbench, change: Callable[[Any], None], dtype: str) -> None:
    tflite = _text_behind(changed(one_product(dtype), change))
    bench.check(tflite, inputs_of(tflite))
