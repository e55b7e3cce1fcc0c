"""What makes a graph a decode step: the inputs and outputs that the runtime fills and reads, by name."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.compiler.ir.graph import Graph, Tensor
from pipeline.compiler.ir.refusals import refused_together
from pipeline.errors import UnsupportedModel
from pipeline.numerics.kv_window import SlidingWindow

__all__ = ["check_caches", "is_decode_step", "require_decode_step", "require_step_names"]

_ROTATION = "rotation"
_STEP = (
    "a decode step has the inputs token int32 [1], position int32 [1] and, for each layer i from 0 on, k_cache_i and "
    "v_cache_i [heads, context, head width], and the outputs logits [1, vocabulary] and k_new_i and v_new_i [heads, 1, "
    "head width], the token's own rows, or the whole caches with these in them: name them in the signature; "
    "docs/bring-your-own-model.md has steps to begin with"
)


def is_decode_step(graph: Graph) -> bool:
    """Whether it has a cache, as no other graph has."""
    return any(name.startswith(("k_cache_", "v_cache_")) for name in graph.inputs)


def require_decode_step(graph: Graph) -> None:
    """Refuses a graph that the runtime cannot drive.

    Raises:
        UnsupportedModel: it lacks inputs or outputs, or has others, or a table is too short for its tokens or
            positions; all are named.
    """
    require_step_names(graph)
    if errors := [*_tables(graph)]:
        raise refused_together(errors)


def require_step_names(graph: Graph) -> None:
    """Refuses a graph without the inputs and outputs of a decode step, or with others.

    Raises:
        UnsupportedModel: all of them are named.
    """
    layers = range(_layers(graph) or 1)
    inputs = ["token", "position", *(f"{kind}_cache_{layer}" for layer in layers for kind in "kv")]
    outputs = ["logits", *(f"{kind}_new_{layer}" for layer in layers for kind in "kv")]
    missing = [name for name in inputs if name not in graph.inputs]
    missing += [name for name in outputs if name not in graph.outputs]
    if isinstance(graph.kv_window, SlidingWindow):
        inputs.append(_ROTATION)
    missing += [_ROTATION] if _ROTATION in inputs and _ROTATION not in graph.inputs else []
    foreign = [name for name in graph.inputs if name not in inputs]
    if missing or foreign:
        told = [f"it lacks {', '.join(missing)}"] if missing else []
        told += [f"nothing fills its inputs {', '.join(foreign)}"] if foreign else []
        raise UnsupportedModel(
            f"the .tflite is no decode step: {'; '.join(told)} (inputs: {', '.join(graph.inputs) or 'none'}; outputs: "
            f"{', '.join(graph.outputs) or 'none'})",
            _STEP,
        )


def _layers(graph: Graph) -> int:
    return sum(name.startswith("k_cache_") for name in graph.inputs)


def check_caches(graph: Graph) -> Iterator[UnsupportedModel]:
    """What is wrong with a graph that has caches: names, types, shapes and scales that passes and runtime rely on."""
    named = {name: graph.tensors[index] for name, index in {**graph.inputs, **graph.outputs}.items()}
    for name in ("token", "position"):
        if name not in graph.inputs:
            yield UnsupportedModel(f"the decode step has no input {name!r}", _STEP)
    layers = _layers(graph)
    contexts: set[int] = set()
    for kind, layer in ((kind, layer) for layer in range(layers) for kind in "kv"):
        cache, new = f"{kind}_cache_{layer}", f"{kind}_new_{layer}"
        missing = [name for name, those in ((cache, graph.inputs), (new, graph.outputs)) if name not in those]
        if missing:
            yield UnsupportedModel(f"the decode step lacks {' and '.join(missing)}", _STEP)
            continue
        yield from _cache(cache, named[cache], new, named[new])
        contexts.update(named[cache].shape[1:2])
    if len(contexts) > 1:
        yield UnsupportedModel(f"caches of {sorted(contexts)} rows", "one context for all layers")


def _cache(cache: str, held: Tensor, new: str, added: Tensor) -> Iterator[UnsupportedModel]:
    if len(held.shape) != 3 or held.dtype not in ("INT8", "INT16") or held.scales.size != 1:
        told = f"{cache!r} is {held.dtype} {list(held.shape)}"
        yield UnsupportedModel(told, "int8 or int16 [heads, context, head width], without an axis for a batch")
        return
    wanted = (held.shape[0], 1, held.shape[2])
    if added.shape == held.shape != wanted:
        return  # a whole cache, which no pass took for an update: told by `fusions.cache_update`
    if added.shape != wanted or added.dtype != held.dtype or added.scales.size != 1:
        told = f"{new!r} is {added.dtype} {list(added.shape)}, and {cache!r} {held.dtype} {list(held.shape)}"
        yield UnsupportedModel(told, f"the token's own row alone, {held.dtype.lower()} {list(wanted)}")
    elif (added.scale, added.zero_point) != (held.scale, held.zero_point):
        yield UnsupportedModel(
            f"{new!r} and {cache!r} have scales of {added.scale:g} and {held.scale:g}, zero points of "
            f"{added.zero_point} and {held.zero_point}",
            "one quantization for both: concatenate them in the graph, and the converter gives them one",
        )


def _tables(graph: Graph) -> Iterator[UnsupportedModel]:
    """Look-ups beyond the end of a table."""
    logits, cache = graph.tensors[graph.outputs["logits"]], graph.tensors[graph.inputs["k_cache_0"]]
    if logits.rows != 1:
        yield UnsupportedModel(f"'logits' is {list(logits.shape)}", "one row, [1, vocabulary]")
    for name, rows in (("token", logits.columns), ("position", cache.shape[1] if len(cache.shape) > 1 else 0)):
        for op in graph.ops:
            if op.kind == "GATHER" and len(op.inputs) > 1 and op.inputs[1] == graph.inputs[name]:
                table = graph.tensors[op.inputs[0]]
                if table.shape and table.shape[0] < rows:
                    told = f"a table of {table.shape[0]} rows, {table.name!r}, is looked up by {name!r} of {rows}"
                    yield UnsupportedModel(told, f"a table of {rows} rows or more")
