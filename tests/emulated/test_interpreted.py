"""The engine `tflm`: what is generated, what is missing, and with a built TensorFlow Lite Micro the real thing."""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from pipeline import tools
from pipeline.bench.shapes import random_step
from pipeline.commands.main import main
from pipeline.compiler.backends.tflm import resolver, write_interpreted
from pipeline.compiler.backends.tflm_support import require_support
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.device.protocol import Device
from pipeline.emulators.qemu import Qemu
from pipeline.errors import DeviceError, ThimbleError
from pipeline.firmware.build import build_project
from pipeline.firmware.project import write_project
from pipeline.firmware.tflm_library import KERNELS, find_libraries, require_library
from pipeline.network.tf_setup import no_native_log
from pipeline.recipes.schema import ModelConfig
from pipeline.resources import ROOT
from pipeline.targets.boards import Board
from pipeline.text.codec import PlainCodec
from pipeline.text.tokenizers.byte_bpe import EOS, Tokenizer
from pipeline.verification.checks import reference_run, verify
from pipeline.verification.oracle import Oracle
from pipeline.verification.tflm_arena import ALIGNMENT, arena_on_host

CONTEXT, WINDOW, SINKS = 20, 12, 2


def config(vocab: int, **changes: object) -> ModelConfig:
    sizes = {"d_model": 32, "layers": 2, "heads": 4, "kv_heads": 2, "ffn_dim": 44, "positions": "rotary"}
    return ModelConfig.from_mapping({**sizes, "vocab_size": vocab, "context": CONTEXT, **changes})


@pytest.fixture(scope="module")
def step(tokenizer: Tokenizer) -> bytes:
    return random_step(config(tokenizer.vocab_size))


def quantized(settings: ModelConfig, activations: str) -> bytes:
    """An untrained model's decode step."""
    from pipeline.network.tf_setup import load_tensorflow

    load_tensorflow()
    import tf_keras as keras

    from pipeline.network.decoder import build_decoder
    from pipeline.quantize.ptq import quantize

    keras.utils.set_random_seed(5)
    model = build_decoder(settings)
    random = np.random.default_rng(5)
    for variable in model.trainable_variables:
        variable.assign(variable * 2 + random.normal(0, 0.05, variable.shape))
    calibration = [list(map(int, random.integers(0, settings.vocab_size, settings.context))) for _ in range(3)]
    return quantize(model, settings, calibration, activations)


def project(
    tflite: bytes, folder: Path, tokenizer: Tokenizer, board: Board, kernels: str, arena: int | None = None
) -> Path:
    """A generated project; the arena is the host's, where none is given."""
    model = folder / "model"
    model.mkdir(parents=True)
    write_interpreted(tflite, 1, arena or arena_on_host(tflite), model)
    write_project(model, PlainCodec(tokenizer), board, "interpreted", folder / "project", kernels)
    return folder / "project"


@pytest.fixture(params=list(KERNELS), ids=list(KERNELS.values()))
def kernels(request: pytest.FixtureRequest, board: Board) -> str:
    """Each set of kernels that TFLM_DIR has a library with."""
    tflm_dir = os.environ.get("TFLM_DIR")
    if not tflm_dir:
        pytest.skip("TFLM_DIR names no built TensorFlow Lite Micro: docs/tflm.md describes how to build one")
    if not any(library.kernels == request.param for library in find_libraries(Path(tflm_dir), board.core)):
        pytest.skip(f"{tflm_dir} holds no library for {board.core} with these kernels")
    return str(request.param)


def test_the_arena_is_the_smallest_one(step: bytes) -> None:
    from tflite_micro.python.tflite_micro import runtime

    size = arena_on_host(step)
    runtime.Interpreter.from_bytes(step, arena_size=size)
    with no_native_log(), pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(step, arena_size=size - ALIGNMENT)


def test_what_is_generated(step: bytes, tmp_path: Path, tokenizer: Tokenizer, board: Board) -> None:
    """The .tflite is in the project to the byte, and each of its operators; none of our kernels is."""
    folder = project(step, tmp_path, tokenizer, board, "cmsis_nn", 40_000)
    numbers = (folder / "model" / "model_data.c").read_text().split("= {")[1].split("}")[0]
    assert bytes(int(word) for word in numbers.replace("\n", " ").split(",") if word.strip()) == step
    operators = (folder / "model" / "model_operators.h").read_text()
    methods = resolver(read_tflite(step))
    assert all(f"resolver.{method}()" in operators for method in methods)
    assert f"MicroMutableOpResolver<{len(methods)}>" in operators
    assert {path.name for path in (folder / "runtime" / "kernels").glob("*.c")} == {"thimble_turn.c"}
    assert "ARENA_BYTES 40000" in (folder / "model" / "model.h").read_text()
    assert "{{" not in (folder / "cmake" / "tflm.cmake").read_text()
    assert "interpreter/" in (folder / "README.md").read_text()


@pytest.mark.usefixtures("cpp_for_arm")
def test_what_is_missing_is_reported(
    step: bytes, tmp_path: Path, tokenizer: Tokenizer, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the pipeline, and by CMake alone."""
    monkeypatch.delenv("TFLM_DIR", raising=False)
    with pytest.raises(ThimbleError, match="TFLM_DIR is not set") as raised:
        require_library("cortex-m4", "cmsis_nn")
    assert "OPTIMIZED_KERNEL_DIR=cmsis_nn" in raised.value.remedy and "cortex-m4+fp" in raised.value.remedy
    folder = project(step, tmp_path / "a", tokenizer, board, "", 40_000)
    with pytest.raises(ThimbleError, match="TFLM_DIR is not set"):
        build_project(folder, tmp_path / "build")
    monkeypatch.setenv("TFLM_DIR", str(tmp_path))
    with pytest.raises(ThimbleError, match=r"holds no library for cortex-m4\+fp with reference"):
        require_library("cortex-m4", "")
    with pytest.raises(ThimbleError, match="TFLM_DIR holds no library for"):
        build_project(folder, tmp_path / "build2")


def test_a_missing_cpp_compiler_is_reported(step: bytes, tmp_path: Path, tokenizer: Tokenizer, board: Board) -> None:
    """CMake's own message would name neither what is missing nor its package."""
    gcc, cmake = tools.require("arm-none-eabi-gcc"), tools.require("cmake")
    programs = tmp_path / "tools" / "bin"
    programs.mkdir(parents=True)
    for path in gcc.parent.glob("arm-none-eabi-*"):
        if not path.name.endswith("g++"):
            (programs / path.name).symlink_to(path)
    folder = project(step, tmp_path, tokenizer, board, "cmsis_nn", 40_000)
    command = [cmake, "-S", folder, "-B", tmp_path / "build", "-G", "Ninja", f"-DARM_TOOLCHAIN={programs.parent}"]
    command.append(f"-DCMAKE_MAKE_PROGRAM={tools.require('ninja')}")
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode and "there is no C++ for Arm" in done.stderr and "libstdc++-arm-none-eabi" in done.stderr


def test_the_command_line_tells_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TFLM_DIR", raising=False)
    recipe = str(ROOT / "models" / "home-en-nano" / "recipe.yaml")
    assert main(["run", recipe, "--build", str(tmp_path), "--engine", "onnx"]) == 1
    assert "aot, tflm, tflm-reference" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["int8", "plain", "int16", "window", "strided"])
def test_logits_equal_the_oracle(kind: str, kernels: str, tmp_path: Path, tokenizer: Tokenizer, board: Board) -> None:
    """To the byte at every step, with CMSIS-NN's kernels and the reference ones, and past the window."""
    changes: dict[str, dict[str, object]] = {
        "plain": {"norm": "layernorm", "ffn": "relu", "positions": "learned", "kv_heads": 4},
        "window": {"context": 3 * WINDOW, "window": WINDOW, "sinks": SINKS},
        "strided": {"context": 3 * WINDOW, "window": WINDOW, "sinks": SINKS, "stride": 9},
    }
    settings = config(tokenizer.vocab_size, **changes.get(kind, {}))
    tflite = quantized(settings, "int16" if kind == "int16" else "int8")
    if kind == "int16" and kernels == "cmsis_nn":
        pytest.skip("CMSIS-NN refuses int16 activations with a scale a row of weights: a test of its own")
    folder = project(tflite, tmp_path, tokenizer, board, kernels)
    firmware = build_project(folder, tmp_path / "build")
    oracle = Oracle(tflite)
    with Device(Qemu().start(firmware.elf, board)) as device:
        if kind in ("window", "strided"):
            prompts = ([1, 5, 9, 2, last] for last in range(70, 100))
            prompt = next(
                candidate for candidate in prompts if len(oracle.generate(candidate, 3 * WINDOW, EOS)[0]) > 2 * WINDOW
            )
            oracle.reset()
            answer = device.generate(prompt, 3 * WINDOW)
            assert len(answer.steps) > 2 * WINDOW
            for step_result in answer.steps:
                assert step_result.crc == zlib.crc32(oracle.step(step_result.token).tobytes()), step_result.position
            return
        expectations = [
            reference_run(oracle, PlainCodec(tokenizer), CONTEXT, text, CONTEXT) for text in ("turn on", "x")
        ]
        verification = verify(
            device,
            expectations,
            macs_per_step=1,
            kv_cache_bytes=1 << 14,
            instructions_per_tick=40,
            weights_crc=firmware.weights_crc,
            build_id=firmware.build_id,
        )
    assert not verification.failures and all(verification.checks.values())


def test_a_refusal_is_told_before_the_build(tokenizer: Tokenizer) -> None:
    """CMSIS-NN's int16 with a scale a row; the reference kernels take it."""
    graph = read_tflite(quantized(config(tokenizer.vocab_size), "int16"))
    require_support(graph, "")
    with pytest.raises(ThimbleError, match="refuses int16 activations") as raised:
        require_support(graph, "cmsis_nn")
    assert "tflm-reference" in raised.value.remedy


@pytest.mark.slow
def test_cmsis_nn_refuses_int16_on_the_device(kernels: str, tmp_path: Path, tokenizer: Tokenizer, board: Board) -> None:
    """So the pipeline's refusal is no guess; a newer library that takes it fails this test."""
    if kernels != "cmsis_nn":
        pytest.skip("the reference kernels take it")
    folder = project(quantized(config(tokenizer.vocab_size), "int16"), tmp_path, tokenizer, board, kernels)
    firmware = build_project(folder, tmp_path / "build")
    with pytest.raises(DeviceError, match="init"), Device(Qemu().start(firmware.elf, board)):
        pass


@pytest.mark.slow
def test_the_arena_on_the_device(step: bytes, kernels: str, tmp_path: Path, tokenizer: Tokenizer, board: Board) -> None:
    """The firmware reports the smallest arena; one of that size runs, and a smaller one fails at start."""
    on_host = arena_on_host(step)
    probe_firmware = build_project(
        project(step, tmp_path / "asked", tokenizer, board, kernels), tmp_path / "build", test_commands=True
    )
    with Device(Qemu().start(probe_firmware.elf, board)) as device:
        smallest = int(device.request("ARENA")[-1].split("=")[1])
        before = device.ask("x", 3)
        used = int(device.request("INFO")[-1].split("arena_used=")[1])
    assert used <= smallest <= on_host and smallest % ALIGNMENT == 0
    for arena, runs in ((smallest, True), (smallest - ALIGNMENT, False)):
        folder = tmp_path / str(arena)
        elf = build_project(project(step, folder, tokenizer, board, kernels, arena), folder / "build").elf
        if not runs:
            with pytest.raises(DeviceError, match="init"), Device(Qemu().start(elf, board)):
                pass
            continue
        with Device(Qemu().start(elf, board)) as device:
            assert [step_result.crc for step_result in device.ask("x", 3).steps] == [
                step_result.crc for step_result in before.steps
            ]
    shutil.rmtree(tmp_path / "asked")
