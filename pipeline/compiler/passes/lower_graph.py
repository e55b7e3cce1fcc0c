"""From a graph to kernel calls: each operator is looked up by its kind and its type of activations."""

from __future__ import annotations

from functools import partial

import numpy as np

from pipeline.compiler.encodings.choose import Objective, choose
from pipeline.compiler.fusions.attention import Attention
from pipeline.compiler.fusions.cache_update import KIND as UPDATE
from pipeline.compiler.fusions.registry import FUSED
from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.names import layer_part
from pipeline.compiler.ir.program import SLOTS, Address, CachePart, Constant, Index, Program, Scaled, Value, View
from pipeline.compiler.ir.refusals import refused_together
from pipeline.compiler.lowering import Lowering, parameters
from pipeline.compiler.ops.fully_connected import product_of
from pipeline.compiler.ops.operator import Operator
from pipeline.compiler.ops.registry import OPERATORS
from pipeline.compiler.product import Product
from pipeline.compiler.tied_embedding import find_tied_embeddings
from pipeline.errors import UnsupportedModel
from pipeline.numerics.kv_window import METADATA, SlidingWindow, StridedWindow
from pipeline.numerics.rope import rope_frequencies_q32, rope_scale_q24, sine_table
from pipeline.targets.cores import WeightLayout

__all__ = ["lower_graph"]

_ROTATION = "rotation"


def lower_graph(graph: Graph, layout: WeightLayout, block: int, objective: Objective) -> Program:
    """Lowers the graph to kernel calls.

    Args:
        graph: a graph with its fusions made.
        layout: the order of weights and caches.
        block: tokens of a prompt to process together, if the graph allows it.
        objective: what decides how a product's weights are held.

    Raises:
        UnsupportedModel: scales or shapes that no kernel takes, all of them, named with their tensors.
    """
    ctx = Lowering(graph, layout)
    attentions = [op.fusion for op in graph.ops if isinstance(op.fusion, Attention)]
    program = ctx.program
    program.kv_window = _kv_window(graph, attentions)
    refused: list[UnsupportedModel] = []
    ctx.choices = choose(_products(ctx, refused), layout, objective)
    if objective is not Objective.SPEED:
        ctx.tied = find_tied_embeddings(graph, ctx.choices)
    ctx.targets = _concatenation_targets(graph)
    _place_inputs(ctx, attentions)
    if isinstance(program.kv_window, SlidingWindow):
        _turn(ctx)
    elif program.kv_window:
        slots = np.array(program.kv_window.slots)
        kind = "uint8_t" if slots.max() < 256 else "uint16_t"
        ctx.constant(Constant(SLOTS, kind, slots.astype(np.uint8 if kind == "uint8_t" else np.uint16)))
    _lower_operators(ctx, refused)
    if refused:
        raise refused_together(refused)
    fused = _fused_caches(attentions)
    caches = {graph.inputs[f"{kind}_cache_{layer}"] for kind, layer in _caches(graph)}
    updated = {op.inputs[0] for op in graph.ops if op.kind == UPDATE}
    for kind, layer in _caches(graph):
        if graph.inputs[f"{kind}_cache_{layer}"] not in fused | updated:
            _append_row(ctx, kind, layer)
    if caches and caches == fused:
        # The kernels of int16 take one token: a block would cost memory and gain nothing.
        wide = any(graph.tensors[attention.q].dtype == "INT16" for attention in attentions)
        program.block, program.split_logits_tail = 1 if wide else block, True
    program.outputs = {name: _output(ctx, index) for name, index in graph.outputs.items()}
    if not program.calls:
        raise UnsupportedModel("the .tflite computes nothing", "give a model with an operator that changes values")
    return program


def _operator(graph: Graph, op: Op) -> Operator:
    key = op.kind, graph.dtype_of(op)
    return FUSED.get(key) or OPERATORS[key]


def _products(ctx: Lowering, refused: list[UnsupportedModel]) -> dict[int, Product]:
    """The int8 products by their outputs; what is refused of the others is added."""
    products: dict[int, Product] = {}
    for op in ctx.graph.ops:
        if op.kind == "FULLY_CONNECTED" and ctx.graph.dtype_of(op) == "INT8":
            try:
                products[op.outputs[0]] = product_of(ctx, op)
            except UnsupportedModel as error:
                refused.append(error)
    return products


def _lower_operators(ctx: Lowering, refused: list[UnsupportedModel]) -> None:
    """Lowers all operators but those that are refused, which are added, and what reads them."""
    graph = ctx.graph
    products = {op.outputs[0] for op in graph.ops if op.kind == "FULLY_CONNECTED" and graph.dtype_of(op) == "INT8"}
    missing = products - set(ctx.choices)
    for op in graph.ops:
        if missing & {*op.inputs, *op.outputs}:
            missing.update(op.outputs)
            continue
        operator = _operator(graph, op)
        if operator.deferred:
            ctx.deferred[op.outputs[0]] = partial(operator.lower, ctx, op)
            continue
        try:
            operator.lower(ctx, op)
        except UnsupportedModel as error:
            refused.append(error)
            missing.update(op.outputs)


def _kv_window(graph: Graph, attentions: list[Attention]) -> SlidingWindow | StridedWindow | None:
    """The sliding window that the .tflite says its caches have, if any.

    Raises:
        UnsupportedModel: not all attentions have its mask, or `rotation` is no input of a model without an end.
    """
    window, turned = graph.kv_window, graph.inputs.get(_ROTATION)
    if window is None and turned is None:
        return None
    caches = {graph.inputs[f"{kind}_cache_{layer}"] for kind, layer in _caches(graph)}
    alike = len({graph.tensors[attention.k_cache].columns for attention in attentions}) == 1
    masked = {attention.window for attention in attentions} == {window}
    matrices = turned is not None and graph.tensors[turned].shape[1:] == (2, 2)
    if (
        window is None
        or matrices != isinstance(window, SlidingWindow)
        or not alike
        or not masked
        or caches != _fused_caches(attentions)
    ):
        raise UnsupportedModel(
            "the .tflite has a sliding window in a form that is not supported",
            f"one window for all layers, said in its metadata {METADATA}, the mask of `pipeline.numerics.kv_window`, "
            "without a stride rotary positions with an input `rotation`, and head widths of a multiple of 4 up to 64",
        )
    return window


def _caches(graph: Graph) -> list[tuple[str, int]]:
    """Kind and layer of each cache, in the order in which they lie in memory."""
    layers = sum(name.startswith("k_cache_") for name in graph.inputs)
    return [(kind, layer) for layer in range(layers) for kind in ("k", "v")]


def _fused_caches(attentions: list[Attention]) -> set[int]:
    """Caches of fused attentions, whose unwritten rows are never read."""
    return {cache for attention in attentions for cache in attention.caches}


def _place_inputs(ctx: Lowering, attentions: list[Attention]) -> None:
    graph, program = ctx.graph, ctx.program
    fused = _fused_caches(attentions)
    for kind, layer in _caches(graph):
        tensor = ctx.tensor(graph.inputs[f"{kind}_cache_{layer}"])
        name = layer_part(layer, f"{kind}_cache")
        size = _cache_bytes(tensor) if tensor.index in fused and tensor.dtype == "INT8" else tensor.bytes
        program.cache.append(CachePart(name, size, tensor.zero_point, tensor.index not in fused))
        ctx.views[tensor.index] = View("cache", name, tensor.rows, tensor.columns, tensor.columns, element=tensor.ctype)
    for name, index in graph.inputs.items():
        tensor = ctx.tensor(index)
        if index not in ctx.views and tensor.dtype in ("INT8", "INT16"):
            computed = program.kv_window is not None and name == _ROTATION
            view = ctx.allocate(tensor, _ROTATION if computed else f"input_{len(program.inputs)}")
            if not computed:
                program.inputs[name] = view


def _cache_bytes(tensor: Tensor) -> int:
    """Of a K or V cache whose rows are packed: whole blocks of four."""
    heads, context, head_dim = tensor.shape
    return heads * ((context + 3) // 4 * 4) * head_dim


def _turn(ctx: Lowering) -> None:
    """Computes the rope matrices of the token's position, where the .tflite has them as an input."""
    index = ctx.graph.inputs[_ROTATION]
    view, tensor = ctx.views[index], ctx.tensor(index)
    pairs = tensor.shape[0]
    fields: dict[str, Value] = {
        "rates": ctx.constant(Constant("turn_rates", "uint32_t", rope_frequencies_q32(2 * pairs))),
        "sines": ctx.constant(Constant("sines", "int16_t", sine_table())),
        "pairs": pairs,
        "multiplier": rope_scale_q24(tensor.scale),
        "zero_point": tensor.zero_point,
    }
    kernel = "thimble_turn_s16" if tensor.dtype == "INT16" else "thimble_turn_s8"
    own = parameters("thimble_turn_params", "turn", fields)
    ctx.call(kernel, (Address("turn"), Index.TIME, view), [], [view], [own])


def _concatenation_targets(graph: Graph) -> dict[int, tuple[Tensor, int]]:
    """Inputs of last-axis concatenations that their makers can write in place: tensor → (output, column)."""
    targets: dict[int, tuple[Tensor, int]] = {}
    for op in graph.ops:
        if op.kind != "CONCATENATION":
            continue
        out = graph.tensors[op.outputs[0]]
        last = op.int_option("axis") % max(len(out.shape), 1) == len(out.shape) - 1
        column = 0
        for index in op.inputs:
            producer = graph.producer(index)
            writes_rows = _operator(graph, producer).writes_rows if producer else None
            in_place = producer and writes_rows and writes_rows(graph, producer)
            if last and in_place and graph.reads_alone(index) and op.inputs.count(index) == 1:
                targets[index] = (out, column)
            column += graph.tensors[index].columns
    return targets


def _append_row(ctx: Lowering, kind: str, layer: int) -> None:
    """Writes a new K or V row to its cache, where no fused attention does."""
    cache = ctx.tensor(ctx.graph.inputs[f"{kind}_cache_{layer}"])
    heads, context, head_dim = cache.shape
    row = ctx.contiguous(ctx.graph.outputs[f"{kind}_new_{layer}"])
    source = View(row.space, row.buffer, heads, head_dim, head_dim, row.offset, row.element)
    name, offset = layer_part(layer, f"{kind}_cache"), (Scaled(Index.POSITION, head_dim),)
    ctx.copy(source, View("cache", name, heads, head_dim, context * head_dim, offset, cache.ctype))


def _output(ctx: Lowering, index: int) -> View:
    """Where an output lies: in the arena, contiguous."""
    view = ctx.contiguous(index)
    return view if view.space == "arena" else ctx.copied(index, view)
