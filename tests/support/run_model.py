"""One graph on TensorFlow Lite Micro and as generated C, for equal bytes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import assume
from numpy.typing import NDArray
from tflite_micro.python.tflite_micro import runtime

from pipeline.compiler import CompiledModel, Objective, WeightLayout, compile_model
from pipeline.compiler.frontend.tflite import read_tflite
from pipeline.verification.host_engine import RUNTIME, compile_library
from tests.support.evaluate_graph import evaluate_graph

__all__ = ["Workbench", "run_on_micro"]

Arrays = dict[str, NDArray[np.signedinteger]]
_WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")


def run_on_micro(tflite: bytes, inputs: Mapping[str, NDArray[np.generic]]) -> Arrays:
    """Outputs by name.

    Raises:
        RuntimeError: TensorFlow Lite Micro refuses the model.
    """
    graph = read_tflite(tflite)
    interpreter = runtime.Interpreter.from_bytes(tflite, arena_size=1 << 20)
    for name, index in graph.inputs.items():
        interpreter.set_input(np.array(inputs[name], order="C"), graph.input_order.index(index))
    interpreter.invoke()
    return {
        name: np.array(interpreter.get_output(graph.output_order.index(index))).reshape(-1)
        for name, index in graph.outputs.items()
    }


class Workbench:
    """Compiles generated models against kernels that are compiled once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = count()
        self.kernels = folder / "kernels.o"
        size = folder / "size.c"
        size.write_text('#include "thimble.h"\nconst int model_struct_bytes = sizeof(thimble_model);\n')
        sources = [*sorted((RUNTIME / "kernels").glob("*.c")), size]
        flags = ("-std=c11", "-O2", *_WARNINGS, "-fPIC", "-r")
        compile_library(sources, [RUNTIME, RUNTIME / "kernels"], self.kernels, flags)

    def build(
        self, tflite: bytes, packing: WeightLayout = WeightLayout.INTERLEAVED_2, aim: Objective = Objective.BALANCED
    ) -> tuple[CompiledModel, ctypes.CDLL, Path]:
        """The model as a library; each in a folder of its own."""
        folder = self.folder / str(next(self.numbers))
        folder.mkdir()
        compiled = compile_model(tflite, folder, packing, aim=aim)
        sources = [folder / "model.c", self.kernels]
        flags = ("-std=c11", "-O0", *_WARNINGS, "-fPIC", "-shared")
        compile_library(sources, [folder, RUNTIME, RUNTIME / "kernels"], folder / "model.so", flags)
        return compiled, ctypes.CDLL(str(folder / "model.so")), folder

    def run(
        self,
        tflite: bytes,
        inputs: Mapping[str, NDArray[np.generic]],
        packing: WeightLayout = WeightLayout.INTERLEAVED_2,
        aim: Objective = Objective.BALANCED,
    ) -> Arrays:
        """Outputs by name, of the generated C."""
        compiled, library, _ = self.build(tflite, packing, aim)
        graph = read_tflite(tflite)
        arena = np.full(compiled.arena_bytes + 16, 0x55, np.int8)
        for name, index in graph.inputs.items():
            if name in compiled.arena_places:
                values = np.asarray(inputs[name], graph.tensors[index].dtype.lower()).reshape(-1).view(np.int8)
                start = compiled.arena_places[name]
                arena[start : start + values.size] = values
        numbers = [int(np.asarray(inputs.get(name, 0)).reshape(-1)[0]) for name in ("token", "position")]
        step = _step(library)
        token = ctypes.c_int32(numbers[0])
        step(None, arena.ctypes.data, ctypes.byref(token), 1, numbers[1], 1)
        assert (arena[compiled.arena_bytes :] == 0x55).all(), "wrote beyond the arena"
        outputs = {}
        for name, index in graph.outputs.items():
            start = compiled.arena_places[name]
            dtype = np.dtype(graph.tensors[index].dtype.lower())
            outputs[name] = arena[start : start + dtype.itemsize * graph.tensors[index].size].copy().view(dtype)
        return outputs

    def steps(
        self, tflite: bytes, tokens: Sequence[int], packing: WeightLayout = WeightLayout.INTERLEAVED_2
    ) -> tuple[CompiledModel, list[NDArray[np.signedinteger]]]:
        """The logits of each token of a decode step, of the generated C, from empty caches on."""
        compiled, library, _ = self.build(tflite, packing)
        assert ctypes.c_int.in_dll(library, "model_struct_bytes").value == ctypes.sizeof(_Model), "another thimble.h"
        model = _Model.in_dll(library, "thimble_the_model")
        parts = ctypes.cast(model.cache, ctypes.POINTER(_CachePart * model.cache_parts)).contents
        cache = np.full(model.cache_bytes, 0x5A, np.int8)  # what no token wrote must not matter
        for part in parts:
            cache[part.offset : part.offset + part.bytes] = part.zero_point
        arena = np.full(compiled.arena_bytes + 16, 0x55, np.int8)
        rows = []
        for position, token in enumerate(tokens):
            token_cell = ctypes.c_int32(int(token))
            logits = model.step(cache.ctypes.data, arena.ctypes.data, ctypes.byref(token_cell), 1, position, 1)
            row = (ctypes.c_int8 * (model.logit_bytes * compiled.vocab)).from_address(logits)
            rows.append(np.frombuffer(row, f"i{model.logit_bytes}").copy())
        assert (arena[compiled.arena_bytes :] == 0x55).all(), "wrote beyond the arena"
        return compiled, rows

    def check(
        self,
        tflite: bytes,
        inputs: Mapping[str, NDArray[np.generic]],
        packing: WeightLayout = WeightLayout.INTERLEAVED_2,
        aim: Objective = Objective.BALANCED,
    ) -> None:
        """Equal bytes, also of what the operators say that they compute; a model that TensorFlow Lite Micro refuses is
        not drawn."""
        try:
            expected = run_on_micro(tflite, inputs)
        except RuntimeError:
            assume(False)
            raise
        actual = self.run(tflite, inputs, packing, aim)
        evaluated = evaluate_graph(tflite, inputs)
        for name, values in (evaluated or {}).items():
            assert np.array_equal(values, expected[name]), f"{name}: what the operators compute in NumPy differs"
        for name, values in expected.items():
            different = np.flatnonzero(values != actual[name])
            assert not different.size, (
                f"{name}: {different.size} of {values.size} bytes differ, first at {different[0]}: "
                f"{actual[name][different[0]]}, wanted {values[different[0]]}"
            )


_SIZES = (
    *("vocab", "context", "cache_bytes", "arena_bytes", "cache_parts", "block", "window"),
    *("logit_bytes", "logit_zero_point", "logit_step"),
)


class _CachePart(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_int32), ("bytes", ctypes.c_int32), ("zero_point", ctypes.c_int8))


class _Model(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in _SIZES),
        ("cache", ctypes.c_void_p),
        (
            "step",
            ctypes.CFUNCTYPE(
                ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, *3 * (ctypes.c_int32,)
            ),
        ),
        ("logits", ctypes.CFUNCTYPE(None, ctypes.c_void_p, *2 * (ctypes.c_int32,))),
        ("start", ctypes.c_void_p),
        ("text", ctypes.c_void_p),
        ("data", ctypes.c_void_p),
        ("data_count", ctypes.c_int32),
        ("data_crc", ctypes.c_uint32),
    )


def _step(library: ctypes.CDLL) -> Callable[..., Any]:
    """The model's function `step`."""
    step: Callable[..., Any] = _Model.in_dll(library, "thimble_the_model").step
    return step
