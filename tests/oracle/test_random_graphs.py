"""Random graphs of all supported ops give TensorFlow Lite Micro's bytes; the sanitizers find nothing in them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compiler import compile_model
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.ops.registry import SUPPORTED
from pipeline.verification.host_engine import RUNTIME, compile_library
from tests.support.random_graphs import RandomGraph
from tests.support.run_model import Workbench, run_on_micro
from tests.support.strategies import some

pytestmark = pytest.mark.slow

# A step over an arena from standard input to standard output, in memory that AddressSanitizer watches.
_MAIN = """\
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

int main(int count, char **words)
{
    int8_t *arena = malloc(THIMBLE_MODEL_ARENA_BYTES);
    if (count != 2 || !arena || fread(arena, 1, THIMBLE_MODEL_ARENA_BYTES, stdin) != THIMBLE_MODEL_ARENA_BYTES) {
        return 1;
    }
    thimble_the_model.step(0, arena, &(int32_t){atoi(words[1])}, 1, 0, 1);
    fwrite(arena, 1, THIMBLE_MODEL_ARENA_BYTES, stdout);
    free(arena);
    return 0;
}
"""
_SANITIZED = ("-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.mark.variants(keep=1)
@pytest.mark.parametrize("part", range(4))
@given(seed=st.integers(0, 1 << 20), steps=st.integers(1, 16))
@settings(some, max_examples=30)
def test_random_graphs(bench: Workbench, part: int, seed: int, steps: int) -> None:
    graph = RandomGraph(seed + (part << 20), steps)
    bench.check(graph.bytes(), graph.values)


@pytest.fixture(scope="module")
def sanitized_kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kernels = tmp_path_factory.mktemp("sanitized") / "kernels.o"
    sources = sorted((RUNTIME / "kernels").glob("*.c"))
    compile_library(sources, [RUNTIME, RUNTIME / "kernels"], kernels, (*_SANITIZED, "-r"))
    return kernels


@pytest.mark.variants(keep=3)
@pytest.mark.parametrize("seed", range(12))
def test_sanitizers_find_nothing(seed: int, sanitized_kernels: Path, tmp_path: Path) -> None:
    graph = RandomGraph(seed, 14)
    tflite = graph.bytes()
    compiled = compile_model(tflite, tmp_path)
    arena = np.zeros(compiled.arena_bytes, np.int8)
    for name, values in graph.values.items():
        if name in compiled.arena_places:
            start = compiled.arena_places[name]
            arena[start : start + values.size] = values.reshape(-1)
    (tmp_path / "main.c").write_text(_MAIN)
    sources = [*sorted(tmp_path.glob("*.c")), sanitized_kernels]
    compile_library(sources, [tmp_path, RUNTIME, RUNTIME / "kernels"], tmp_path / "main", _SANITIZED)
    token = str(graph.values["token"][0])
    done = subprocess.run([tmp_path / "main", token], input=arena.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[:2000]
    result, read = np.frombuffer(done.stdout, np.int8), read_tflite(tflite)
    for name, expected in run_on_micro(tflite, graph.values).items():
        start = compiled.arena_places[name]
        assert (result[start : start + read.tensors[read.outputs[name]].size] == expected).all()


def test_the_graphs_are_worth_their_time() -> None:
    """They hold every supported op, TensorFlow Lite Micro takes them, and most of their outputs vary."""
    kinds: set[str] = set()
    varied = []
    for seed in range(40):
        graph = RandomGraph(seed, 10)
        kinds |= graph.kinds
        values = run_on_micro(graph.bytes(), graph.values).values()
        varied += [len(np.unique(array)) > 1 for array in values if array.size > 4]
    assert kinds == set(SUPPORTED) - {"EXPAND_DIMS", "SQUEEZE"}
    assert np.mean(varied) > 0.6
