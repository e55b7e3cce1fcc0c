"""`compile_model`, and the order of the compiler's passes."""

from __future__ import annotations

import hashlib
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from pipeline.compiler.backends.c.model import ModelFacts, Packaging, write_model
from pipeline.compiler.backends.records import CallRecord, records_of
from pipeline.compiler.compiled import CompiledModel, Explanation, Layer, StoredProduct
from pipeline.compiler.encodings.choose import Objective
from pipeline.compiler.frontend.check import all_unsupported, check_graph, require_consistent
from pipeline.compiler.frontend.decode_step import require_decode_step
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.fusions.attention import fuse_attentions, missed_attentions
from pipeline.compiler.fusions.cache_update import fuse_cache_updates
from pipeline.compiler.fusions.gate import fuse_gates
from pipeline.compiler.fusions.lookup import fuse_lookups
from pipeline.compiler.fusions.norm import fuse_norms, missed_norms
from pipeline.compiler.fusions.real import fuse_reals
from pipeline.compiler.fusions.registry import FUSED
from pipeline.compiler.fusions.root import fuse_roots
from pipeline.compiler.fusions.rotary import fuse_rotaries
from pipeline.compiler.fusions.table import fuse_tables
from pipeline.compiler.ir.graph import Graph
from pipeline.compiler.ir.program import Call, Program, sum_of
from pipeline.compiler.ir.refusals import refused_together
from pipeline.compiler.ir.verify import graph_contradictions, program_contradictions
from pipeline.compiler.passes.copy_embedding import copy_embedding
from pipeline.compiler.passes.dead_channels import without_dead_channels
from pipeline.compiler.passes.group_products import group_products_by_input
from pipeline.compiler.passes.layer_functions import group_calls
from pipeline.compiler.passes.layer_loop import find_layer_loop
from pipeline.compiler.passes.lower_graph import lower_graph
from pipeline.compiler.passes.name_products import name_products
from pipeline.compiler.passes.place_buffers import buffers_can_alias, place_buffers
from pipeline.compiler.passes.split_tail import split_logits_tail
from pipeline.errors import ThimbleError, UnsupportedModel
from pipeline.files import VERSION_DIGITS
from pipeline.numerics.kv_window import StridedWindow
from pipeline.targets.cores import WeightLayout

__all__ = [
    "GRAPH_PASSES",
    "PREFILL_BLOCK",
    "PROGRAM_PASSES",
    "call_records",
    "compile_decode_step",
    "compile_model",
    "explain",
]

PREFILL_BLOCK = 2
"""How many tokens of a prompt are taken at once: each weight is read once for all of them."""

GRAPH_PASSES: tuple[Callable[[Graph], Graph], ...] = (
    fuse_cache_updates,
    fuse_reals,
    without_dead_channels,
    fuse_roots,
    group_products_by_input,
    name_products,  # goes the way from products to attentions, which the next makes shorter
    copy_embedding,  # counts readers, which the next join
    fuse_attentions,
    fuse_rotaries,
    fuse_lookups,
    fuse_tables,
    fuse_norms,  # of tables
    fuse_gates,  # of a table and a product that is no norm's
)
"""From the .tflite's graph to the one that is lowered."""

PROGRAM_PASSES: tuple[Callable[[Program], Program], ...] = (split_logits_tail, group_calls)
"""From the lowered program to the one that is placed in memory, and whose layers may become one loop."""


def compile_decode_step(
    tflite: bytes,
    out: Path,
    packing: WeightLayout = WeightLayout.INTERLEAVED_2,
    aim: Objective = Objective.BALANCED,
    packaging: Packaging | None = None,
) -> CompiledModel:
    """`compile_model` for a .tflite of anybody's making: what is no decode step is refused, since the runtime could
    not drive it.

    Raises:
        UnsupportedModel: it lacks inputs or outputs, or a table is too short; all else that is not supported is told
            with it.
        ThimbleError: as `compile_model`.
    """
    graph = read_tflite(tflite)
    require_consistent(graph)
    try:
        require_decode_step(graph)
    except UnsupportedModel as error:
        raise refused_together([error, *all_unsupported(graph)]) from None
    return compile_model(tflite, out, packing, aim=aim, packaging=packaging)


def compile_model(
    tflite: bytes,
    out: Path,
    packing: WeightLayout = WeightLayout.INTERLEAVED_2,
    block: int = PREFILL_BLOCK,
    aim: Objective = Objective.BALANCED,
    packaging: Packaging | None = None,
) -> CompiledModel:
    """Writes `model.c`, `model.h` and `model_data.h` into `out`.

    Args:
        packing: the order of weights and caches, which suits a core; the C gives the same bytes on every machine.
        block: tokens of a prompt that are processed together, at least 1; the memory of activations grows by this
            factor.
        aim: what to optimize where a product's weights have several exact encodings.
        packaging: another name than `model`, and what else the descriptor says.

    Raises:
        ThimbleError: a damaged .tflite, or one that contradicts itself.
        UnsupportedModel: operators, types, shapes, options or scales that are not supported, all that are.
    """
    graph = read_tflite(tflite)
    try:
        check_graph(graph)
        version = hashlib.sha256(tflite).hexdigest()[:VERSION_DIGITS]
        return _compile(graph, version, out, packing, block, aim, packaging)
    except ThimbleError:
        raise
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        raise ThimbleError(
            f"a fault of Thimble: {type(error).__name__} while compiling the .tflite ({error}), at {where}",
            "report it with the .tflite",
        ) from error


def explain(tflite: bytes) -> Explanation:
    """What fusions make of a .tflite's operators, and what they nearly made.

    Raises:
        ThimbleError: as `compile_model`, but for scales.
    """
    graph = read_tflite(tflite)
    check_graph(graph)
    missed: dict[int, str] = {}
    fused = graph
    for graph_pass in GRAPH_PASSES:
        if graph_pass is fuse_attentions:
            missed |= {index: f"attention: {reason}" for index, reason in missed_attentions(fused).items()}
        if graph_pass is fuse_norms:
            missed |= {index: f"norm: {reason}" for index, reason in missed_norms(fused).items()}
        fused = graph_pass(fused)
    kinds, made_by_fusion = Counter(op.kind for op in fused.ops), {kind for kind, _ in FUSED}
    return Explanation(
        dict(sorted(Counter(op.kind for op in graph.ops).items())),
        {kind: count for kind, count in sorted(kinds.items()) if kind in made_by_fusion},
        {kind: count for kind, count in sorted(kinds.items()) if kind not in made_by_fusion},
        tuple(f"{fused.tensors[index].name!r} is no {reason}" for index, reason in missed.items()),
    )


def call_records(
    tflite: bytes,
    packing: WeightLayout = WeightLayout.INTERLEAVED_2,
    block: int = PREFILL_BLOCK,
    aim: Objective = Objective.BALANCED,
) -> list[CallRecord]:
    """The kernel calls of a model that compiles, in order, as `compile_model` with the same arguments prints them."""
    graph = read_tflite(tflite)
    check_graph(graph)
    return list(records_of(_program(graph, packing, block, aim)[1]))


def _program(graph: Graph, packing: WeightLayout, block: int, aim: Objective) -> tuple[Graph, Program]:
    """The graph with its fusions made, and what it is lowered to."""
    for graph_pass in GRAPH_PASSES:
        graph = graph_pass(graph)
        _require(graph_contradictions(graph), graph_pass)
    program = lower_graph(graph, packing, block, aim)
    _require(program_contradictions(program), lower_graph)
    for program_pass in PROGRAM_PASSES:
        program = program_pass(program)
        _require(program_contradictions(program), program_pass)
    return graph, program


def _compile(
    graph: Graph,
    version: str,
    out: Path,
    packing: WeightLayout,
    block: int,
    aim: Objective,
    packaging: Packaging | None,
) -> CompiledModel:
    graph, program = _program(graph, packing, block, aim)
    plan = place_buffers(program)
    layer_loop = find_layer_loop(program)
    if layer_loop is not None and buffers_can_alias(program, layer_loop.same):
        shared = place_buffers(program, layer_loop.same)
        layer_loop, plan = (layer_loop, shared) if shared.bytes <= plan.bytes else (None, plan)
    else:
        layer_loop = None
    facts = _facts(graph, version, program)
    names = write_model(program, layer_loop, plan, facts, out, packaging)
    groups = [list(members) for _, members in groupby(program.calls, lambda call: call.group)]
    layers = tuple(_layer(*named, members) for named, members in zip(names, groups, strict=True))
    constants = program.constants.values()
    views = {**program.inputs, **program.outputs}
    return CompiledModel(
        vocab=facts.vocab,
        context=facts.context,
        macs=sum(layer.macs for layer in layers),
        weight_bytes=sum(constant.values.nbytes for constant in constants if constant.weights),
        raw_weight_bytes=sum(constant.raw_bytes for constant in constants if constant.weights),
        table_bytes=sum(constant.values.nbytes for constant in constants if not constant.weights),
        kv_cache_bytes=sum(part.bytes for part in program.cache),
        arena_bytes=plan.bytes,
        largest_live_set=plan.largest_live_set,
        block=program.block,
        layers=layers,
        arena_places={
            name: plan.offsets[view.name] + sum_of(view.offset) * (2 if view.element == "int16_t" else 1)
            for name, view in views.items()
            if view.space == "arena"
        },
        products=tuple(_stored(call) for call in program.calls if call.form is not None),
    )


def _require(contradictions: Sequence[str], made_by: Callable[..., object]) -> None:
    """Stops where a pass left something wrong: that is a fault of ours, and shows where it was made."""
    assert not contradictions, f"after {made_by.__name__}: {'; '.join(contradictions[:3])}"


def _stored(call: Call) -> StoredProduct:
    form, plain = call.form, call.plain
    assert form is not None and plain is not None
    return StoredProduct(
        call.product, form.name, form.weight_bytes, form.instructions, plain.weight_bytes, plain.instructions
    )


def _layer(name: str, function: str, calls: list[Call]) -> Layer:
    kinds = {call.kind for call in calls}
    kind = next((k for k in ("attention", "fully_connected", "matmul", "norm") if k in kinds), "elementwise")
    return Layer(name, function, kind, sum(call.macs for call in calls), sum(call.weight_bytes for call in calls))


def _facts(graph: Graph, version: str, program: Program) -> ModelFacts:
    logits, cache = graph.outputs.get("logits"), graph.inputs.get("k_cache_0")
    if logits is None or cache is None:
        return ModelFacts(version, 0, 0)
    tensor = graph.tensors[logits]
    size = 2 if tensor.dtype == "INT16" else 1
    context = (
        program.kv_window.context if isinstance(program.kv_window, StridedWindow) else graph.tensors[cache].shape[1]
    )
    return ModelFacts(version, tensor.columns, context, size, tensor.zero_point, tensor.scale)
