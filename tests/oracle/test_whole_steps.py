"""Whole decode steps: the logits of every position equal TensorFlow Lite Micro's, and no sanitizer objects."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.compiler import CompiledModel, Objective, WeightLayout, compile_model
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.compiler.fusions.attention import find_attentions
from pipeline.errors import ThimbleError
from pipeline.verification.host_engine import RUNTIME, HostEngine, compile_library, kernel_sources
from pipeline.verification.oracle import Oracle
from tests.support.build_model import ModelBuilder
from tests.support.decode_steps import with_irregular_mask

pytestmark = pytest.mark.slow


@pytest.fixture(params=list(WeightLayout))
def packing(request: pytest.FixtureRequest) -> WeightLayout:
    return WeightLayout(request.param)


def engine_of(
    tflite: bytes, folder: Path, packing: WeightLayout = WeightLayout.INTERLEAVED_2, aim: Objective = Objective.BALANCED
) -> tuple[CompiledModel, HostEngine]:
    model = folder / "model"
    model.mkdir()
    compiled = compile_model(tflite, model, packing, aim=aim)
    return compiled, HostEngine(model, folder / "build", compiled.vocab, compiled.context)


def assert_equal_steps(
    tflite: bytes, folder: Path, packing: WeightLayout, aim: Objective = Objective.BALANCED
) -> CompiledModel:
    """Two sequences over the whole context, the caches emptied between them."""
    oracle = Oracle(tflite)
    compiled, engine = engine_of(tflite, folder, packing, aim)
    assert (compiled.vocab, compiled.context) == (oracle.vocab, oracle.context)
    random = np.random.default_rng(9)
    distinct = set()
    for _ in range(2):
        oracle.reset()
        engine.reset()
        for position, token in enumerate(random.integers(0, oracle.vocab, oracle.context)):
            expected, actual = oracle.step(int(token)), engine.step(int(token))
            assert (expected == actual).all(), f"position {position}: {(expected != actual).sum()} logits differ"
            distinct.add(expected.tobytes())
    assert len(distinct) > oracle.context, "the logits hardly vary: the test sees too little"
    return compiled


@pytest.mark.variants(keep=2)
def test_fused_attention_equals_the_oracle(decode_step: bytes, packing: WeightLayout, tmp_path: Path) -> None:
    attentions = find_attentions(read_tflite(decode_step))
    assert [attention.layer for attention in attentions] == [0, 1]
    compiled = assert_equal_steps(decode_step, tmp_path, packing)
    assert [layer.kind for layer in compiled.layers].count("attention") == 2
    assert "thimble_batch_matmul_s" not in (tmp_path / "model" / "model.c").read_text()
    assert sum(part.macs for part in compiled.layers) == compiled.macs


@pytest.mark.variants(keep=2)
def test_generic_attention_equals_the_oracle(decode_step: bytes, packing: WeightLayout, tmp_path: Path) -> None:
    tflite = with_irregular_mask(decode_step, 12)
    assert find_attentions(read_tflite(tflite)) == []
    compiled = assert_equal_steps(tflite, tmp_path, packing)
    assert "attention" not in {layer.kind for layer in compiled.layers}
    assert "thimble_batch_matmul_s" in (tmp_path / "model" / "model.c").read_text()


@pytest.mark.variants(keep=1)
def test_greedy_generation_equals_the_oracle(decode_step: bytes, tmp_path: Path) -> None:
    oracle = Oracle(decode_step)
    _, engine = engine_of(decode_step, tmp_path)
    for start in range(6):
        prompt = [start, 7, 3 * start]
        assert engine.generate(prompt, 9, eos=60) == oracle.generate(prompt, 9, eos=60)[0]


@pytest.mark.variants(keep=1)
def test_a_full_context_and_a_wrong_token_are_refused(decode_step: bytes, tmp_path: Path) -> None:
    _, engine = engine_of(decode_step, tmp_path)
    with pytest.raises(ThimbleError, match="vocabulary"):
        engine.step(61)
    with pytest.raises(ThimbleError, match="vocabulary"):
        engine.step(-1)
    for _ in range(12):
        engine.step(1)
    with pytest.raises(ThimbleError, match="full"):
        engine.step(1)


@pytest.mark.variants(keep=1)
def test_compiling_twice_gives_the_same_files(decode_step: bytes, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        compile_model(decode_step, folder)
    for path in sorted(folders[0].iterdir()):
        assert path.read_bytes() == (folders[1] / path.name).read_bytes()


_MAIN = """\
#include <stdio.h>

#include "model.h"

static _Alignas(16) unsigned char memory[THIMBLE_MODEL_MEMORY_BYTES];

int main(void)
{
    thimble_context context;
    if (thimble_init(&context, &thimble_the_model, memory, sizeof memory) != THIMBLE_OK) {
        return 1;
    }
    uint32_t state = 1;
    for (int32_t i = 0; i < THIMBLE_MODEL_CONTEXT; i++) {
        const void *logits = 0;
        state = state * 1664525u + 1013904223u;
        if (thimble_step(&context, (int32_t)((state >> 16) % THIMBLE_MODEL_VOCAB), &logits) != THIMBLE_OK) {
            return 2;
        }
        fwrite(logits, THIMBLE_MODEL_LOGIT_BYTES, THIMBLE_MODEL_VOCAB, stdout);
    }
    return 0;
}
"""


@pytest.mark.variants(keep=2)
@pytest.mark.parametrize("fused", [True, False])
def test_sanitizers_find_nothing(decode_step: bytes, fused: bool, packing: WeightLayout, tmp_path: Path) -> None:
    tflite = decode_step if fused else with_irregular_mask(decode_step, 12)
    _, engine = engine_of(tflite, tmp_path, packing)
    assert_clean(engine, tmp_path)


def assert_clean(engine: HostEngine, folder: Path) -> None:
    """The engine's model, with sanitizers, gives the same logits and no complaint."""
    main, model = folder / "main.c", folder / "model"
    main.write_text(_MAIN)
    sources = [main, *model.glob("*.c"), RUNTIME / "thimble.c", *kernel_sources(model)]
    flags = ("-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    compile_library(sources, [model, RUNTIME, RUNTIME / "kernels"], folder / "main", flags)
    done = subprocess.run([folder / "main"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[:2000]
    state, expected = 1, b""
    for _ in range(engine.context):
        state = (state * 1664525 + 1013904223) % 2**32
        expected += engine.step((state >> 16) % engine.vocab).tobytes()
    assert done.stdout == expected


def test_a_graph_that_is_no_decode_step_is_no_oracle() -> None:
    model = ModelBuilder()
    source, out = model.input("x", (4,), 0.1), model.tensor((4,), 0.2)
    model.op("RELU", [source], [out])
    with pytest.raises(ThimbleError, match="no decode step: it lacks token, position, k_cache_0"):
        Oracle(model.bytes({"y": out}))
