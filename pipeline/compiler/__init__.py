"""From a full-integer .tflite to C.

The flow: `reader` (bytes → `graph`), `dead_channels` (what pruned weights do not read goes), `patterns` (what can be
fused), `lower` and `lower_s16` (graph → the kernel calls of a `program`), `schedule` (the part that only logits need),
`layers` (calls → layer functions), `repeated` (layers that are alike → one loop), `memory_plan` (buffers → offsets),
`emit` (program → C). `arithmetic` and `arithmetic_s16` hold what each op computes, `packing` and `packing_s16` the
weights' order, `forms` what sparse and small weights allow, with `block_sparse`, `nm_sparse` and `int4`. Nothing here
imports TensorFlow.
"""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipeline.compiler.dead_channels import without_dead_channels
from pipeline.compiler.emit import ModelFacts, emit
from pipeline.compiler.forms import Objective
from pipeline.compiler.graph import Graph
from pipeline.compiler.layers import group_calls
from pipeline.compiler.lower import lower
from pipeline.compiler.program import Call, Program
from pipeline.compiler.reader import read_tflite
from pipeline.compiler.repeated import find_layer_loop
from pipeline.compiler.schedule import buffers_can_alias, place_buffers, split_logits_tail
from pipeline.errors import ThimbleError
from pipeline.numerics.kv_window import StridedWindow
from pipeline.targets.cores import WeightLayout, packing_of_core

__all__ = [
    "PREFILL_BLOCK",
    "CompiledModel",
    "Layer",
    "Objective",
    "StoredProduct",
    "WeightLayout",
    "compile_model",
    "packing_of_core",
]

PREFILL_BLOCK = 2
"""How many tokens of a prompt are taken at once: each weight is read once for all of them."""


@dataclass(frozen=True)
class Layer:
    """One layer: `function` is its C function, which may serve several; `kind` is fully_connected, attention, norm,
    matmul or elementwise; `macs` of attention are those at half the context."""

    name: str
    function: str
    kind: str
    macs: int
    weight_bytes: int


@dataclass(frozen=True)
class StoredProduct:
    """How a matrix product's weights are held: `form` as `forms.Form` names it, its bytes and the instructions that a
    token's product takes by count, and those of the plain form."""

    name: str
    form: str
    weight_bytes: int
    instructions: int
    plain_weight_bytes: int
    plain_instructions: int


@dataclass(frozen=True)
class CompiledModel:
    """Facts about the generated C. Bytes: `weight_bytes` of matrices and embeddings, `raw_weight_bytes` of these
    without packing and padding, `table_bytes` of all other constants, `arena_bytes` of activations, of which
    `largest_live_set` are alive at once, both for `block` tokens of a prompt. `arena_places` gives the offset in the
    arena of each input and output of a graph that is no decode step.
    """

    vocab: int
    context: int
    macs: int
    weight_bytes: int
    raw_weight_bytes: int
    table_bytes: int
    kv_cache_bytes: int
    arena_bytes: int
    largest_live_set: int
    block: int
    layers: tuple[Layer, ...]
    arena_places: dict[str, int]
    products: tuple[StoredProduct, ...] = ()

    @property
    def forms(self) -> str:
        """Describes the compressed weights; empty where all are plain."""
        stored = [product for product in self.products if product.form not in list(WeightLayout)]
        if not stored:
            return ""
        counts = Counter(product.form for product in stored)
        which = " and ".join(f"{count} in {form}" for form, count in sorted(counts.items()))
        return (
            f"weights of {len(self.products)} products: {which}; "
            f"{sum(p.weight_bytes for p in self.products):,} bytes "
            f"instead of {sum(p.plain_weight_bytes for p in self.products):,}, "
            f"about {sum(p.instructions for p in self.products):,} instructions a token "
            f"instead of {sum(p.plain_instructions for p in self.products):,}"
        )


def compile_model(
    tflite: bytes,
    out: Path,
    packing: WeightLayout = WeightLayout.INTERLEAVED_2,
    block: int = PREFILL_BLOCK,
    aim: Objective = Objective.BALANCED,
) -> CompiledModel:
    """Writes `model.c`, `model.h`, `model_data.c` and `model_data.h` into `out`.

    Args:
        packing: the order of weights and caches, which suits a core; the C gives the same bytes on every machine.
        block: tokens of a prompt that are processed together, at least 1; the memory of activations grows by this
            factor.
        aim: what to optimize where a product's weights have several exact encodings.

    Raises:
        ThimbleError: a damaged .tflite, or an op, type or shape that is not supported.
    """
    graph = read_tflite(tflite)
    try:
        return _compile(graph, out, packing, block, aim)
    except ThimbleError:
        raise
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        # The .tflite could be read, but is not validated: contradictions in it, and our own mistakes, show anywhere.
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        raise ThimbleError(
            f"a fault of Thimble: {type(error).__name__} while compiling the .tflite ({error}), at {where}",
            "report it with the .tflite; if another program wrote or changed the file, it may contradict itself: "
            "make it again with the `quantize` stage and --force",
        ) from error


def _compile(graph: Graph, out: Path, packing: WeightLayout, block: int, aim: Objective) -> CompiledModel:
    graph = without_dead_channels(graph)
    program = lower(graph, packing, block, aim)
    calls = group_calls(split_logits_tail(program.calls, program.block) if program.split_logits_tail else program.calls)
    plan = place_buffers(program, calls)
    layer_loop = find_layer_loop(program, calls)
    if layer_loop is not None and buffers_can_alias(program, calls, layer_loop.same):
        shared = place_buffers(program, calls, layer_loop.same)
        layer_loop, plan = (layer_loop, shared) if shared.bytes <= plan.bytes else (None, plan)
    else:
        layer_loop = None
    facts = _facts(graph, program)
    names = emit(program, calls, layer_loop, plan, facts, out)
    groups = [list(members) for _, members in groupby(calls, lambda call: call.group)]
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
            name: plan.offsets[view.buffer] + _sum(view.offset) * (2 if view.element == "int16_t" else 1)
            for name, view in views.items()
            if view.space == "arena"
        },
        products=tuple(_stored(call) for call in calls if call.form is not None),
    )


def _stored(call: Call) -> StoredProduct:
    form, plain = call.form, call.plain
    assert form is not None and plain is not None
    return StoredProduct(
        call.product, form.name, form.weight_bytes, form.instructions, plain.weight_bytes, plain.instructions
    )


def _sum(text: str) -> int:
    """The value of a sum of numbers."""
    return sum(int(part) for part in text.split("+"))


def _layer(name: str, function: str, calls: list[Call]) -> Layer:
    kinds = {call.kind for call in calls}
    kind = next((k for k in ("attention", "fully_connected", "matmul", "norm") if k in kinds), "elementwise")
    return Layer(name, function, kind, sum(call.macs for call in calls), sum(call.weight_bytes for call in calls))


def _facts(graph: Graph, program: Program) -> ModelFacts:
    logits, cache = graph.outputs.get("logits"), graph.inputs.get("k_cache_0")
    if logits is None or cache is None:
        return ModelFacts(0, 0)
    tensor = graph.tensors[logits]
    size = 2 if tensor.dtype == "INT16" else 1
    context = (
        program.kv_window.context if isinstance(program.kv_window, StridedWindow) else graph.tensors[cache].shape[1]
    )
    return ModelFacts(tensor.columns, context, size, tensor.zero_point, tensor.scale)
