"""TensorFlow Lite Micro on the same .tflite, where TFLM_DIR names an installed one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cores import Core
from benchmarks.machine import DEVICE, code_bytes, link_script, run
from benchmarks.rows import Row
from benchmarks.shapes import Model
from pipeline.compiler.reader import read_tflite
from pipeline.errors import ThimbleError
from pipeline.toolchain import require

__all__ = ["ENGINE", "resolver", "tflm_rows"]

ENGINE = "TensorFlow Lite Micro"
LIBRARY = "libtensorflow-microlite.a"
_METHODS = {"BATCH_MATMUL": "AddBatchMatMul", "FULLY_CONNECTED": "AddFullyConnected", "SELECT_V2": "AddSelectV2"}


def tflm_rows(core: Core, model: Model, folder: Path) -> Iterator[Row]:
    """A decode step through MicroInterpreter; one row with a note where there is no TensorFlow Lite Micro.

    Raises:
        ThimbleError: TFLM_DIR holds no library for this core, or the program does not build.
    """
    given = os.environ.get("TFLM_DIR")
    if not given:
        yield Row(
            core.name, ENGINE, model.name, fill=0, note="left out: TFLM_DIR names no installed TensorFlow Lite Micro"
        )
        return
    library = _library(Path(given), core)
    if library is None:
        note = f"left out: {given} holds no {LIBRARY} for {core.mcpu}"
        yield Row(core.name, ENGINE, model.name, fill=0, note=note)
        return
    image = _build(core, model, Path(given), library, folder)
    fixed = model.config.parameter_count
    for counted in run(core, image):
        yield Row(
            core=core.name,
            engine=ENGINE,
            model=model.name,
            fill=counted.first,
            # The .tflite computes over the whole context at every step; what is useful of it is counted.
            macs=fixed + model.config.layers * 2 * model.config.d_model * (counted.first + 1),
            instructions=counted.instructions,
            code_bytes=code_bytes(image),
            ram_bytes=counted.second,
        )


def resolver(tflite: bytes) -> list[str]:
    """The methods of MicroMutableOpResolver that the model needs."""
    kinds = dict.fromkeys(op.kind for op in read_tflite(tflite).ops)
    return [_METHODS.get(kind, "Add" + "".join(word.capitalize() for word in kind.split("_"))) for kind in kinds]


def _library(folder: Path, core: Core) -> Path | None:
    """The library whose folder names the core, else the only one."""
    found = sorted(folder.rglob(LIBRARY))
    named = [path for path in found if core.mcpu.replace("-", "_") in str(path) or core.mcpu in str(path)]
    return named[0] if named else found[0] if len(found) == 1 and core.key == "m4f" else None


def _build(core: Core, model: Model, tflm: Path, library: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    graph = read_tflite(model.tflite)
    names = {index: name for name, index in graph.inputs.items()}
    numbers = ", ".join(str(value) for value in model.tflite)
    methods = "".join(f"    resolver.{method}();\n" for method in resolver(model.tflite))
    (folder / "model_data.h").write_text(
        f"alignas(16) static const unsigned char g_model[{len(model.tflite)}] = {{{numbers}}};\n"
        f"#define OPERATORS {len(resolver(model.tflite))}\n#define CONTEXT {model.config.context}\n"
        f"#define VOCABULARY {model.config.vocab_size}\n"
        f"#define TOKEN_INPUT {_place(graph.input_order, names, 'token')}\n"
        f"#define POSITION_INPUT {_place(graph.input_order, names, 'position')}\n"
        f"template <typename Resolver> static void add_operators(Resolver &resolver) {{\n{methods}}}\n",
        encoding="utf-8",
    )
    compiler = require("arm-none-eabi-g++")
    script = link_script(core, folder)
    start = folder / "start.o"
    flags = [*core.compile_flags, "-O2", "-ffunction-sections", "-fdata-sections"]
    include = [f"-I{path}" for path in (folder, DEVICE, tflm, tflm / "third_party" / "flatbuffers" / "include")]
    include += [f"-I{tflm / 'third_party' / part}" for part in ("gemmlowp", "ruy", "kissfft")]
    cpp = ["-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-DTF_LITE_STATIC_MEMORY"]
    _run(
        [
            require("arm-none-eabi-gcc"),
            *flags,
            "-std=c11",
            f"-I{DEVICE}",
            "-c",
            str(DEVICE / "start.c"),
            "-o",
            str(start),
        ]
    )
    image = folder / "program.elf"
    link = ["-nostartfiles", "--specs=nosys.specs", "-Wl,--gc-sections", f"-T{script}"]
    _run([compiler, *flags, *cpp, *include, *link, DEVICE / "tflm_step.cc", start, library, "-lm", "-o", image])
    return image


def _place(order: tuple[int, ...], names: dict[int, str], wanted: str) -> int:
    return next(place for place, index in enumerate(order) if names.get(index) == wanted)


def _run(command: list[str | Path]) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:300])
        raise ThimbleError(
            f"the TensorFlow Lite Micro benchmark does not build: {first}",
            "TFLM_DIR is the folder of its sources, with the library that its Makefile's target `microlite` makes",
        )
