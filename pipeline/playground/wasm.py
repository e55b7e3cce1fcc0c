"""The firmware's own C as WebAssembly: model, kernels, tokenizer, text path, sampler, answers and grammar, by clang and
lld.

The kernels' plain C bodies are compiled; they give the bytes that the fast ones give on a board.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from pipeline import tools
from pipeline.errors import ThimbleError
from pipeline.firmware.grammar_tables import write_grammar
from pipeline.firmware.tables import write_tokenizer
from pipeline.firmware.text_path_tables import write_text_path
from pipeline.resources import ROOT
from pipeline.text.codec import Codec, PlainCodec, StructuredCodec
from pipeline.verification.host_engine import kernel_sources

__all__ = ["build_wasm", "require_compiler"]

RUNTIME = ROOT / "firmware_templates" / "runtime"
WEB = ROOT / "firmware_templates" / "web"
_FLAGS = (
    "--target=wasm32",
    "-std=c11",
    "-O2",
    "-ffreestanding",
    "-fno-builtin",
    "-nostdlib",
    "-nostdlibinc",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Werror",
    "-DTHIMBLE_PLAIN_C",
)
_LINK = ("-Wl,--no-entry", "-Wl,--strip-all", "-Wl,-z,stack-size=65536")
_OBSERVED = ("append_rows_s8", "attention_rows_s8", "append_s16", "attention_s16")
"""Kernels whose calls go through page_attention.c."""
_AROUND = ("thimble", "thimble_tokenizer", "thimble_sampler", "thimble_crc32", "thimble_answer")
"""Of the runtime, what every page needs: `thimble_answer.c` has the names of reasons."""
_PRETOKENIZER = ("thimble_pretokenizer",)
_TEXT_PATH = ("thimble_normalize", "thimble_quantities", "thimble_matcher", "thimble_names")


def require_compiler() -> tuple[Path, Path]:
    """Clang and its linker for WebAssembly.

    Raises:
        MissingTool: one of them is not installed.
    """
    return tools.require("clang"), tools.require("wasm-ld")


def build_wasm(model: Path, codec: Codec) -> bytes:
    """Compiles a model, with its text path, for a page.

    Args:
        model: the folder that `compile_model` wrote, weights in rows.
        codec: of the model; its tables are written.

    Returns:
        The WebAssembly module.

    Raises:
        ThimbleError: clang or lld is missing, or complains.
    """
    clang, linker = require_compiler()
    with tempfile.TemporaryDirectory() as folder:
        tables = Path(folder)
        write_tokenizer(codec.tokenizer, tables)
        around = [*_AROUND]
        if codec.tokenizer.template.word_rules:
            around += _PRETOKENIZER
        definitions: list[str] = []
        if isinstance(codec, StructuredCodec):
            write_text_path(codec, tables)
            around += _TEXT_PATH
            definitions.append("-DTHIMBLE_ANSWERS")
        elif isinstance(codec, PlainCodec) and codec.grammar is not None:
            write_grammar(codec.grammar, tables)
            around.append("thimble_grammar")
            definitions.append("-DTHIMBLE_GRAMMAR")
        includes = [f"-I{path}" for path in (WEB, tables, model, RUNTIME, RUNTIME / "kernels")]
        command = [str(clang), *_FLAGS, *definitions, *includes]
        observed = [f"-Dthimble_{kernel}=page_{kernel}" for kernel in _OBSERVED]
        _run([*command, *observed, "-c", str(model / "model.c"), "-o", str(tables / "model.o")])
        sources = [
            *sorted(WEB.glob("*.c")),
            *(path for path in sorted(model.glob("model*.c")) if path.name != "model.c"),
            *sorted(tables.glob("*.c")),
            *(RUNTIME / f"{name}.c" for name in around),
            *kernel_sources(model, WEB / "page_attention.c"),
        ]
        module = tables / "page.wasm"
        link = [*_LINK, f"-fuse-ld={linker}"]
        _run([*command, *link, "-o", str(module), str(tables / "model.o"), *map(str, sources)])
        return module.read_bytes()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, env=tools.compiler_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.splitlines()
        first = next((line for line in lines if "error" in line), done.stderr[:300])
        raise ThimbleError(
            f"clang refuses the generated code for WebAssembly: {first}", "report this; it is a fault of Thimble"
        )
