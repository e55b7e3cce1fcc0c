"""TensorFlow Lite Micro on the same .tflite, where TFLM_DIR names a built one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.bench.cores import Core
from pipeline.bench.machine import DEVICE, code_bytes, link_script, run
from pipeline.bench.rows import Row
from pipeline.bench.shapes import Model
from pipeline.compiler.backends.tflm import resolver
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.errors import ThimbleError
from pipeline.firmware.tflm_library import CPP_REMEDY, LIBRARY, Library, arch_of, find_libraries
from pipeline.tools import require

__all__ = ["ENGINE", "TOKEN", "build_step", "run_steps", "tflm_rows"]

ENGINE = "TensorFlow Lite Micro"
TOKEN = 5
"""The token of a measured step."""
_SOURCES = "TFLM_DIR is the folder of its sources, in which its Makefile has made `microlite` (docs/benchmarks.md)"


@dataclass(frozen=True)
class Step:
    """One step on the core: tokens in the context, instructions, bytes of arena, and a hash of the logits."""

    fill: int
    instructions: int
    arena_bytes: int
    logits: int


def tflm_rows(core: Core, model: Model, folder: Path) -> Iterator[Row]:
    """A decode step through MicroInterpreter with each library in TFLM_DIR, or one row whose note says why none is.

    Raises:
        ThimbleError: the program does not build, or TensorFlow Lite Micro does not run the model.
    """
    if not core.is_arm:
        yield Row(core.name, ENGINE, model.name, fill=0, note="left out: measured on Arm's cores alone")
        return
    tflm_dir = os.environ.get("TFLM_DIR")
    if not tflm_dir:
        note = "left out: TFLM_DIR names no built TensorFlow Lite Micro (docs/benchmarks.md describes how to build one)"
        yield Row(core.name, ENGINE, model.name, fill=0, note=note)
        return
    libraries = find_libraries(Path(tflm_dir), core.mcpu)
    if not libraries:
        note = f"left out: {tflm_dir} holds no gen/cortex_m_generic_{arch_of(core.mcpu)}_*/lib/{LIBRARY}"
        yield Row(core.name, ENGINE, model.name, fill=0, note=note)
        return
    graph = read_tflite(model.tflite)
    caches = sum(graph.tensors[index].bytes for name, index in graph.inputs.items() if "_cache_" in name)
    products = sum(graph.tensors[op.inputs[1]].size for op in graph.ops if op.kind == "FULLY_CONNECTED")
    for library in libraries:
        image = build_step(core, model.tflite, library, folder / (library.kernels or "reference"))
        for step in run_steps(core, image):
            # It multiplies over the whole context at every step; what is useful of that is counted, as for our engine.
            attention = model.config.layers * 2 * model.config.d_model * (step.fill + 1)
            yield Row(
                core=core.name,
                engine=library.name,
                model=model.name,
                fill=step.fill,
                macs=products + attention,
                instructions=step.instructions,
                code_bytes=code_bytes(image),
                # Its plan overwrites inputs that later operators do not read, so the caches need a place of their own.
                ram_bytes=step.arena_bytes + caches,
            )


def build_step(core: Core, tflite: bytes, library: Library, folder: Path) -> Path:
    """The program that runs steps of a model; the ELF file in `folder`.

    Raises:
        ThimbleError: no Arm compiler, or it complains.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_data.h").write_text(_model_data(tflite), encoding="utf-8")
    script, start, image = link_script(core, folder), folder / "start.o", folder / "program.elf"
    flags = [*core.compile_flags, "-O2", "-ffunction-sections", "-fdata-sections"]
    include = [f"-I{path}" for path in (folder, DEVICE, *library.includes)]
    cpp = ["-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"]
    cpp += [f"-D{name}" for name in library.defines]
    link = ["-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-Wl,--gc-sections", f"-T{script}"]
    c_compiler = require("arm-none-eabi-gcc")
    compiler = c_compiler.with_name(c_compiler.name.replace("gcc", "g++"))
    if not compiler.exists():
        raise ThimbleError(f"there is no {compiler.name} beside {c_compiler}", CPP_REMEDY)
    _run([c_compiler, *flags, "-std=c11", f"-I{DEVICE}", "-c", DEVICE / "start.c", "-o", start])
    _run([compiler, *flags, *cpp, *include, *link, DEVICE / "tflm_step.cc", start, library.path, "-lm", "-o", image])
    return image


def run_steps(core: Core, image: Path) -> list[Step]:
    """The steps that the program took: with an empty, a half full and a full context, whose rows are all zero.

    Raises:
        ThimbleError: no QEMU, or TensorFlow Lite Micro refused the model or failed.
    """
    counted = run(core, image)
    logits = {row.first: row.second for row in counted if row.name == "logits"}
    return [Step(row.first, row.instructions, row.second, logits[row.first]) for row in counted if row.name == "step"]


def _model_data(tflite: bytes) -> str:
    graph = read_tflite(tflite)
    methods = resolver(graph)
    facts = {
        "OPERATORS": len(methods),
        "CONTEXT": graph.tensors[graph.inputs["k_cache_0"]].shape[1],
        "TOKEN": TOKEN,
        "TOKEN_INPUT": graph.input_order.index(graph.inputs["token"]),
        "POSITION_INPUT": graph.input_order.index(graph.inputs["position"]),
        "LOGITS_OUTPUT": graph.output_order.index(graph.outputs["logits"]),
    }
    calls = "".join(f"    resolver.{method}();\n" for method in methods)
    return (
        f"alignas(16) static const unsigned char g_model[{len(tflite)}] = {{{', '.join(map(str, tflite))}}};\n"
        + "".join(f"#define {name} {value}\n" for name, value in facts.items())
        + f"template <typename Resolver> static void add_operators(Resolver &resolver)\n{{\n{calls}}}\n"
    )


def _run(command: list[str | Path]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        marks = ("error:", "undefined", "overflow", "cannot find")
        lines = done.stderr.splitlines()
        first = next((line for line in lines if any(mark in line for mark in marks)), done.stderr[:300])
        no_cpp = "cstring:" in first or "stdc++" in first
        raise ThimbleError(
            f"the TensorFlow Lite Micro benchmark does not build: {first}", CPP_REMEDY if no_cpp else _SOURCES
        )
