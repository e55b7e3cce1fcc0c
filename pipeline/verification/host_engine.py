"""The generated C on the host: the same model and kernels, built as a shared library and driven from Python."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler import WeightLayout, compile_model
from pipeline.errors import MissingTool, ThimbleError
from pipeline.firmware.kernels import RUNTIME, called_kernels
from pipeline.resources import ROOT
from pipeline.tools import compiler_environment

__all__ = ["RUNTIME", "HostEngine", "Status", "check_status", "compile_library", "host_engine", "kernel_sources"]

LOOP = ROOT / "firmware_templates" / "host" / "loop.c"
_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fPIC", "-shared")


class Status(IntEnum):
    """`thimble_status` of thimble.h."""

    OK = 0
    BAD_MEMORY = 1
    BAD_TOKEN = 2
    CONTEXT_FULL = 3
    FAILED = 4
    NO_TOKENS = 5
    BAD_TEXT = 6
    LONG_TEXT = 7
    BAD_OPTION = 8
    MORE = 9
    END_OF_ANSWER = 10
    END_LENGTH = 11
    END_CONTEXT = 12
    CANCELLED = 13


def check_status(status: int, vocab: int, context: int) -> None:
    """Raises what a status means, unless it is OK.

    Args:
        status: a `thimble_status`.
        vocab: the model's number of tokens.
        context: its longest context, in tokens.

    Raises:
        ThimbleError: any other status, one that is not known included.
    """
    if status == Status.OK:
        return
    if status == Status.BAD_TOKEN:
        raise ThimbleError("a token is outside of the vocabulary", f"use ids from 0 to {vocab - 1}")
    if status == Status.NO_TOKENS:
        raise ThimbleError("there are no tokens", "give one or more")
    if status == Status.CONTEXT_FULL:
        raise ThimbleError(f"the context of {context} tokens is full", "give fewer tokens")
    name = {known.value: known.name for known in Status}.get(status, "unknown")
    raise ThimbleError(
        f"the generated C stopped on the host with status {status} ({name})", "report this; it is a fault of Thimble"
    )


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
    done = subprocess.run(command, env=compiler_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:300])
        raise ThimbleError(
            f"the host's C compiler refuses the generated code: {first}", "report this; it is a fault of Thimble"
        )


def kernel_sources(model: Path, *callers: Path) -> list[Path]:
    """The kernels that the generated model calls, and those that they call.

    Args:
        model: the folder that `compile_model` wrote.
        callers: further C files, whose kernels are added.
    """
    return called_kernels([*model.glob("*.c"), *callers])


class HostEngine:
    """Drives a compiled decode step.

    Args:
        model: the folder that `compile_model` wrote.
        build: a folder for the library. vocab, context: of the model.
    """

    def __init__(self, model: Path, build: Path, vocab: int, context: int) -> None:
        build.mkdir(parents=True, exist_ok=True)
        library = build / "libmodel.so"
        sources = [LOOP, *sorted(model.glob("model*.c")), RUNTIME / "thimble.c", *kernel_sources(model)]
        compile_library(sources, [model, RUNTIME, RUNTIME / "kernels"], library)
        self.vocab, self.context = vocab, context
        try:
            self._library = ctypes.CDLL(str(library))
        except OSError as error:
            raise ThimbleError(
                f"the generated C cannot be loaded: {error}",
                f"where {library.parent} is mounted noexec, set TMPDIR to a folder whose programs may run",
            ) from None
        self._dtype = np.dtype(f"i{self._library.host_logit_bytes()}")
        self.reset()

    def reset(self) -> None:
        """Forgets all tokens."""
        check_status(self._library.host_reset(), self.vocab, self.context)

    def step(self, token: int) -> NDArray[np.signedinteger]:
        """Feeds one token; returns int8 or int16 logits [vocab].

        Raises:
            ThimbleError: the token is outside of the vocabulary, or the context is full.
        """
        return self.prefill([token])

    def prefill(self, tokens: Sequence[int]) -> NDArray[np.signedinteger]:
        """Feeds one token or more, in blocks; returns the logits after the last.

        Raises:
            ThimbleError: a token is outside of the vocabulary, or the context is full; no token is taken then.
        """
        logits = np.zeros(self.vocab, self._dtype)
        prompt = np.asarray(tokens, np.int32)
        status = self._library.host_prefill(
            prompt.ctypes.data_as(ctypes.c_void_p), len(tokens), logits.ctypes.data_as(ctypes.c_void_p)
        )
        check_status(status, self.vocab, self.context)
        return logits

    def generate(
        self,
        prompt: Sequence[int],
        max_new_tokens: int,
        eos: int,
        allowed: Callable[[Sequence[int]], Sequence[int] | None] | None = None,
    ) -> list[int]:
        """Decodes greedily after the prompt; returns the tokens without `eos`.

        Args:
            prompt: token ids.
            max_new_tokens: after so many an answer ends.
            eos: the id that ends an answer.
            allowed: the ids that may follow an answer so far, ascending, None where all may.
        """
        if allowed is not None and allowed(()) is not None:
            return self._generate_bound(prompt, max_new_tokens, eos, allowed)
        tokens = np.asarray(prompt, np.int32)
        out = np.zeros(max(max_new_tokens, 1), np.int32)
        count = self._library.host_generate(
            tokens.ctypes.data_as(ctypes.c_void_p),
            len(prompt),
            max_new_tokens,
            eos,
            out.ctypes.data_as(ctypes.c_void_p),
        )
        check_status(-min(count, 0), self.vocab, self.context)
        return [int(token) for token in out[:count]]

    def _generate_bound(
        self,
        prompt: Sequence[int],
        max_new_tokens: int,
        eos: int,
        allowed: Callable[[Sequence[int]], Sequence[int] | None],
    ) -> list[int]:
        self.reset()
        logits = self.prefill(prompt)
        answer: list[int] = []
        while True:
            choices = np.asarray(allowed(answer))
            token = int(choices[np.argmax(logits[choices])])
            if token == eos:
                return answer
            answer.append(token)
            if len(answer) == max_new_tokens or len(prompt) + len(answer) > self.context:
                return answer
            logits = self.step(token)


@contextmanager
def host_engine(tflite: bytes) -> Iterator[HostEngine]:
    """The engine of a .tflite, compiled and built for this machine; its logits equal a board's byte for byte.

    Raises:
        ThimbleError: from the compilers.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder)
        compiled = compile_model(tflite, model, WeightLayout.ROW_MAJOR)
        yield HostEngine(model, model / "host", compiled.vocab, compiled.context)
