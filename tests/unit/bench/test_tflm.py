"""TensorFlow Lite Micro as a peer: what stands in TFLM_DIR, and real steps where it is set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.bench.cores import CORES
from pipeline.bench.shapes import Model, product_tflite, random_step
from pipeline.bench.tflm import TOKEN, build_step, run_steps, tflm_rows
from pipeline.compiler.backends.tflm import resolver
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.errors import ThimbleError
from pipeline.firmware.tflm_library import find_libraries
from pipeline.recipes.schema import ModelConfig
from pipeline.verification.oracle import Oracle

CONFIG = ModelConfig.from_mapping(
    {
        **{"vocab_size": 61, "d_model": 32, "layers": 2, "heads": 4, "kv_heads": 2, "ffn": "gated", "ffn_dim": 44},
        **{"norm": "rmsnorm", "positions": "rotary", "context": 12},
    }
)
M4F = CORES["m4f"]
PRODUCTS = CONFIG.vocab_size * 32 + CONFIG.layers * 32 * (3 * 32 + 3 * 44)
"""Multiply-accumulates of a step's weights: two key-value heads of four make W_k and W_v half as large."""
CACHES = CONFIG.layers * 2 * CONFIG.context * CONFIG.d_model // 2


def library(tflm: Path, folder: str) -> Path:
    path = tflm / "gen" / folder / "lib" / "libtensorflow-microlite.a"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"!<arch>\n")
    return path


@pytest.fixture(scope="module")
def step() -> bytes:
    return random_step(CONFIG)


@pytest.fixture
def tflm() -> Path:
    """A built TensorFlow Lite Micro."""
    tflm_dir = os.environ.get("TFLM_DIR")
    if not tflm_dir:
        pytest.skip("TFLM_DIR names no built TensorFlow Lite Micro: docs/benchmarks.md describes how to build one")
    assert find_libraries(Path(tflm_dir), M4F.mcpu), f"{tflm_dir} holds no library for Cortex-M4F"
    return Path(tflm_dir)


def hash_of_logits(logits: NDArray[np.signedinteger]) -> int:
    """FNV-1a of the logits' bytes, the lower 31 bits: what tflm_step.cc prints."""
    value = 2166136261
    for byte in logits.tobytes():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value & 0x7FFFFFFF


def test_a_row_says_why_it_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = Model("nano", b"", CONFIG)
    monkeypatch.delenv("TFLM_DIR", raising=False)
    (row,) = tflm_rows(M4F, model, tmp_path)
    assert row.instructions is None and "TFLM_DIR" in row.note
    monkeypatch.setenv("TFLM_DIR", str(tmp_path))
    (row,) = tflm_rows(M4F, model, tmp_path)
    assert row.instructions is None and str(tmp_path) in row.note and "cortex-m4+fp" in row.note


def test_libraries_of_a_core(tmp_path: Path) -> None:
    library(tmp_path, "cortex_m_generic_cortex-m4_default_gcc")  # its floats are in integer registers
    library(tmp_path, "cortex_m_generic_cortex-m55_default_cmsis_nn_gcc")
    library(tmp_path, "cortex_m_generic_cortex-m4+fp_debug_gcc")
    plain = library(tmp_path, "cortex_m_generic_cortex-m4+fp_default_gcc")
    library(tmp_path, "cortex_m_generic_cortex-m4+fp_default_cmsis_nn_gcc")
    fast = library(tmp_path, "cortex_m_generic_cortex-m4+fp_release_with_logs_cmsis_nn_gcc")
    libraries = find_libraries(tmp_path, M4F.mcpu)
    assert [tflm_library.path for tflm_library in libraries] == [fast, plain]
    assert [tflm_library.name.split(", ")[1] for tflm_library in libraries] == ["CMSIS-NN", "reference"]
    assert find_libraries(tmp_path, "cortex-m3") == []


def test_operators_and_hash() -> None:
    assert resolver(read_tflite(product_tflite(16, 8))) == ["AddFullyConnected"]
    # The published value of FNV-1a for "a" is e40c292c.
    assert hash_of_logits(np.array([ord("a")], np.int8)) == 0x640C292C


@pytest.mark.usefixtures("cpp_for_arm")
def test_a_folder_without_sources_is_reported(step: bytes, tmp_path: Path) -> None:
    library(tmp_path, "cortex_m_generic_cortex-m4+fp_default_gcc")
    (tflm_library,) = find_libraries(tmp_path, M4F.mcpu)
    with pytest.raises(ThimbleError, match=r"tensorflow/lite/micro/.*No such file") as raised:
        build_step(M4F, step, tflm_library, tmp_path / "build")
    assert "docs/benchmarks.md" in str(raised.value)


@pytest.mark.slow
def test_steps_equal_the_oracle(step: bytes, tflm: Path, tmp_path: Path) -> None:
    """On the emulated core each kernel set gives the logits that TensorFlow Lite Micro gives on the host."""
    oracle = Oracle(step)
    for library in find_libraries(tflm, M4F.mcpu):
        steps = run_steps(M4F, build_step(M4F, step, library, tmp_path / library.kernels))
        assert [step_result.fill for step_result in steps] == [0, 6, 11]
        for step_result in steps:
            oracle.reset()
            oracle.position = step_result.fill
            assert step_result.logits == hash_of_logits(oracle.step(TOKEN)), (library.name, step_result.fill)
        assert len({step_result.logits for step_result in steps}) == 3
        counts = [step_result.instructions for step_result in steps]
        assert counts == sorted(counts) and counts[0] > PRODUCTS, "SOFTMAX takes longer as the context fills"
        assert len({step_result.arena_bytes for step_result in steps}) == 1 and steps[0].arena_bytes > CACHES


@pytest.mark.slow
def test_a_refused_model_is_reported(step: bytes, tflm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.bench.tflm.resolver", lambda graph: ["AddMul"])
    chosen = find_libraries(tflm, M4F.mcpu)[-1]
    image = build_step(M4F, step, chosen, tmp_path)
    words = (
        "refuses the model" if chosen.build == "release" else r"op code GATHER.*refuses the model"
    )  # release has none
    with pytest.raises(ThimbleError, match=words):
        run_steps(M4F, image)
