"""The two tables of a tied embedding, as a converter rounds them, and a graph that has both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.support.build_model import ModelBuilder
from tests.support.strategies import Quantization

__all__ = ["TiedTables", "tied_model", "tied_tables"]


@dataclass(frozen=True)
class TiedTables:
    """int8 [rows, columns]: `embedding` with one scale, `weights` with one for each row."""

    embedding: NDArray[np.int8]
    quantization: Quantization
    weights: NDArray[np.int8]
    scales: NDArray[np.float32]


def tied_tables(
    rows: int, columns: int, seed: int, gains: tuple[float, float] = (1.2, 1.9), zero_point: int = 0
) -> TiedTables:
    """Random rows of different sizes, rounded as they are, and with a gain in each column, some of them negative; one
    row is zero."""
    random = np.random.default_rng(seed)
    real = random.normal(0, 1, (rows, columns)) * random.uniform(0.3, 1, (rows, 1))
    real[seed % rows] = 0
    product = real * random.uniform(*gains, columns) * np.where(np.arange(columns) % 5 == 4, -1, 1)
    step = np.float32(np.abs(real).max() / (127 - abs(zero_point)))
    embedding = np.clip(np.round(real / step) + zero_point, -128, 127)
    scales = (np.maximum(np.abs(product).max(axis=1), 1e-3) / 127).astype(np.float32)
    weights = np.round(product / scales[:, None])
    return TiedTables(embedding.astype(np.int8), Quantization(float(step), zero_point), weights.astype(np.int8), scales)


def tied_model(tables: TiedTables) -> bytes:
    """A look-up by `token`, whose row is the output `row`, and the product of an input `x`, which is `logits`."""
    rows, columns = tables.weights.shape
    model = ModelBuilder()
    token, x = model.input("token", (1,), dtype="INT32"), model.input("x", (1, columns), 0.03, 5)
    table = model.tensor((rows, columns), *tables.quantization.pair, data=tables.embedding)
    row = model.tensor((1, columns), *tables.quantization.pair)
    model.op("GATHER", [table, token], [row], axis=0)
    weights = model.tensor((rows, columns), tables.scales.tolist(), data=tables.weights)
    bias = model.tensor((rows,), (tables.scales * np.float32(0.03)).tolist(), data=np.arange(rows), dtype="INT32")
    logits = model.tensor((1, rows), 0.08, -3)
    model.op("FULLY_CONNECTED", [x, weights, bias], [logits])
    return model.bytes({"row": row, "logits": logits})
