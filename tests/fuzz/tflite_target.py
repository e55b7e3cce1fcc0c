"""A .tflite against TensorFlow Lite Micro: what is accepted is compiled to C, built with sanitizers, run, and compared.

The kernels are built once, into the program that loads each model. The reference runs in a process of its own, since
wrong models end it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler import CompiledModel, WeightLayout, compile_decode_step, compile_model
from pipeline.compiler.frontend.decode_step import is_decode_step
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.ir.graph import Graph
from pipeline.verification.host_engine import RUNTIME
from pipeline.verification.oracle import Oracle

__all__ = ["prepare_tflite"]

_DRIVER = Path(__file__).with_name("run_tflite.c")
_SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=0"}
_SECONDS = 30
_TOKENS = 8
_ARENA = 1 << 20


def prepare_tflite(folder: Path) -> Callable[[Path, bytes], None]:
    """Builds the program that runs models; gives the check of one file."""
    from tflite_micro.python.tflite_micro import runtime  # noqa: F401  before any process is split off

    driver = folder / "run_tflite"
    _build([_DRIVER, *sorted((RUNTIME / "kernels").glob("*.c"))], driver, "-O1", "-rdynamic", "-ldl")
    layouts = list(WeightLayout)

    def check(place: Path, data: bytes) -> None:
        graph = read_tflite(data)
        step = is_decode_step(graph)
        seed = sum(data)
        layout = layouts[seed % len(layouts)]
        model = place / "build"
        compiled = (compile_decode_step if step else compile_model)(data, model, layout)
        library = model / "model.so"
        _build([model / "model.c"], library, "-O0", "-shared", "-fPIC")
        random = np.random.default_rng(seed)
        inputs = _inputs(graph, random)
        tokens = [int(token) for token in random.integers(0, compiled.vocab, min(_TOKENS, compiled.context))]
        given = _step_input(compiled, tokens) if step else _function_input(graph, compiled, inputs)
        actual = _run(driver, library, given)
        expected = _apart(lambda: _step(data, tokens) if step else _function(data, graph, inputs))
        if expected is not None:
            assert actual == expected, f"{_different(actual, expected)} bytes differ from TensorFlow Lite Micro's"

    return check


def _build(sources: list[Path], out: Path, *flags: str) -> None:
    compiler = shutil.which("gcc") or "cc"
    folders = (f"-I{folder}" for folder in (out.parent, RUNTIME, RUNTIME / "kernels"))
    libraries = [flag for flag in flags if flag.startswith("-l")]
    others = [flag for flag in flags if flag not in libraries]
    command = [
        compiler,
        "-std=gnu11",
        "-w",
        *others,
        *_SANITIZED,
        *folders,
        "-o",
        str(out),
        *map(str, sources),
        *libraries,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"the generated C does not compile: {done.stderr[:2000]}"


def _run(driver: Path, library: Path, given: bytes) -> bytes:
    """What the model writes, of a process whose memory is not limited: sanitizers ask for a large part of it."""
    command = ["/bin/sh", "-c", 'ulimit -S -v unlimited; exec "$0" "$1"', str(driver), str(library)]
    environment = {**os.environ, **_ENVIRONMENT}
    done = subprocess.run(command, input=given, capture_output=True, env=environment, timeout=_SECONDS, check=False)
    told = done.stderr.decode(errors="replace")
    where = next((line for line in told.splitlines() if "runtime error" in line or "ERROR" in line), told[:300])
    assert done.returncode == 0, f"the generated C ends with {done.returncode}: {_without_numbers(where)}"
    return done.stdout


def _without_numbers(line: str) -> str:
    """So that equal faults have one name."""
    return "".join("#" if letter.isdigit() else letter for letter in line.rsplit("/", 1)[-1])[:120]


def _inputs(graph: Graph, random: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    values: dict[str, NDArray[np.generic]] = {}
    for name, index in graph.inputs.items():
        tensor = graph.tensors[index]
        if tensor.dtype in ("INT8", "INT16"):
            limits = np.iinfo(tensor.dtype.lower())
            drawn = random.integers(limits.min, limits.max + 1, tensor.shape)
            values[name] = drawn.astype(tensor.dtype.lower())
        else:
            tables = [graph.tensors[op.inputs[0]] for op in graph.ops if op.kind == "GATHER" and index in op.inputs[1:]]
            rows = min((table.shape[0] for table in tables), default=1)
            values[name] = np.full(tensor.shape, random.integers(0, rows), tensor.dtype.lower())
    return values


def _function_input(graph: Graph, compiled: CompiledModel, inputs: dict[str, NDArray[np.generic]]) -> bytes:
    numbers = [int(inputs[name].reshape(-1)[0]) if name in inputs else 0 for name in ("token", "position")]
    given = struct.pack("<4i", compiled.arena_bytes, 0, *numbers)
    placed = [
        (compiled.arena_places[name], values.tobytes())
        for name, values in inputs.items()
        if name in compiled.arena_places
    ]
    given += struct.pack("<i", len(placed))
    for offset, values in placed:
        given += struct.pack("<2i", offset, len(values)) + values
    given += struct.pack("<i", len(graph.outputs))
    for name, index in graph.outputs.items():
        given += struct.pack("<2i", compiled.arena_places[name], graph.tensors[index].bytes)
    return given


def _step_input(compiled: CompiledModel, tokens: list[int]) -> bytes:
    return struct.pack(f"<{2 + len(tokens)}i", compiled.arena_bytes, len(tokens), *tokens)


def _step(data: bytes, tokens: list[int]) -> bytes:
    oracle = Oracle(data)
    return b"".join(oracle.step(token).tobytes() for token in tokens)


def _function(data: bytes, graph: Graph, inputs: dict[str, NDArray[np.generic]]) -> bytes:
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(data, arena_size=_ARENA)
    for name, index in graph.inputs.items():
        interpreter.set_input(np.array(inputs[name], order="C"), graph.input_order.index(index))
    interpreter.invoke()
    places = [graph.output_order.index(index) for index in graph.outputs.values()]
    return b"".join(np.array(interpreter.get_output(place)).tobytes() for place in places)


def _apart(work: Callable[[], bytes]) -> bytes | None:
    """What the work gives in a process of its own; None where it raises, crashes or hangs."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        status = 1
        try:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, _SECONDS)
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 2)
            result = work()
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(result)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        result = pipe.read()
    _, status = os.waitpid(child, 0)
    return result if status == 0 else None


def _different(actual: bytes, expected: bytes) -> str:
    if len(actual) != len(expected):
        return "all"
    return json.dumps("some" if any(a == b for a, b in zip(actual, expected, strict=True)) else "all")
