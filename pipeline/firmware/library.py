"""The C library: models and what they call as one flat folder, for firmware that is somebody else's.

A model is `NAME.h`, which an application includes, `NAME.c` and headers that only this file includes; everything in
them is static but for the descriptor. `thimble_*.c` and `thimble_*.h` are the runtime: of it, what the models call.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.compiler import CompiledModel, Objective, Packaging, WeightLayout, compile_model
from pipeline.errors import ThimbleError
from pipeline.firmware.answer_tables import answer_enums, answer_lines, max_slots
from pipeline.firmware.c_arrays import STATIC
from pipeline.firmware.grammar_tables import grammar_lines
from pipeline.firmware.kernels import RUNTIME, called_kernels
from pipeline.firmware.normalize_tables import normalizer_lines
from pipeline.firmware.quantity_tables import quantity_lines
from pipeline.firmware.tables import tokenizer_lines
from pipeline.firmware.vocabulary_tables import vocabulary_lines
from pipeline.text.codec import Codec, PlainCodec, StructuredCodec
from pipeline.text.matcher import Annotator
from pipeline.text.normalize import Normalizer
from pipeline.text.quantities import Quantities

__all__ = ["LibraryModel", "c_name", "runtime_files", "write_library"]

_ALWAYS = ("thimble", "thimble_intact", "thimble_crc32")
_TEXT = ("thimble_session", "thimble_tokenizer", "thimble_sampler")
_GRAMMAR = ("thimble_grammar",)
_PRETOKENIZER = ("thimble_pretokenizer",)
_INTENTS = (
    *("thimble_intents", "thimble_understand", "thimble_answer", "thimble_matcher", "thimble_normalize"),
    *("thimble_quantities", "thimble_names"),
)
_ASKING = ("thimble_ask",)
_CPP = "thimble.hpp"
_MAX_FRAME_IDS = 16
"""THIMBLE_FRAME_IDS of thimble_session.h, with the beginning of a text."""
_INCLUDED = re.compile(r'^#include "(thimble\w*\.h)"', re.MULTILINE)
_KEYWORDS = frozenset(
    {
        *("auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern"),
        *("float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed"),
        *("sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while"),
    }
)


@dataclass(frozen=True)
class LibraryModel:
    """A model of a library.

    Attributes:
        name: its name in C, see `c_name`.
        tflite: a decode step.
        codec: from texts to ids and back; None: the application gives ids, and gets ids.
    """

    name: str
    tflite: bytes
    codec: Codec | None = None


def c_name(name: str) -> str:
    """The name in C of a recipe, such as `home_en_small` of `home-en-small`.

    Raises:
        ThimbleError: nothing of it may stand in a name of C.
    """
    made = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()
    made = made if not made[:1].isdigit() else f"model_{made}"
    if not made:
        raise ThimbleError(f"{name!r} has no letters that names in C have", "give it another name")
    return f"{made}_model" if made in _KEYWORDS or made.startswith("thimble") else made


def write_library(
    models: Sequence[LibraryModel], packing: WeightLayout, out: Path, aim: Objective = Objective.BALANCED
) -> list[CompiledModel]:
    """Writes models and the runtime that they need into a folder.

    Args:
        models: one or more, with different names.
        packing: the order of weights and caches, which suits a core.
        out: a folder that does not exist or is empty.
        aim: what to optimize where a product's weights have several exact encodings.

    Returns:
        What is known of each model.

    Raises:
        ThimbleError: names that are not C's or stand twice; as `compile_model` has it; more of something than the
            tables of texts hold.
    """
    names = [model.name for model in models]
    for name in names:
        if name != c_name(name) or names.count(name) > 1:
            raise ThimbleError(
                f"{name!r} cannot be the name of a model in C here",
                f"give each model a name of its own in lower-case letters, digits and underscores, as {c_name(name)}",
            )
    out.mkdir(parents=True, exist_ok=True)
    compiled = [_write_model(model, packing, out, aim) for model in models]
    for path in runtime_files([model.codec for model in models], [out / f"{name}.c" for name in names]):
        shutil.copyfile(path, out / path.name)
    return compiled


def runtime_files(codecs: Sequence[Codec | None], callers: Iterable[Path]) -> list[Path]:
    """The files of the runtime that models need, headers among them.

    Args:
        codecs: of the models.
        callers: the models' C files, which say what kernels they call.
    """
    stems = [*_ALWAYS]
    stems += _TEXT if any(codecs) else ()
    stems += _PRETOKENIZER if any(codec and codec.tokenizer.template.word_rules for codec in codecs) else ()
    stems += _GRAMMAR if any(isinstance(codec, PlainCodec) and codec.grammar for codec in codecs) else ()
    schemas = [codec.schema for codec in codecs if isinstance(codec, StructuredCodec)]
    stems += _INTENTS if schemas else ()
    stems += _ASKING if any(schema.asks for schema in schemas) else ()
    callers = list(callers)
    sources = [*(RUNTIME / f"{stem}.c" for stem in stems), *called_kernels(callers)]
    headers: dict[str, Path] = {}
    pending = [*sources, *callers]
    if any(codecs):
        headers[_CPP] = RUNTIME / _CPP
        pending.append(headers[_CPP])
    while pending:
        for name in _INCLUDED.findall(pending.pop().read_text(encoding="utf-8")):
            path = RUNTIME / name if (RUNTIME / name).exists() else RUNTIME / "kernels" / name
            if name not in headers and path.exists():
                headers[name] = path
                pending.append(path)
    return sorted({*sources, *headers.values()}, key=lambda path: path.name)


def _write_model(model: LibraryModel, packing: WeightLayout, out: Path, aim: Objective) -> CompiledModel:
    text = f"{model.name}_text.h" if model.codec else ""
    packaging = Packaging(model.name, text, _declarations(model), is_checked=True)
    compiled = compile_model(model.tflite, out, packing, aim=aim, packaging=packaging)
    if model.codec:
        (out / text).write_text(_text(model.name, model.codec), encoding="utf-8")
    return compiled


def _declarations(model: LibraryModel) -> str:
    """What the model's header says of texts."""
    if model.codec is None:
        return ""
    macro = Packaging(model.name).macro
    head = (
        "\n/* Bytes of a session's memory, where texts have at most so many bytes. */\n"
        f"#define {macro('SESSION_BYTES')}(text_bytes) \\\n"
    )
    if not isinstance(model.codec, StructuredCodec):
        size = f"    THIMBLE_SESSION_BYTES({macro('MEMORY_BYTES')}, {macro('VOCAB')}, text_bytes)\n"
        return f'\n#include "thimble_session.h"\n{head}{size}'
    schema = model.codec.schema
    arguments = ", ".join(macro(fact) for fact in ("MEMORY_BYTES", "CACHE_BYTES", "CONTEXT", "SLOTS"))
    return (
        '\n#include "thimble_intents.h"\n\n/* The most slots that a result can have. */\n'
        f"#define {macro('SLOTS')} {max_slots(schema)}\n"
        f"{head}    THIMBLE_INTENTS_BYTES({arguments}, text_bytes)\n\n{answer_enums(schema, model.name.upper())}"
    )


def _text(name: str, codec: Codec) -> str:
    """The tables of texts, static."""
    template = codec.tokenizer.template
    if 1 + len(template.prefix) + len(template.suffix) > _MAX_FRAME_IDS:
        raise ThimbleError(
            f"the tokenizer puts {1 + len(template.prefix) + len(template.suffix)} ids around a text",
            f"use at most {_MAX_FRAME_IDS}",
        )
    members = ["    .tokenizer = &tokenizer,"]
    lines = tokenizer_lines(codec.tokenizer, STATIC)
    header = "thimble_session.h"
    if isinstance(codec, StructuredCodec):
        header = "thimble_intents.h"
        lines += ['#include "thimble_ask.h"'] if codec.schema.asks else []
        annotator = codec.annotator
        assert isinstance(annotator, Annotator), "a model's own annotator"
        normalizer, quantities, vocabulary = annotator.normalizer, annotator.quantities, annotator.vocabulary
        assert isinstance(normalizer, Normalizer) and isinstance(quantities, Quantities), "those that have tables"
        umlauts, kinds = vocabulary.inflection.umlauts, codec.schema.kinds
        lines += [
            "",
            *normalizer_lines(normalizer.table, annotator.restore, umlauts, STATIC, normalizer.elided)[1],
            "",
            *quantity_lines(quantities.tables, STATIC),
            "",
            *vocabulary_lines(vocabulary, annotator.known_words, kinds, STATIC)[1],
            "",
            *answer_lines(codec.schema, codec.ids.first, STATIC),
        ]
        members += ["    .answering = &thimble_intents,", "    .answers = &answers,", "    .annotator = &annotator,"]
        members.append(f"    .slots = {Packaging(name).macro('SLOTS')},")
    elif isinstance(codec, PlainCodec) and codec.grammar is not None:
        lines += ["", *grammar_lines(codec.grammar, STATIC)]
        members.append("    .grammar = &grammar,")
    guard = f"{name.upper()}_TEXT_H"
    return "\n".join(
        [
            "/* The tables between texts and ids; generated. The headers of the runtime say what they are. */",
            f'#ifndef {guard}\n#define {guard}\n\n#include "{header}"\n',
            *lines,
            "",
            "static const thimble_text text = {",
            *members,
            "};\n\n#endif\n",
        ]
    )
