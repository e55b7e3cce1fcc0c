"""Writes a program as C: `model.h`, `model.c` (the layers, in order) and `model_data.c` (weights and tables)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from models.ring import Ring, Strided
from pipeline.compiler.program import ARENA, POSITION, SLOT, SLOTS, TIME, TOKEN, TOKENS, Call, Constant, Program
from pipeline.compiler.schedule import Arena
from pipeline.sampling import logit_step

__all__ = ["ModelFacts", "emit"]

_INDENT = "    "


class ModelFacts:
    """What the header tells: vocabulary and context of a decode step, 0 for other graphs; of a logit its bytes, zero
    point and scale."""

    def __init__(
        self, vocab: int, context: int, logit_bytes: int = 1, logit_zero_point: int = 0, logit_scale: float = 0.0
    ) -> None:
        self.vocab = vocab
        self.context = context
        self.logit_bytes = logit_bytes
        self.logit_zero_point = logit_zero_point
        self.logit_scale = logit_scale


def emit(program: Program, calls: Sequence[Call], plan: Arena, facts: ModelFacts, out: Path) -> list[str]:
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


def _header(program: Program, plan: Arena, facts: ModelFacts, layers: int, cache_bytes: int) -> str:
    return f"""\
/* The model; generated from its .tflite. */
#ifndef MODEL_H
#define MODEL_H

#include "thimble.h"

#define THIMBLE_MODEL_VOCAB {facts.vocab}
#define THIMBLE_MODEL_CONTEXT {facts.context}
#define THIMBLE_MODEL_ENDLESS {int(isinstance(program.ring, Ring))}
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
    plan: Arena,
    facts: ModelFacts,
    cache_bytes: int,
) -> str:
    parts = [
        "/* One decode step, layer by layer; generated from the .tflite. Read `model_step` at the end first. */\n"
        '#include "model.h"\n\n'
        '#include "model_data.h"\n#include "thimble_kernels.h"\n',
        _memory(program, plan, cache_bytes),
    ]
    parts += [_function(program, plan, name, members) for name, (_, members) in zip(names, groups, strict=True)]
    parts.append(_step(program, plan, groups, names))
    parts.append(_descriptor(program, plan, names, facts, cache_bytes))
    return "\n".join(parts)


def _memory(program: Program, plan: Arena, cache_bytes: int) -> str:
    lines = [
        f"/* Where activations lie in the arena ({plan.bytes} bytes, at most {plan.largest_live_set} alive at once).\n"
        f" * Those of a block's tokens lie one behind the other, the last token's first. */"
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


_IN_LOOP = {ARENA: "arena", TOKEN: "token[-i]", POSITION: "(position - i)", SLOT: "(slot - i)", TIME: "(time - i)"}
_IN_BLOCK = {ARENA: "arena", TOKEN: "*token", POSITION: "position", TOKENS: "tokens", SLOT: "slot", TIME: "time"}
_ALONE = {**_IN_BLOCK, TOKENS: "1"}
_PARAMETERS = {
    "cache": "int8_t *cache",
    "arena": "int8_t *arena",
    "token": "const int32_t *token",
    "position": "int32_t position",
    "slot": "int32_t slot",
    "time": "int32_t time",
    "tokens": "int32_t tokens",
}


def _filled(program: Program, text: str, words: Mapping[str, str]) -> str:
    if program.ring is None:
        words = {**words, SLOT: words[POSITION], TIME: words[POSITION]}
    for mark, word in words.items():
        text = re.sub(rf"{mark}\b", word, text)
    return text


def _body(program: Program, plan: Arena, members: list[Call]) -> str:
    """The statements of a layer: calls that take one token stand in a loop over the block's."""
    if program.block == 1 or members[0].tail:
        return "\n".join(_INDENT + _filled(program, call.text, _ALONE) for call in members)
    lines = []
    for in_block, calls in groupby(members, key=lambda call: call.block):
        if in_block:
            lines += [_INDENT + _filled(program, call.text, _IN_BLOCK) for call in calls]
            continue
        lines.append("    for (int32_t i = 0; i < tokens; i++) {")
        for call in calls:
            text = re.sub(rf"{ARENA} \+ at_(\w+)", lambda found: _of_token(plan, found[1]), call.text)
            lines.append(2 * _INDENT + _filled(program, text, _IN_LOOP))
        lines.append("    }")
    return "\n".join(lines)


def _of_token(plan: Arena, buffer: str) -> str:
    """Token i's part of a buffer."""
    distance = plan.token_bytes[buffer]
    return f"{ARENA} + at_{buffer}" + (f" + i * {distance}" if distance else "")


def _arguments(body: str) -> list[str]:
    """The parameters that a layer function needs: what its text mentions."""
    return [name for name in _PARAMETERS if re.search(rf"\b{name}\b", body)]


def _function(program: Program, plan: Arena, name: str, members: list[Call]) -> str:
    body = _body(program, plan, members)
    macs = sum(call.macs for call in members)
    note = f"/* {macs:,} multiply-accumulates a token. */\n" if macs else ""
    parameters = ", ".join(_PARAMETERS[name] for name in _arguments(body)) or "void"
    declarations = "\n".join(dict.fromkeys(call.declaration for call in members if call.declaration))
    before = f"{declarations}\n" if declarations else ""
    return f"{before}{note}static void run_{name}({parameters})\n{{\n{body}\n}}\n"


def _step(program: Program, plan: Arena, groups: list[tuple[str, list[Call]]], names: list[str]) -> str:
    calls: dict[bool, list[str]] = {False: [], True: []}
    for number, (name, (_, members)) in enumerate(zip(names, groups, strict=True)):
        arguments = ", ".join(_arguments(_body(program, plan, members)))
        calls[members[0].tail].append(f"    MARK({number});\n    run_{name}({arguments});")
    result = program.outputs.get("logits")
    returned = _filled(program, result.pointer, _ALONE) if result is not None else "arena"
    early = f"    if (!wanted) {{\n        MARK({len(groups)});\n        return 0;\n    }}"
    lines = [*calls[False], *([early] if calls[True] else []), *calls[True], f"    MARK({len(groups)});"]
    unused = [f"    (void){name};" for name in ("cache", "arena", "token", "position", "wanted")]
    ring = program.ring
    if ring:
        unused = [
            "    const int32_t time = position;",
            f"    const int32_t slot = {_slot(ring)};",
            f"    if (position >= {ring.rows}) {{ /* all rows are taken: this token takes one of them */",
            f"        position = {ring.rows} - 1;",
            "    }",
            *unused,
        ]
    return (
        "#ifdef THIMBLE_PROFILE\n#define MARK(layer) thimble_profile_mark(layer)\n"
        "#else\n#define MARK(layer) ((void)0)\n#endif\n\n"
        "/* Takes a block of tokens, the first at `position`. */\n"
        "static const void *model_step(int8_t *cache, int8_t *arena, const int32_t *block, int32_t tokens, "
        "int32_t position,\n                              int32_t wanted)\n{\n"
        "    const int32_t *const token = block + tokens - 1; /* layers count from the last token backwards */\n"
        "    position += tokens - 1;\n" + "\n".join([*unused, *lines]) + f"\n    return {returned};\n}}\n"
    )


def _slot(ring: Ring | Strided) -> str:
    """The row that the token at `time` takes."""
    if isinstance(ring, Strided):
        return f"{SLOTS}[time]"
    return f"time < {ring.rows} ? time : {ring.sinks} + (time - {ring.rows}) % {ring.rows - ring.sinks}"


def _descriptor(program: Program, plan: Arena, names: list[str], facts: ModelFacts, cache_bytes: int) -> str:
    read_empty = [part for part in program.cache if part.read_empty]
    parts = ", ".join(f"{{at_{part.name}, {part.bytes}, {part.zero_point}}}" for part in read_empty) or "{0, 0, 0}"
    quoted = ",\n    ".join(f'"{name}"' for name in names)
    return (
        f"static const thimble_cache_part cache_parts[] = {{{parts}}};\n\n"
        f"const thimble_model thimble_the_model = {{\n    .vocab = {facts.vocab},\n    .context = {facts.context},\n"
        f"    .cache_bytes = {cache_bytes},\n    .arena_bytes = {plan.bytes},\n"
        f"    .cache_parts = {len(read_empty)},\n    .block = {program.block},\n"
        f"    .window = {program.ring.rows if program.ring else 0},\n"
        f"    .logit_bytes = {facts.logit_bytes},\n    .logit_zero_point = {facts.logit_zero_point},\n"
        f"    .logit_step = {logit_step(facts.logit_scale)},\n"
        f"    .cache = cache_parts,\n    .step = model_step,\n}};\n\n"
        f"const char *const thimble_layer_names[THIMBLE_MODEL_LAYERS] = {{\n    {quoted},\n}};\n"
    )
