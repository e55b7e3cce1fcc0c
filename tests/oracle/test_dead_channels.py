"""Channels and heads whose weights are all zero are not computed, and the logits stay the .tflite's to the byte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.compiler import CompiledModel, WeightLayout, compile_model
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.fusions.attention import find_attentions
from pipeline.compiler.ir.graph import Graph
from pipeline.compiler.passes.dead_channels import without_dead_channels
from pipeline.quantize.tflite_file import read_model, schema, write_model
from pipeline.verification.host_engine import HostEngine
from pipeline.verification.oracle import Oracle

pytestmark = pytest.mark.slow


def with_zero_columns(tflite: bytes, columns: dict[int, Sequence[int]]) -> bytes:
    """The same .tflite with these columns of FULLY_CONNECTED weights zero, by the place of the op among those."""
    model: Any = read_model(tflite)
    graph = model.subgraphs[0]
    products = [
        op
        for op in graph.operators
        if model.operatorCodes[op.opcodeIndex].builtinCode == schema.BuiltinOperator.FULLY_CONNECTED
    ]
    for index, zero in columns.items():
        tensor = graph.tensors[products[index].inputs[1]]
        values = np.array(model.buffers[tensor.buffer].data, np.uint8).view(np.int8).reshape(tensor.shape).copy()
        values[:, list(zero)] = 0
        model.buffers[tensor.buffer].data = values.view(np.uint8).reshape(-1)
    return write_model(model)


def products(graph: Graph) -> list[tuple[int, int]]:
    """(rows, depth) of each product."""
    return [graph.tensors[op.inputs[1]].shape for op in graph.ops if op.kind == "FULLY_CONNECTED"]  # type: ignore[misc]


def down_and_out(tflite: bytes) -> tuple[list[int], list[int]]:
    """The places of the feed-forward's last products and of those after attention, layer by layer."""
    graph = read_tflite(tflite)
    order = [op for op in graph.ops if op.kind == "FULLY_CONNECTED"]
    down = [index for index, op in enumerate(order) if graph.tensors[op.inputs[1]].shape[1] == 44]
    out = []
    for attention in find_attentions(graph):
        tensor = attention.out
        while graph.consumers(tensor)[0].kind != "FULLY_CONNECTED":
            tensor = graph.consumers(tensor)[0].outputs[0]
        out.append(order.index(graph.consumers(tensor)[0]))
    return down, out


def assert_equal(tflite: bytes, folder: Path, packing: WeightLayout) -> CompiledModel:
    model = folder / f"model_{packing}"
    model.mkdir()
    compiled = compile_model(tflite, model, packing)
    engine, oracle = HostEngine(model, folder / f"b_{packing}", compiled.vocab, compiled.context), Oracle(tflite)
    for token in np.random.default_rng(2).integers(0, oracle.vocab, oracle.context):
        assert (engine.step(int(token)) == oracle.step(int(token))).all()
    return compiled


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("packing", list(WeightLayout))
def test_dead_channels_and_heads_go(decode_step: bytes, packing: WeightLayout, tmp_path: Path) -> None:
    (down, other_down), (out, _) = down_and_out(decode_step)
    dense = read_tflite(decode_step)
    count, group, width = dense.tensors[find_attentions(dense)[0].q].shape
    heads = range(group * width)  # the first K/V head's queries
    channels = [*range(0, 44, 3), 43]
    tflite = with_zero_columns(decode_step, {down: channels, out: heads, other_down: [5]})
    graph = without_dead_channels(read_tflite(tflite))
    left = products(graph)
    assert left[down] == (32, 44 - len(channels))
    assert left[other_down] == (32, 43)
    assert left[out] == (32, (count - 1) * group * width)
    ups = left[down - 1] if left[down - 1][0] != 32 else left[down - 2]
    assert ups == (44 - len(channels), 32)
    compiled = assert_equal(tflite, tmp_path, packing)
    (tmp_path / "dense").mkdir()
    whole = compile_model(decode_step, tmp_path / "dense", packing)
    assert compiled.kv_cache_bytes == whole.kv_cache_bytes - whole.kv_cache_bytes // 2 // count
    assert compiled.macs <= whole.macs - 64 * len(channels)
    assert compiled.weight_bytes < whole.weight_bytes - 20 * len(channels)


def test_what_is_all_dead_keeps_one(decode_step: bytes, tmp_path: Path) -> None:
    (down, _), (out, _) = down_and_out(decode_step)
    assert_equal(
        with_zero_columns(decode_step, {down: range(44), out: range(32)}), tmp_path, WeightLayout.INTERLEAVED_2
    )


def test_half_a_head_stays(decode_step: bytes) -> None:
    _, (out, _) = down_and_out(decode_step)
    graph = read_tflite(with_zero_columns(decode_step, {out: range(3)}))
    assert without_dead_channels(graph).tensors == graph.tensors


def test_a_dense_graph_stays_as_it_is(decode_step: bytes) -> None:
    graph = read_tflite(decode_step)
    assert without_dead_channels(graph) == graph
