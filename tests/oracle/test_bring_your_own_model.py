"""The decode steps of docs/bring-your-own-model.md, as they stand there: converted, compiled and proven."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.commands.main import main
from pipeline.resources import ROOT
from pipeline.verification.host_engine import compile_library
from tests.support.attention_step import AttentionSpec, attention_step
from tests.support.changed_tflite import one_product

PAGE = ROOT / "docs" / "bring-your-own-model.md"
PROGRAMS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))


@pytest.mark.variants(keep=1)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fused", "missed"),
    [
        ("layernorm_step", "2 attention, 5 norm", 0),
        ("rmsnorm_step", "2 attention, 2 gate, 5 norm", 0),
        ("keras_step", "2 attention, 12 table", 10),  # LayerNormalization is computed in parts
    ],
)
def test_a_step_of_the_page(
    name: str, fused: str, missed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for program, text in PROGRAMS.items():
        (tmp_path / program).write_text(text, encoding="utf-8")
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, f"{name}.py"], cwd=tmp_path, env=quiet, check=True, capture_output=True)
    out = tmp_path / "c"
    assert main(["compile", str(tmp_path / f"{name}.tflite"), "--out", str(out), "--prove", "--report"]) == 0
    printed = capsys.readouterr().out
    assert "64 steps of random tokens equal TensorFlow Lite Micro's to the byte" in printed
    assert fused in printed and printed.count("not fused") == missed


def test_the_runtime_comes_with_it_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And is enough: all of it is compiled and linked by itself."""
    step = tmp_path / "step.tflite"
    step.write_bytes(attention_step(AttentionSpec(kv_heads=1, group=2, head_dim=8)))
    assert main(["compile", str(step), "--out", str(tmp_path / "c"), "--with-runtime"]) == 0
    runtime = tmp_path / "c" / "runtime"
    flags = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-Wl,--no-undefined")
    sources = [*(tmp_path / "c").rglob("*.c")]
    compile_library(sources, [tmp_path / "c", runtime, runtime / "kernels"], tmp_path / "model.so", flags)
    assert main(["compile", str(step), "--out", str(tmp_path / "d")]) == 0
    assert "--with-runtime copies them" in capsys.readouterr().out and not (tmp_path / "d" / "runtime").exists()


def test_models_of_two_names_link_into_one_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a name does not change what is computed."""
    sources: dict[str, Path] = {}
    for name, seed in (("one", 1), ("the_other", 2)):
        step, out = tmp_path / f"{name}.tflite", tmp_path / name
        step.write_bytes(attention_step(AttentionSpec(kv_heads=1, group=2, head_dim=8, seed=seed)))
        assert main(["compile", str(step), "--out", str(out), "--name", name, "--with-runtime", "--prove"]) == 0
        assert {path.name for path in out.glob("*.?")} == {f"{name}.c", f"{name}.h", f"{name}_data.h"}
        sources |= {path.name: path for path in out.rglob("*.c")}
    flags = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-Wl,--no-undefined")
    folders = [tmp_path / "one", tmp_path / "the_other"]
    includes = [*folders, folders[0] / "runtime", folders[0] / "runtime" / "kernels"]
    compile_library(list(sources.values()), includes, tmp_path / "models.so", flags)
    library = ctypes.CDLL(str(tmp_path / "models.so"))
    assert ctypes.c_int32.in_dll(library, "thimble_the_one").value > 0
    assert ctypes.c_int32.in_dll(library, "thimble_the_the_other").value > 0
    assert "equal TensorFlow Lite Micro's" in capsys.readouterr().out
    assert main(["compile", str(step), "--out", str(tmp_path / "bad"), "--name", "My Model"]) == 1
    assert "my_model" in capsys.readouterr().err and not (tmp_path / "bad").exists()


def test_what_is_no_step_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hello.tflite").write_bytes(one_product())
    assert main(["compile", str(tmp_path / "hello.tflite"), "--out", str(tmp_path / "c")]) == 1
    printed = capsys.readouterr().err
    assert "no decode step" in printed and "k_new_i" in printed and "nothing fills its inputs x" in printed
    assert not [*(tmp_path / "c").rglob("*")]
