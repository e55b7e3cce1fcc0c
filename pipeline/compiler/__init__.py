"""From a full-integer .tflite to C.

The flow: `reader` (bytes → graph), `patterns` (what can be fused), `lower` (graph → kernel calls), `layers` (calls →
layer functions), `memory_plan` (buffers → offsets), `emit` (all of it → C). `arithmetic` and `fixed_point` hold what
each op computes, `packing` the weights' order. Nothing here imports TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipeline.compiler.emit import ModelFacts, emit
from pipeline.compiler.graph import Graph
from pipeline.compiler.layers import group_calls
from pipeline.compiler.lower import lower
from pipeline.compiler.memory_plan import Buffer, MemoryPlan, plan_memory
from pipeline.compiler.program import Call, Program
from pipeline.compiler.reader import read_tflite
from pipeline.errors import ThimbleError

__all__ = ["CompiledModel", "Layer", "compile_model"]


@dataclass(frozen=True)
class Layer:
    """One layer function: `kind` is fully_connected, attention, norm, matmul or elementwise; `macs` of attention are
    those at half the context."""

    name: str
    kind: str
    macs: int
    weight_bytes: int


@dataclass(frozen=True)
class CompiledModel:
    """What was written. Bytes: `weight_bytes` of matrices and embeddings, `table_bytes` of all other constants,
    `arena_bytes` of activations, of which `largest_live_set` are alive at once; `arena_places` gives the offset in the
    arena of each input and output of a graph that is no decode step."""

    vocab: int
    context: int
    macs: int
    weight_bytes: int
    table_bytes: int
    kv_cache_bytes: int
    arena_bytes: int
    largest_live_set: int
    layers: tuple[Layer, ...]
    arena_places: dict[str, int]


def compile_model(tflite: bytes, out: Path) -> CompiledModel:
    """Writes `model.c`, `model.h`, `model_data.c` and `model_data.h` into `out`.

    Raises:
        ThimbleError: a damaged .tflite, or an op, type or shape that is not supported.
    """
    graph = read_tflite(tflite)
    try:
        return _compile(graph, out)
    except ThimbleError:
        raise
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        # A .tflite is not validated: shapes, options and indices that contradict each other show anywhere.
        raise ThimbleError(
            f"the .tflite contradicts itself: {type(error).__name__} while compiling it ({error})",
            "make it again: run the `quantize` stage with --force",
        ) from error


def _compile(graph: Graph, out: Path) -> CompiledModel:
    program = lower(graph)
    calls = group_calls(program.calls)
    plan = _plan(program, calls)
    facts = _facts(graph)
    names = emit(program, calls, plan, facts, out)
    layers = tuple(
        _layer(name, list(members)) for name, (_, members) in zip(names, groupby(calls, lambda c: c.group), strict=True)
    )
    constants = program.constants.values()
    places = {**program.inputs, **program.outputs}
    return CompiledModel(
        vocab=facts.vocab,
        context=facts.context,
        macs=sum(layer.macs for layer in layers),
        weight_bytes=sum(constant.values.nbytes for constant in constants if constant.weights),
        table_bytes=sum(constant.values.nbytes for constant in constants if not constant.weights),
        kv_cache_bytes=sum(part.bytes for part in program.cache),
        arena_bytes=plan.bytes,
        largest_live_set=plan.largest_live_set,
        layers=layers,
        arena_places={
            name: plan.offsets[view.buffer] + _sum(view.offset)
            for name, view in places.items()
            if view.space == "arena"
        },
    )


def _sum(text: str) -> int:
    """The value of a sum of numbers."""
    return sum(int(part) for part in text.split("+"))


def _layer(name: str, calls: list[Call]) -> Layer:
    kinds = {call.kind for call in calls}
    kind = next((k for k in ("attention", "fully_connected", "matmul", "norm") if k in kinds), "elementwise")
    return Layer(name, kind, sum(call.macs for call in calls), sum(call.weight_bytes for call in calls))


def _plan(program: Program, calls: list[Call]) -> MemoryPlan:
    """Each buffer lives from its first use to its last; inputs from the start, outputs to the end."""
    end = len(calls)
    inputs = {view.buffer for view in program.inputs.values()}
    # A decode step's new rows are in the cache by then; only its logits are asked for.
    kept = ["logits"] if program.cache and "logits" in program.outputs else list(program.outputs)
    outputs = {program.outputs[name].buffer for name in kept}
    buffers = []
    for name, size in program.buffers.items():
        uses = [step for step, call in enumerate(calls) if name in call.reads or name in call.writes]
        first = 0 if name in inputs or not uses else uses[0]
        last = end if name in outputs else uses[-1] if uses else 0
        buffers.append(Buffer(name, size, first, last))
    return plan_memory(buffers)


def _facts(graph: Graph) -> ModelFacts:
    logits, cache = graph.outputs.get("logits"), graph.inputs.get("k_cache_0")
    if logits is None or cache is None:
        return ModelFacts(0, 0)
    tensor = graph.tensors[logits]
    return ModelFacts(tensor.columns, graph.tensors[cache].shape[1], 2 if tensor.dtype == "INT16" else 1)
