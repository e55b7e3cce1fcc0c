"""Writes a program as C: `NAME.h`, `NAME.c` (the layers, in order) and `NAME_data.h` (weights and tables).

The one name that a linker sees is the descriptor's, `thimble_the_NAME`: models with other names go into one image.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipeline.compiler.backends.c.printer import (
    AlonePrinter,
    BlockPrinter,
    CallPrinter,
    LoopPrinter,
    print_fields,
    print_parameters,
)
from pipeline.compiler.ir.layout import Arena, LayerLoop
from pipeline.compiler.ir.names import in_layer
from pipeline.compiler.ir.program import SLOTS, Call, Constant, Number, Parameters, Place, Program, Table
from pipeline.numerics.kv_window import SlidingWindow, StridedWindow
from pipeline.numerics.sampler import logit_step

__all__ = ["ModelFacts", "Packaging", "write_model"]

_INDENT = "    "


class ModelFacts:
    """Facts of the header: the version of the .tflite; vocabulary and context of a decode step, 0 for other graphs; of
    a logit its bytes, zero point and scale."""

    def __init__(
        self,
        version: str,
        vocab: int,
        context: int,
        logit_bytes: int = 1,
        logit_zero_point: int = 0,
        logit_scale: float = 0.0,
    ) -> None:
        self.version = version
        self.vocab = vocab
        self.context = context
        self.logit_bytes = logit_bytes
        self.logit_zero_point = logit_zero_point
        self.logit_scale = logit_scale


@dataclass(frozen=True)
class Packaging:
    """How a model is packed.

    Attributes:
        name: of its files, and in its names in C; an identifier in lower case.
        text: a header with the model's `static const thimble_text text`, which the descriptor gets; empty: none.
        declarations: further lines of the header.
        is_checked: whether the descriptor says where weights and tables lie, with a checksum (`thimble_is_intact`).
    """

    name: str = "model"
    text: str = ""
    declarations: str = ""
    is_checked: bool = False

    def macro(self, fact: str) -> str:
        """The macro of a fact, such as VOCAB."""
        return f"THIMBLE_{self.name.upper()}_{fact}"

    @property
    def symbol(self) -> str:
        """The descriptor's name."""
        return f"thimble_the_{self.name}"


def write_model(
    program: Program,
    layer_loop: LayerLoop | None,
    plan: Arena,
    facts: ModelFacts,
    out: Path,
    packaging: Packaging | None = None,
) -> list[tuple[str, str]]:
    """Writes the three files.

    Returns:
        The layers' names in order, each with the name of its C function.
    """
    packaging = packaging or Packaging()
    name = packaging.name
    layers = _Layers(program, layer_loop, plan)
    cache_bytes = sum(part.bytes for part in program.cache)
    header = _header(program, plan, facts, len(layers.names), cache_bytes, packaging)
    (out / f"{name}.h").write_text(header, encoding="utf-8")
    (out / f"{name}_data.h").write_text(_data(program, packaging), encoding="utf-8")
    model = _model(program, layers, plan, facts, cache_bytes, packaging)
    (out / f"{name}.c").write_text(model, encoding="utf-8")
    return layers.names


@dataclass(frozen=True)
class _Function:
    """A layer function: its calls, and whether they are for a single token."""

    name: str
    calls: tuple[Call, ...]
    alone: bool


class _Layers:
    """The layer functions: those before the loop over layers that are alike, those in it, and those after it.

    `names` has every layer in order, with the name of its C function.
    """

    def __init__(self, program: Program, layer_loop: LayerLoop | None, plan: Arena) -> None:
        calls = program.calls
        self.layer_loop = layer_loop
        self.token_bytes = dict(plan.token_bytes)
        self._block = program.block
        first = end = 0
        if layer_loop is not None:
            first, end = layer_loop.first, layer_loop.first + layer_loop.count * len(layer_loop.calls)
            calls = [call for call in calls if not call.recomputed_for_tail]
            self.token_bytes.update(
                {
                    layer_loop.names[name]: plan.token_bytes[name]
                    for name in layer_loop.names
                    if name in plan.token_bytes
                }
            )
        names = _unique([name for name, _ in groupby(calls, key=lambda call: call.group)])
        self.before = self._functions(calls[:first], names)
        in_loop, rounds = (layer_loop.calls, layer_loop.count) if layer_loop is not None else ((), 0)
        self.within = self._functions(in_loop, names[len(self.before) :], in_loop=True)
        self.after = self._functions(calls[end:], names[len(self.before) + rounds * len(self.within) :])
        functions = [*self.before, *self.within * rounds, *self.after]
        self.names = [(name, f"run_{function.name}") for name, function in zip(names, functions, strict=True)]

    @property
    def logits_call(self) -> Call | None:
        """The product of the logits, where it is the last call and can compute some of its rows."""
        last = self.all[-1] if self.all else None
        return last.calls[-1] if last is not None and last.alone and last.calls[-1].some_rows and self.after else None

    def _functions(self, calls: Sequence[Call], names: Sequence[str], in_loop: bool = False) -> list[_Function]:
        groups = [tuple(members) for _, members in groupby(calls, key=lambda call: call.group)]
        return [
            _Function(
                in_layer(name) if in_loop else name,
                members,
                self._block == 1 or (members[0].logits_only and not in_loop),
            )
            for name, members in zip(names, groups, strict=False)
        ]

    @property
    def all(self) -> list[_Function]:
        """All functions, without duplicates."""
        return [*self.before, *self.within, *self.after]


def _unique(names: list[str]) -> list[str]:
    """Makes names unique by appending numbers."""
    counts: dict[str, int] = {}
    result = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        result.append(name if counts[name] == 1 else f"{name}_{counts[name]}")
    return result


def _header(
    program: Program, plan: Arena, facts: ModelFacts, layers: int, cache_bytes: int, packaging: Packaging
) -> str:
    macro = packaging.macro
    guard = f"{packaging.name.upper()}_H"
    return f"""\
/* The model; generated from its .tflite. */
#ifndef {guard}
#define {guard}

#include "thimble.h"

/* The first digits of the .tflite's SHA-256. */
#define {macro("VERSION")} "{facts.version}"
#define {macro("VOCAB")} {facts.vocab}
#define {macro("CONTEXT")} {facts.context}
#define {macro("ENDLESS")} {int(isinstance(program.kv_window, SlidingWindow))}
#define {macro("LAYERS")} {layers}
#define {macro("LOGIT_BYTES")} {facts.logit_bytes}
#define {macro("CACHE_BYTES")} {cache_bytes}
#define {macro("ARENA_BYTES")} {plan.bytes}
#define {macro("MEMORY_BYTES")} ({macro("CACHE_BYTES")} + {macro("ARENA_BYTES")})
{packaging.declarations}
#ifdef __cplusplus
extern "C" {{
#endif

extern const thimble_model {packaging.symbol};

#ifdef THIMBLE_PROFILE
/* The names of the layer functions, in order. */
extern const char *const {packaging.symbol}_layers[{macro("LAYERS")}];
#endif

#ifdef __cplusplus
}}
#endif

#endif
"""


_SECTION = """\
#ifndef {macro}
#define {macro} THIMBLE_SECTION(".rodata.thimble.{name}.{part}")
#endif
"""


def _data(program: Program, packaging: Packaging) -> str:
    """Static arrays, which one file includes."""
    guard = f"{packaging.name.upper()}_DATA_H"
    parts = [
        "/* The model's weights and tables; generated. Each lies in a section that linker scripts collect with other\n"
        " * constants; thimble_config.h may say otherwise. */\n"
        f'#ifndef {guard}\n#define {guard}\n\n#include "thimble.h"\n',
        *(
            _SECTION.format(macro=packaging.macro(part.upper()), name=packaging.name, part=part)
            for part in ("weights", "tables")
        ),
        *(_array(constant, packaging) for constant in program.constants.values()),
        "#endif\n",
    ]
    return "\n".join(parts)


def _array(constant: Constant, packaging: Packaging) -> str:
    section = packaging.macro("WEIGHTS" if constant.weights else "TABLES")
    values = constant.values.reshape(-1)
    width = 24 if values.dtype.itemsize == 1 else 16 if values.dtype.itemsize == 2 else 8
    texts = [str(value) if value > -(2**31) else "INT32_MIN" for value in values.tolist()]
    lines = [", ".join(texts[i : i + width]) for i in range(0, len(texts), width)]
    body = ",\n    ".join(lines)
    head = f"static const {constant.ctype} {constant.name}[{values.size}]"
    return f"{head} {section} THIMBLE_ALIGNED = {{\n    {body},\n}};\n"


def _model(
    program: Program, layers: _Layers, plan: Arena, facts: ModelFacts, cache_bytes: int, packaging: Packaging
) -> str:
    result = program.outputs.get("logits")
    logits = layers.logits_call
    if logits is not None and (result is None or list(logits.writes) != [result.buffer]):
        logits = None
    functions = [_function(program, layers, function, logits) for function in layers.all]
    texts = [function.text for function in functions]
    mentioned = {place for function in functions for place in function.places}
    if layers.layer_loop is not None:
        texts.insert(len(layers.before), _layer_parameters(layers.layer_loop))
        values = [value for field in layers.layer_loop.fields for value in field.values]
        mentioned |= {value.name for value in values if isinstance(value, Place)}
    step, places = _step(program, layers, {function.name: function.arguments for function in functions})
    mentioned |= {*places, *(part.name for part in program.cache if part.read_empty)}
    some = [] if logits is None else [_some_logits(logits)]
    descriptor = _descriptor(program, plan, layers, facts, cache_bytes, logits is not None, packaging)
    parts = [*texts, step, *some, descriptor]
    head = (
        "/* One decode step, layer by layer; generated from the .tflite. Read `model_step` at the end first. */\n"
        f'#include "{packaging.name}.h"\n\n'
        f'#include "{packaging.name}_data.h"\n'
        + (f'#include "{packaging.text}"\n' if packaging.text else "")
        + '#include "thimble_kernels.h"\n'
        + ("" if logits is None else '#include "thimble_some_rows.h"\n')
    )
    return "\n".join([head, _memory(program, layers.layer_loop, plan, cache_bytes, mentioned), *parts])


def _memory(program: Program, layer_loop: LayerLoop | None, plan: Arena, cache_bytes: int, mentioned: set[str]) -> str:
    lines = [
        f"/* Where activations lie in the arena ({plan.bytes} bytes, at most {plan.largest_live_set} alive at once).\n"
        f" * Those of a block's tokens lie one behind the other, the last token's first. */"
    ]
    names = {} if layer_loop is None else layer_loop.names
    regions = {
        names.get(name, name): (offset, program.buffers[name])
        for name, offset in plan.offsets.items()
        if names.get(name, name) in mentioned
    }
    entries = ",\n".join(
        f"    at_{name} = {offset} /* {size} bytes */"
        for name, (offset, size) in sorted(regions.items(), key=lambda item: (item[1][0], item[0]))
    )
    lines.append(f"enum {{\n{entries},\n}};\n" if entries else "")
    if program.cache:
        offset, parts = 0, []
        for part in program.cache:
            name = names.get(part.name, part.name)
            if name in mentioned:
                parts.append(f"    at_{name} = {offset}")
            offset += part.bytes
        each = "each [kv_heads][context][head_dim]"
        if layer_loop is not None:
            parts.append(f"    LAYER_CACHE_BYTES = {layer_loop.cache_bytes}")
            each += "; one layer's after the other's"
        body = ",\n".join(parts)
        lines.append(f"/* Where the KV caches lie ({cache_bytes} bytes), {each}. */\nenum {{\n{body},\n}};\n")
    return "\n".join(lines)


def _layer_parameters(layer_loop: LayerLoop) -> str:
    """C structure of the values that differ between layers, and its initializers."""
    fields = "\n".join(f"    {field.ctype} {field.name};".replace("* ", "*") for field in layer_loop.fields)
    rows = []
    for layer in range(layer_loop.count):
        values = (f"        .{f.name} = {_field_value(f.values[layer])},\n" for f in layer_loop.fields)
        rows.append("    {\n" + "".join(values) + "    },\n")
    return (
        f"/* What differs from layer to layer. */\ntypedef struct {{\n{fields}\n}} layer_parameters;\n\n"
        f"static const layer_parameters layers[{layer_loop.count}] = {{\n{''.join(rows)}}};\n"
    )


def _field_value(value: Number | Place | Table | Parameters) -> str:
    match value:
        case Number():
            return str(value.value)
        case Place():
            return f"at_{value.name}"
        case Parameters():
            return print_fields(value).replace("\n", "\n" + 2 * _INDENT)
    return value.name


_PARAMETERS = {
    "p": "const layer_parameters *p",
    "cache": "int8_t *cache",
    "arena": "int8_t *arena",
    "token": "const int32_t *token",
    "position": "int32_t position",
    "slot": "int32_t slot",
    "time": "int32_t time",
    "tokens": "int32_t tokens",
    "wanted": "int32_t wanted",
}


@dataclass(frozen=True)
class _Printed:
    """A layer function as C, the names of its arguments, and the buffers and parts of the cache that it mentions."""

    name: str
    text: str
    arguments: tuple[str, ...]
    places: frozenset[str]


def _function(program: Program, layers: _Layers, function: _Function, logits: Call | None) -> _Printed:
    """A call that takes one token stands in a loop over the block's, of its own: its output may overlap the next
    token's input of the call before it. `logits` is left out where some of its rows are computed later."""
    window = program.kv_window is not None
    printers: list[CallPrinter] = []
    lines = []
    for call in function.calls:
        if function.alone or call.block:
            printers.append(AlonePrinter(window) if function.alone else BlockPrinter(window))
            statement = printers[-1].statement(call)
            if call is logits:
                printers[-1].words.add("wanted")
                lines += ["    if (wanted != THIMBLE_LOGITS_LATER) {", 2 * _INDENT + statement, "    }"]
            else:
                lines.append(_INDENT + statement)
        else:
            printers.append(LoopPrinter(window, layers.token_bytes))
            loop = "    for (int32_t i = 0; i < tokens; i++) {"
            lines += [loop, 2 * _INDENT + printers[-1].statement(call), "    }"]
    words = {word for printer in printers for word in printer.words}
    arguments = tuple(name for name in _PARAMETERS if name in words)
    macs = sum(call.macs for call in function.calls)
    note = f"/* {macs:,} multiply-accumulates a token. */\n" if macs else ""
    parameters = ", ".join(_PARAMETERS[name] for name in arguments) or "void"
    texts = ("".join(map(print_parameters, call.parameters)) for call in function.calls if call.parameters)
    declarations = "\n".join(dict.fromkeys(texts))
    before = f"{declarations}\n" if declarations else ""
    body = "\n".join(lines)
    text = f"{before}{note}static void run_{function.name}({parameters})\n{{\n{body}\n}}\n"
    return _Printed(function.name, text, arguments, frozenset(place for each in printers for place in each.places))


def _some_logits(call: Call) -> str:
    """The function that computes some of the logits' rows after a step that left them out."""
    alone = AlonePrinter(False)
    parameters, source, out, *rest = call.arguments
    printed = (alone.argument(source), f"{alone.argument(out)} + first", *map(alone.argument, rest))
    arguments = ", ".join(("&part", *printed))
    ctype = call.parameters[0].ctype
    return (
        "/* The logits of `count` ids from `first` on, a multiple of 4. */\n"
        "static void model_logits(int8_t *arena, int32_t first, int32_t count)\n{\n"
        f"    const {ctype} part = {call.some_rows}({alone.argument(parameters)}, first, count);\n"
        f"    {call.kernel}({arguments});\n}}\n"
    )


def _statements(layers: _Layers, arguments: Mapping[str, tuple[str, ...]], alone: CallPrinter) -> list[str]:
    """C statements of all layers in order. At the logits' tail the step returns if no logits are needed, else continues
    with one token.

    Args:
        layers: the layer functions.
        arguments: of each function, by its name.
        alone: prints the calls that are repeated for one token.
    """
    leave = ["if (!wanted) {", f"    THIMBLE_MARK({len(layers.names)});", "    return 0;", "}"]

    def run(function: _Function, number: str) -> list[str]:
        return [f"THIMBLE_MARK({number});", f"run_{function.name}({', '.join(arguments[function.name])});"]

    lines = [line for number, layer_function in enumerate(layers.before) for line in run(layer_function, str(number))]
    in_tail = False
    number = len(layers.before)
    if layers.layer_loop is not None:
        count, size = layers.layer_loop.count, len(layers.within)
        lines.append(f"for (uint32_t layer = 0; layer < {count}; layer++, cache += LAYER_CACHE_BYTES) {{")
        lines.append("    const layer_parameters *const p = &layers[layer];")
        for index, layer_function in enumerate(layers.within):
            mark, call = run(layer_function, f"{number} + layer * {size} + {index}")
            lines.append(_INDENT + mark)
            if layer_function.calls[0].logits_only and not in_tail:
                in_tail = True
                tail_calls = [alone.statement(again) for again in layers.layer_loop.tail_calls]
                lines.append(f"    if (layer == {count - 1}) {{ /* what follows is for the last token, if at all */")
                one_token = ["if (tokens > 1) {", *(_INDENT + text for text in ("tokens = 1;", *tail_calls)), "}"]
                lines += [2 * _INDENT + line for line in (*leave, *one_token)] + ["    }"]
            lines.append(_INDENT + call)
        lines.append("}")
        number += count * size
    for index, layer_function in enumerate(layers.after, number):
        if layer_function.calls[0].logits_only and not in_tail:
            in_tail = True
            lines += leave
        lines += run(layer_function, str(index))
    return [_INDENT + line for line in (*lines, f"THIMBLE_MARK({len(layers.names)});")]


def _step(program: Program, layers: _Layers, arguments: Mapping[str, tuple[str, ...]]) -> tuple[str, set[str]]:
    """The function of a step, and the buffers that it mentions itself."""
    alone = AlonePrinter(program.kv_window is not None)
    result = program.outputs.get("logits")
    returned = alone.pointer(result) if result is not None else "arena"
    lines = _statements(layers, arguments, alone)
    unused = [f"    (void){name};" for name in ("cache", "arena", "token", "position", "wanted")]
    kv_window = program.kv_window
    if kv_window:
        unused = [
            "    const int32_t time = position;",
            f"    const int32_t slot = {_slot(kv_window)};",
            f"    if (position >= {kv_window.rows}) {{ /* all rows are taken: this token takes one of them */",
            f"        position = {kv_window.rows} - 1;",
            "    }",
            *unused,
        ]
    text = (
        "/* Takes a block of tokens, the first at `position`. */\n"
        "static const void *model_step(int8_t *cache, int8_t *arena, const int32_t *block, int32_t tokens, "
        "int32_t position,\n                              int32_t wanted)\n{\n"
        "    const int32_t *const token = block + tokens - 1; /* layers count from the last token backwards */\n"
        "    position += tokens - 1;\n" + "\n".join([*unused, *lines]) + f"\n    return {returned};\n}}\n"
    )
    return text, alone.places


def _slot(window: SlidingWindow | StridedWindow) -> str:
    """C expression of the cache row that the token at `time` is written to."""
    if isinstance(window, StridedWindow):
        return f"{SLOTS}[time]"
    return f"time < {window.rows} ? time : {window.sinks} + (time - {window.rows}) % {window.rows - window.sinks}"


def _descriptor(
    program: Program,
    plan: Arena,
    layers: _Layers,
    facts: ModelFacts,
    cache_bytes: int,
    has_some_logits: bool,
    packaging: Packaging,
) -> str:
    read_empty = [part for part in program.cache if part.read_empty]
    some_logits = "    .logits = model_logits,\n" if has_some_logits else ""
    parts = ", ".join(f"{{at_{part.name}, {part.bytes}, {part.zero_point}}}" for part in read_empty) or "{0, 0, 0}"
    quoted = ",\n    ".join(f'"{name}"' for name, _ in layers.names)
    text = "    .text = &text,\n" if packaging.text else ""
    stretches, checked = _checked(program) if packaging.is_checked else ("", "")
    symbol = packaging.symbol
    return (
        f"static const thimble_cache_part cache_parts[] = {{{parts}}};\n\n{stretches}"
        f"const thimble_model {symbol} = {{\n    .vocab = {facts.vocab},\n    .context = {facts.context},\n"
        f"    .cache_bytes = {cache_bytes},\n    .arena_bytes = {plan.bytes},\n"
        f"    .cache_parts = {len(read_empty)},\n    .block = {program.block},\n"
        f"    .window = {program.kv_window.rows if program.kv_window else 0},\n"
        f"    .logit_bytes = {facts.logit_bytes},\n    .logit_zero_point = {facts.logit_zero_point},\n"
        f"    .logit_step = {logit_step(facts.logit_scale)},\n"
        f"    .cache = cache_parts,\n    .step = model_step,\n"
        f"{some_logits}{text}{checked}}};\n\n"
        f"#ifdef THIMBLE_PROFILE\nconst char *const {symbol}_layers[{packaging.macro('LAYERS')}] = {{\n"
        f"    {quoted},\n}};\n#endif\n"
    )


def _checked(program: Program) -> tuple[str, str]:
    """Where constants lie and the checksum of all their bytes: a table, and the members of the descriptor."""
    crc, rows = 0, []
    for constant in program.constants.values():
        values = constant.values
        crc = zlib.crc32(values.astype(values.dtype.newbyteorder("<")).tobytes(), crc)
        rows.append(f"    {{{constant.name}, sizeof {constant.name}}},\n")
    table = f"/* Weights and tables. */\nstatic const thimble_stretch data[] = {{\n{''.join(rows)}}};\n\n"
    return table, f"    .data = data,\n    .data_count = {len(rows)},\n    .data_crc = 0x{crc:08x}u,\n"
