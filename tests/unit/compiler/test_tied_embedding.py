"""A look-up's table as a function of a product's weights: equal everywhere, or not taken."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.compiler.encodings.choose import Objective, choose
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.ir.graph import Graph
from pipeline.compiler.product import Product
from pipeline.compiler.tied_embedding import FACTOR_BITS, TiedEmbedding, find_tied_embeddings
from pipeline.targets.cores import WeightLayout
from tests.support.strategies import int8_values
from tests.support.tied_tables import TiedTables, tied_model, tied_tables


def found(tables: TiedTables) -> TiedEmbedding | None:
    graph = read_tflite(tied_model(tables))
    tied = find_tied_embeddings(graph, choose({_logits(graph): _product(tables)}, *_CHOICE))
    assert set(tied) <= {graph.outputs["row"]}
    return tied.get(graph.outputs["row"])


_CHOICE = WeightLayout.INTERLEAVED_2, Objective.BALANCED


def _logits(graph: Graph) -> int:
    return graph.outputs["logits"]


def _product(tables: TiedTables) -> Product:
    rows = len(tables.weights)
    return Product(tables.weights, None, np.full(rows, 1 << 30, np.int32), np.full(rows, 8, np.int64))


def computed(tied: TiedEmbedding, weights: NDArray[np.int8]) -> NDArray[np.int64]:
    """The table, by the formula that the kernels have."""
    factors = tied.row_scales.astype(np.int64)[:, None] * tied.column_scales >> 15
    assert np.abs(factors).max() < 1 << 15
    bits = np.unpackbits(tied.corrections, axis=2, bitorder="little").astype(np.int64)
    counted: NDArray[np.int64] = (bits << np.arange(tied.planes)[:, None]).sum(axis=1)
    table: NDArray[np.int64] = tied.base + (weights * factors >> FACTOR_BITS) + counted
    return table


@pytest.mark.parametrize("zero_point", [0, -41, 49])
@pytest.mark.parametrize(("rows", "columns", "gains"), [(300, 16, (1.2, 1.9)), (97, 64, (0.6, 2.0)), (1280, 8, (1, 1))])
def test_it_is_the_table(rows: int, columns: int, gains: tuple[float, float], zero_point: int) -> None:
    tables = tied_tables(rows, columns, rows, gains, zero_point)
    tied = found(tables)
    assert tied is not None
    assert (computed(tied, tables.weights) == tables.embedding).all()
    assert (tied.row_scales >= 0).all()


def test_a_bit_tells_on_which_side_of_a_factor_below_one() -> None:
    tied = found(tied_tables(300, 32, 5, zero_point=-49))
    assert tied is not None
    assert tied.planes == 1
    assert tied.bytes == 300 * (2 + 32 // 8) + 2 * 32


def test_values_that_were_cut_off_and_a_column_of_zeros() -> None:
    tables = tied_tables(300, 32, 7)
    embedding, weights = tables.embedding.copy(), tables.weights.copy()
    embedding[np.unravel_index(np.argmax(np.abs(embedding)), embedding.shape)] = -128
    embedding[:, 5], weights[:, 5] = 0, 0
    changed = dataclasses.replace(tables, embedding=embedding, weights=weights)
    tied = found(changed)
    if tied is not None:  # a value that is far off costs planes, and is never wrong
        assert (computed(tied, weights) == embedding).all()
    without = tables.embedding.copy()
    without[:, 5] = 0
    tied = found(dataclasses.replace(tables, embedding=without, weights=weights))
    assert tied is not None
    assert (computed(tied, weights) == without).all()


def test_a_single_value_that_is_far_off_is_kept() -> None:
    tables = tied_tables(300, 32, 9)
    embedding = tables.embedding.copy()
    embedding[11, 3] += 40
    assert found(dataclasses.replace(tables, embedding=embedding)) is None


@pytest.mark.parametrize(
    "tables",
    [
        pytest.param(dataclasses.replace(tied_tables(300, 32, 1), embedding=int8_values(1, (300, 32))), id="untied"),
        pytest.param(tied_tables(300, 12, 1), id="no multiple of eight columns"),
        pytest.param(tied_tables(20, 16, 1), id="too small to pay"),
        pytest.param(
            dataclasses.replace(tied_tables(300, 32, 1), weights=np.zeros((300, 32), np.int8)), id="no weights"
        ),
    ],
)
def test_other_tables_stay(tables: TiedTables) -> None:
    assert found(tables) is None


def test_weights_that_are_no_plain_rows_serve_nothing_else() -> None:
    tables = tied_tables(300, 32, 1)
    graph = read_tflite(tied_model(tables))
    chosen = choose({_logits(graph): _product(tables)}, *_CHOICE)
    packed = {
        key: choice._replace(form=dataclasses.replace(choice.form, packing=None)) for key, choice in chosen.items()
    }
    assert find_tied_embeddings(graph, packed) == {}
