"""Writes a decode step for TensorFlow Lite Micro's interpreter: the .tflite as an array, and what to do with it.

`model.h`, `model.c` (what the runtime must know), `model_data.c` (`g_model`) and `model_operators.h` (C++: the
operators that the interpreter must have).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.compiler.compiled import CompiledModel
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.ir.graph import Graph
from pipeline.files import VERSION_DIGITS
from pipeline.numerics.kv_window import SlidingWindow, StridedWindow
from pipeline.numerics.rope import rope_frequencies_q32, rope_scale_q24, sine_table
from pipeline.numerics.sampler import logit_step

__all__ = ["resolver", "write_interpreted"]

_METHODS = {"BATCH_MATMUL": "AddBatchMatMul", "FULLY_CONNECTED": "AddFullyConnected", "SELECT_V2": "AddSelectV2"}
_INPUTS = ("token", "position", "rotation")


@dataclass(frozen=True)
class _Cache:
    """A cache input, the output of its new row, and where it lies in the runtime's memory."""

    name: str
    input: int
    output: int
    offset: int
    bytes: int
    heads: int
    row_bytes: int
    zero_point: int


def resolver(graph: Graph) -> list[str]:
    """The methods of MicroMutableOpResolver that the model needs."""
    kinds = dict.fromkeys(op.kind for op in graph.ops)
    return [_METHODS.get(kind, "Add" + "".join(word.capitalize() for word in kind.split("_"))) for kind in kinds]


def write_interpreted(tflite: bytes, macs: int, arena_bytes: int, out: Path) -> CompiledModel:
    """Writes the files into the folder `out`.

    Args:
        tflite: a decode step.
        macs: useful multiply-accumulates a step, as the compiler counts them.
        arena_bytes: of the interpreter's arena, a multiple of 16.

    Returns:
        What a compiled model is described by: `weight_bytes` are the whole .tflite's; the live set is taken to be the
        arena, whose plan is the interpreter's own.

    Raises:
        ThimbleError: no decode step.
    """
    graph = read_tflite(tflite)
    kv_window = graph.kv_window
    caches = _caches(graph)
    logits = graph.tensors[graph.outputs["logits"]]
    rows = graph.tensors[graph.inputs["k_cache_0"]].shape[1]
    context = kv_window.context if isinstance(kv_window, StridedWindow) else rows
    cache_bytes = sum(cache.bytes for cache in caches)
    facts: dict[str, int | str] = {
        "VERSION": f'"{hashlib.sha256(tflite).hexdigest()[:VERSION_DIGITS]}"',
        "VOCAB": logits.columns,
        "CONTEXT": context,
        "ENDLESS": int(isinstance(kv_window, SlidingWindow)),
        "LAYERS": len(graph.ops),
        "LOGIT_BYTES": 2 if logits.dtype == "INT16" else 1,
        "CACHE_BYTES": cache_bytes,
        "ARENA_BYTES": arena_bytes,
    }
    (out / "model.h").write_text(_header(facts), encoding="ascii")
    (out / "model.c").write_text(_model(graph, caches, kv_window), encoding="ascii")
    (out / "model_data.c").write_text(_data(tflite), encoding="ascii")
    (out / "model_operators.h").write_text(_operators(graph), encoding="ascii")
    return CompiledModel(
        vocab=logits.columns,
        context=context,
        macs=macs,
        weight_bytes=len(tflite),
        raw_weight_bytes=len(tflite),
        table_bytes=0,
        kv_cache_bytes=cache_bytes,
        arena_bytes=arena_bytes,
        largest_live_set=arena_bytes,
        block=1,
        layers=(),
        arena_places={},
    )


def _caches(graph: Graph) -> list[_Cache]:
    caches: list[_Cache] = []
    offset = 0
    for name, index in graph.inputs.items():
        if "_cache_" not in name:
            continue
        tensor, new = graph.tensors[index], graph.outputs[name.replace("_cache_", "_new_")]
        caches.append(
            _Cache(
                name=name,
                input=graph.input_order.index(index),
                output=graph.output_order.index(new),
                offset=offset,
                bytes=tensor.bytes,
                heads=tensor.shape[0],
                row_bytes=graph.tensors[new].bytes // tensor.shape[0],
                zero_point=tensor.zero_point,
            )
        )
        offset += (tensor.bytes + 3) // 4 * 4
    return caches


def _header(facts: dict[str, int | str]) -> str:
    lines = "".join(f"#define THIMBLE_MODEL_{name} {value}\n" for name, value in facts.items())
    return (
        "/* The model; generated from its .tflite, which TensorFlow Lite Micro runs. */\n"
        '#ifndef MODEL_H\n#define MODEL_H\n\n#include "interpreter.h"\n#include "thimble.h"\n\n'
        f"{lines}"
        "#define THIMBLE_MODEL_MEMORY_BYTES (THIMBLE_MODEL_CACHE_BYTES + THIMBLE_MODEL_ARENA_BYTES)\n\n"
        "extern const thimble_model thimble_the_model;\n\n"
        "#ifdef THIMBLE_PROFILE\n/* The operators' names, in order. */\n"
        "extern const char *const thimble_the_model_layers[THIMBLE_MODEL_LAYERS];\n#endif\n\n#endif\n"
    )


def _model(graph: Graph, caches: list[_Cache], kv_window: SlidingWindow | StridedWindow | None) -> str:
    logits = graph.tensors[graph.outputs["logits"]]
    parts = ",\n    ".join(f"{{{c.offset}, {c.bytes}, {c.zero_point}}}" for c in caches)
    rows = ",\n    ".join(
        f"{{{c.input}, {c.output}, {c.offset}, {c.heads}, {c.bytes // c.heads}, {c.row_bytes}, {c.zero_point}}}"
        for c in caches
    )
    input_indices = [graph.input_order.index(graph.inputs[name]) if name in graph.inputs else -1 for name in _INPUTS]
    names = ",\n    ".join(f'"{number}_{op.kind.lower()}"' for number, op in enumerate(graph.ops))
    window = kv_window.rows if kv_window else 0
    return (
        '/* What the runtime must know of the model; generated from its .tflite. */\n#include "model.h"\n\n'
        f"{_turn(graph) if isinstance(kv_window, SlidingWindow) else ''}"
        f"{_slots(kv_window) if isinstance(kv_window, StridedWindow) else ''}"
        f"static const thimble_cache_part cache_parts[] = {{\n    {parts},\n}};\n\n"
        f"static const thimble_interpreter_cache caches[] = {{\n    {rows},\n}};\n\n"
        "const thimble_interpreter_plan thimble_the_plan = {\n    .arena_bytes = THIMBLE_MODEL_ARENA_BYTES,\n"
        f"    .caches = caches,\n    .cache_count = {len(caches)},\n"
        f"    .token = {input_indices[0]},\n    .position = {input_indices[1]},\n"
        f"    .logits = {graph.output_order.index(graph.outputs['logits'])},\n"
        f"    .rows = {window},\n    .sinks = {kv_window.sinks if isinstance(kv_window, SlidingWindow) else 0},\n"
        f"    .slots = {'slots' if isinstance(kv_window, StridedWindow) else '0'},\n"
        f"    .rotation = {input_indices[2]},\n"
        f"    .turn = {'&turn' if isinstance(kv_window, SlidingWindow) else '0'},\n}};\n\n"
        "const thimble_model thimble_the_model = {\n    .vocab = THIMBLE_MODEL_VOCAB,\n"
        "    .context = THIMBLE_MODEL_CONTEXT,\n    .cache_bytes = THIMBLE_MODEL_CACHE_BYTES,\n"
        "    .arena_bytes = THIMBLE_MODEL_ARENA_BYTES,\n"
        f"    .cache_parts = {len(caches)},\n    .block = 1,\n    .window = {window},\n"
        "    .logit_bytes = THIMBLE_MODEL_LOGIT_BYTES,\n"
        f"    .logit_zero_point = {logits.zero_point},\n    .logit_step = {logit_step(logits.scale)},\n"
        "    .cache = cache_parts,\n    .step = thimble_interpreter_step,\n"
        "    .start = thimble_interpreter_start,\n};\n\n"
        "#ifdef THIMBLE_PROFILE\n"
        f"const char *const thimble_the_model_layers[THIMBLE_MODEL_LAYERS] = {{\n    {names},\n}};\n#endif\n"
    )


def _slots(window: StridedWindow) -> str:
    """The rows of the caches that tokens take."""
    return f"static const uint16_t slots[] = {{\n    {', '.join(map(str, window.slots))},\n}};\n\n"


def _turn(graph: Graph) -> str:
    """What the matrices that turn pairs are made of, which are an input of a step that sees a window."""
    tensor = graph.tensors[graph.inputs["rotation"]]
    pairs = tensor.shape[0]
    rates = ", ".join(f"{rate}u" for rate in rope_frequencies_q32(2 * pairs).tolist())
    sines = ", ".join(map(str, sine_table().tolist()))
    return (
        f"static const uint32_t rates[{pairs}] = {{{rates}}};\n\n"
        f"static const int16_t sines[129] = {{\n    {sines},\n}};\n\n"
        "static const thimble_turn_params turn = "
        f"{{rates, sines, {pairs}, {rope_scale_q24(tensor.scale)}, {tensor.zero_point}}};\n\n"
    )


def _data(tflite: bytes) -> str:
    lines = [", ".join(map(str, tflite[start : start + 24])) for start in range(0, len(tflite), 24)]
    body = ",\n    ".join(lines)
    return (
        '/* The .tflite. */\n#include "interpreter.h"\n\n'
        f"_Alignas(16) const unsigned char g_model[{len(tflite)}]\n"
        '    __attribute__((section(".rodata.thimble.model.weights"))) = {\n'
        f"    {body},\n}};\n"
    )


def _operators(graph: Graph) -> str:
    methods = resolver(graph)
    calls = "".join(f"    (void)resolver.{method}();\n" for method in methods)
    return (
        "/* The operators of the model; generated from its .tflite. */\n"
        "#ifndef MODEL_OPERATORS_H\n#define MODEL_OPERATORS_H\n\n"
        '#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"\n\n'
        f"using ModelOperators = tflite::MicroMutableOpResolver<{len(methods)}>;\n\n"
        f"static inline void add_operators(ModelOperators &resolver)\n{{\n{calls}}}\n\n#endif\n"
    )
