"""From a full-integer .tflite to C.

`frontend` reads the bytes into a graph (`ir.graph`). `api` has the list of passes: those of `fusions` and `passes` make
another graph of it, `passes.lower_graph` looks each operator up in `ops` and `fusions` and makes a program of kernel
calls (`ir.program`), for which `encodings` hold the weights; further passes order and group the calls, and find the
loop over layers. `backends.c` prints the program. Nothing here imports TensorFlow.
"""

from __future__ import annotations

from pipeline.compiler.api import PREFILL_BLOCK, call_records, compile_decode_step, compile_model, explain
from pipeline.compiler.backends.c.model import Packaging
from pipeline.compiler.compiled import CompiledModel, Explanation, Layer, StoredProduct
from pipeline.compiler.encodings.choose import Objective
from pipeline.targets.cores import WeightLayout, packing_of_core

__all__ = [
    "PREFILL_BLOCK",
    "CompiledModel",
    "Explanation",
    "Layer",
    "Objective",
    "Packaging",
    "StoredProduct",
    "WeightLayout",
    "call_records",
    "compile_decode_step",
    "compile_model",
    "explain",
    "packing_of_core",
]
