"""The generated C on the host: the same model and kernels, built as a shared library and driven from Python."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler import WeightLayout, compile_model
from pipeline.errors import MissingTool, ThimbleError
from pipeline.resources import ROOT

__all__ = ["HostEngine", "compile_library", "host_engine", "kernel_sources"]

RUNTIME = ROOT / "firmware_templates" / "runtime"
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fPIC", "-shared")

_DEFINED = re.compile(r"^void (thimble_\w+)\(", re.MULTILINE)

_LOOP = """\
/* Greedy decoding in one call, for measuring thousands of sentences; generated. */
#include "model.h"

#include <string.h>

static _Alignas(16) unsigned char memory[THIMBLE_MODEL_MEMORY_BYTES];
static thimble_context context;

int32_t host_logit_bytes(void) { return THIMBLE_MODEL_LOGIT_BYTES; }

void host_reset(void) { (void)thimble_init(&context, &thimble_the_model, memory, sizeof memory); }

int32_t host_prefill(const int32_t *tokens, int32_t count, void *logits)
{
    const void *row = 0;
    const thimble_status status = thimble_prefill(&context, tokens, (size_t)count, &row);
    if (status == THIMBLE_OK) {
        memcpy(logits, row, THIMBLE_MODEL_VOCAB * THIMBLE_MODEL_LOGIT_BYTES);
    }
    return (int32_t)status;
}

/* Tokens after the prompt, without `eos`, at most `most`; negative: minus the status. */
int32_t host_generate(const int32_t *prompt, int32_t count, int32_t most, int32_t eos, int32_t *out)
{
    const void *logits = 0;
    host_reset();
    thimble_status status = thimble_prefill(&context, prompt, (size_t)count, &logits);
    int32_t made = 0;
    while (status == THIMBLE_OK && made < most) {
        const int32_t next = thimble_sample_greedy(&thimble_the_model, logits);
        if (next == eos) {
            break;
        }
        out[made++] = next;
        if (made == most || (!THIMBLE_MODEL_ENDLESS && context.position == THIMBLE_MODEL_CONTEXT)) {
            break;
        }
        status = thimble_step(&context, next, &logits);
    }
    return status == THIMBLE_OK ? made : -(int32_t)status;
}
"""


def compile_library(
    sources: Sequence[Path], includes: Sequence[Path], library: Path, flags: Sequence[str] = _FLAGS
) -> None:
    """Builds C with the host's compiler.

    Raises:
        ThimbleError: no C compiler, or it complains.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise MissingTool(
            "no C compiler on this machine",
            "install one: `apt install gcc libc6-dev` (Debian), `xcode-select --install` (macOS)",
        )
    command = [compiler, *flags, *(f"-I{folder}" for folder in includes), "-o", str(library), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:300])
        raise ThimbleError(
            f"the host's C compiler refuses the generated code: {first}", "report this; it is a fault of Thimble"
        )


def kernel_sources(model: Path) -> list[Path]:
    """The kernels that the generated model calls, and those that they call.

    Args:
        model: the folder that `compile_model` wrote.
    """
    pending = [(model / "model.c").read_text(encoding="utf-8")]
    left = {path: path.read_text(encoding="utf-8") for path in sorted((RUNTIME / "kernels").glob("*.c"))}
    sources: list[Path] = []
    while pending:
        called = set(re.findall(r"\b(thimble_\w+)\(", pending.pop()))
        for path in [path for path, text in left.items() if called & set(_DEFINED.findall(text))]:
            sources.append(path)
            pending.append(left.pop(path))
    return sorted(sources)


class HostEngine:
    """Drives a compiled decode step.

    Args:
        model: the folder that `compile_model` wrote. build: a folder for the library. vocab, context: of the model.
    """

    def __init__(self, model: Path, build: Path, vocab: int, context: int) -> None:
        build.mkdir(parents=True, exist_ok=True)
        loop = build / "host_loop.c"
        loop.write_text(_LOOP, encoding="utf-8")
        library = build / "libmodel.so"
        sources = [loop, *sorted(model.glob("model*.c")), RUNTIME / "thimble.c", *kernel_sources(model)]
        compile_library(sources, [model, RUNTIME, RUNTIME / "kernels"], library)
        self.vocab, self.context = vocab, context
        self._library = ctypes.CDLL(str(library))
        self._dtype = np.dtype(f"i{self._library.host_logit_bytes()}")
        self.reset()

    def reset(self) -> None:
        """Forgets all tokens."""
        self._library.host_reset()

    def step(self, token: int) -> NDArray[np.signedinteger]:
        """Takes a token; int8 or int16 logits [vocab].

        Raises:
            ThimbleError: the token is outside of the vocabulary, or the context is full.
        """
        return self.prefill([token])

    def prefill(self, tokens: Sequence[int]) -> NDArray[np.signedinteger]:
        """Takes one token or more, in blocks; the logits after the last.

        Raises:
            ThimbleError: a token is outside of the vocabulary, or the context is full; no token is taken then.
        """
        logits = np.zeros(self.vocab, self._dtype)
        prompt = np.asarray(tokens, np.int32)
        status = self._library.host_prefill(
            prompt.ctypes.data_as(ctypes.c_void_p), len(tokens), logits.ctypes.data_as(ctypes.c_void_p)
        )
        self._check(status)
        return logits

    def generate(self, prompt: Sequence[int], max_new_tokens: int, eos: int) -> list[int]:
        """Greedy tokens after the prompt, `eos` left out."""
        tokens = np.asarray(prompt, np.int32)
        out = np.zeros(max(max_new_tokens, 1), np.int32)
        count = self._library.host_generate(
            tokens.ctypes.data_as(ctypes.c_void_p),
            len(prompt),
            max_new_tokens,
            eos,
            out.ctypes.data_as(ctypes.c_void_p),
        )
        self._check(-min(count, 0))
        return [int(token) for token in out[:count]]

    def _check(self, status: int) -> None:
        if status == 2:
            raise ThimbleError("a token is outside of the vocabulary", f"use ids from 0 to {self.vocab - 1}")
        if status == 3:
            raise ThimbleError(f"the context of {self.context} tokens is full", "give fewer tokens")


@contextmanager
def host_engine(tflite: bytes) -> Iterator[HostEngine]:
    """The engine of a .tflite, compiled and built for this machine; its logits are a board's to the byte.

    Raises:
        ThimbleError: from the compilers.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder)
        compiled = compile_model(tflite, model, WeightLayout.ROW_MAJOR)
        yield HostEngine(model, model / "host", compiled.vocab, compiled.context)
