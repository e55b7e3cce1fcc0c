"""Writes a program as C: `model.h`, `model.c` (the layers, in order) and `model_data.c` (weights and tables)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from pipeline.compiler.memory_plan import MemoryPlan
from pipeline.compiler.program import Call, Constant, Program

__all__ = ["ModelFacts", "emit"]

_INDENT = "    "


class ModelFacts:
    """What the header tells: vocabulary and context of a decode step, 0 for other graphs; bytes of a logit."""

    def __init__(self, vocab: int, context: int, logit_bytes: int = 1) -> None:
        self.vocab = vocab
        self.context = context
        self.logit_bytes = logit_bytes


def emit(program: Program, calls: Sequence[Call], plan: MemoryPlan, facts: ModelFacts, out: Path) -> list[str]:
    """Writes the three files; returns the layers' names in order."""
    groups = [(name, list(members)) for name, members in groupby(calls, key=lambda call: call.group)]
    names = _unique([name for name, _ in groups])
    cache_bytes = sum(part.bytes for part in program.cache)
    (out / "model.h").write_text(_header(program, plan, facts, len(groups), cache_bytes), encoding="utf-8")
    (out / "model_data.h").write_text(_data_header(program), encoding="utf-8")
    (out / "model_data.c").write_text(_data(program), encoding="utf-8")
    (out / "model.c").write_text(_model(program, groups, names, plan, facts, cache_bytes), encoding="utf-8")
    return names


def _unique(names: list[str]) -> list[str]:
    """The same names, the second of one name with a number."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return result


def _header(program: Program, plan: MemoryPlan, facts: ModelFacts, layers: int, cache_bytes: int) -> str:
    return f"""\
/* The model; generated from its .tflite. */
#ifndef MODEL_H
#define MODEL_H

#include "thimble.h"

#define THIMBLE_MODEL_VOCAB {facts.vocab}
#define THIMBLE_MODEL_CONTEXT {facts.context}
#define THIMBLE_MODEL_LAYERS {layers}
#define THIMBLE_MODEL_LOGIT_BYTES {facts.logit_bytes}
#define THIMBLE_MODEL_CACHE_BYTES {cache_bytes}
#define THIMBLE_MODEL_ARENA_BYTES {plan.bytes}
#define THIMBLE_MODEL_MEMORY_BYTES (THIMBLE_MODEL_CACHE_BYTES + THIMBLE_MODEL_ARENA_BYTES)

extern const thimble_model thimble_the_model;

/* The names of the layer functions, in order. */
extern const char *const thimble_layer_names[THIMBLE_MODEL_LAYERS];

#endif
"""


def _data_header(program: Program) -> str:
    lines = [
        f"extern const {constant.ctype} {constant.name}[{constant.values.size}];"
        for constant in program.constants.values()
    ]
    return (
        "/* The model's weights and tables; generated. */\n"
        "#ifndef MODEL_DATA_H\n#define MODEL_DATA_H\n\n#include <stdint.h>\n\n" + "\n".join(lines) + "\n\n#endif\n"
    )


def _data(program: Program) -> str:
    parts = ['/* The model\'s weights and tables; generated. */\n#include "model_data.h"\n']
    parts += [
        "#if defined(__ELF__)\n#define SECTION(name) __attribute__((section(name), aligned(4)))\n#else\n"
        "#define SECTION(name)\n#endif\n"
    ]
    parts += [_array(constant) for constant in program.constants.values()]
    return "\n".join(parts)


def _array(constant: Constant) -> str:
    section = ".weights" if constant.weights else ".tables"
    values = constant.values.reshape(-1)
    width = 24 if values.dtype.itemsize == 1 else 16 if values.dtype.itemsize == 2 else 8
    texts = [str(value) if value > -(2**31) else "INT32_MIN" for value in values.tolist()]
    lines = [", ".join(texts[i : i + width]) for i in range(0, len(texts), width)]
    body = ",\n    ".join(lines)
    return f'const {constant.ctype} {constant.name}[{values.size}] SECTION("{section}") = {{\n    {body},\n}};\n'


def _model(
    program: Program,
    groups: list[tuple[str, list[Call]]],
    names: list[str],
    plan: MemoryPlan,
    facts: ModelFacts,
    cache_bytes: int,
) -> str:
    parts = [
        "/* One decode step, layer by layer; generated from the .tflite. Read `model_step` at the end first. */\n"
        '#include "model.h"\n\n'
        '#include "model_data.h"\n#include "thimble_kernels.h"\n',
        _memory(program, plan, cache_bytes),
    ]
    parts += [_function(name, members) for name, (_, members) in zip(names, groups, strict=True)]
    parts.append(_step(program, groups, names))
    parts.append(_descriptor(program, plan, names, facts, cache_bytes))
    return "\n".join(parts)


def _memory(program: Program, plan: MemoryPlan, cache_bytes: int) -> str:
    lines = [
        f"/* Where activations lie in the arena ({plan.bytes} bytes; "
        f"at most {plan.largest_live_set} are alive at once). */"
    ]
    order = sorted(plan.offsets.items(), key=lambda item: (item[1], item[0]))
    entries = ",\n".join(f"    at_{name} = {offset} /* {program.buffers[name]} bytes */" for name, offset in order)
    lines.append(f"enum {{\n{entries},\n}};\n" if entries else "")
    if program.cache:
        offset, parts = 0, []
        for part in program.cache:
            parts.append(f"    at_{part.name} = {offset}")
            offset += part.bytes
        body = ",\n".join(parts)
        lines.append(
            f"/* Where the KV caches lie ({cache_bytes} bytes), each [kv_heads][context][head_dim]. */\n"
            f"enum {{\n{body},\n}};\n"
        )
    return "\n".join(lines)


def _arguments(text: str) -> list[tuple[str, str]]:
    """The parameters that a layer function needs: what its text mentions."""
    used = [
        ("int8_t *cache", "cache"),
        ("int8_t *arena", "arena"),
        ("int32_t token", "token"),
        ("int32_t position", "position"),
    ]
    return [(declaration, name) for declaration, name in used if _mentions(text, name)]


def _mentions(text: str, name: str) -> bool:
    return any(
        token in text for token in (f" {name} ", f"({name} ", f" {name},", f"({name},", f"{{{name} ", f" {name})")
    )


def _function(name: str, members: list[Call]) -> str:
    body = "\n".join(_INDENT + call.text for call in members)
    macs = sum(call.macs for call in members)
    note = f"/* {macs:,} multiply-accumulates. */\n" if macs else ""
    parameters = ", ".join(declaration for declaration, _ in _arguments(body)) or "void"
    return f"{note}static void {name}({parameters})\n{{\n{body}\n}}\n"


def _step(program: Program, groups: list[tuple[str, list[Call]]], names: list[str]) -> str:
    lines = []
    for number, (name, (_, members)) in enumerate(zip(names, groups, strict=True)):
        body = "\n".join(_INDENT + call.text for call in members)
        arguments = ", ".join(argument for _, argument in _arguments(body))
        lines.append(f"    MARK({number});\n    {name}({arguments});")
    lines.append(f"    MARK({len(groups)});")
    result = program.outputs.get("logits")
    returned = result.pointer if result is not None else "arena"
    unused = [f"    (void){name};" for name in ("cache", "arena", "token", "position")]
    return (
        "#ifdef THIMBLE_PROFILE\n#define MARK(layer) thimble_profile_mark(layer)\n"
        "#else\n#define MARK(layer) ((void)0)\n#endif\n\n"
        "static const void *model_step(int8_t *cache, int8_t *arena, int32_t token, int32_t position)\n{\n"
        + "\n".join([*unused, *lines])
        + f"\n    return {returned};\n}}\n"
    )


def _descriptor(program: Program, plan: MemoryPlan, names: list[str], facts: ModelFacts, cache_bytes: int) -> str:
    parts = ", ".join(f"{{{part.bytes}, {part.zero_point}}}" for part in program.cache) or "{0, 0}"
    quoted = ",\n    ".join(f'"{name}"' for name in names)
    return (
        f"static const thimble_cache_part cache_parts[] = {{{parts}}};\n\n"
        f"const thimble_model thimble_the_model = {{\n    .vocab = {facts.vocab},\n    .context = {facts.context},\n"
        f"    .cache_bytes = {cache_bytes},\n    .arena_bytes = {plan.bytes},\n"
        f"    .cache_parts = {len(program.cache)},\n    .logit_bytes = {facts.logit_bytes},\n"
        f"    .cache = cache_parts,\n    .step = model_step,\n}};\n\n"
        f"const char *const thimble_layer_names[THIMBLE_MODEL_LAYERS] = {{\n    {quoted},\n}};\n"
    )
