"""All operators that a .tflite may hold, by kind and type of activations.

An operator's file gives `OPERATORS`, a row for each type; it is listed here.
"""

from __future__ import annotations

from pipeline.compiler.ops import (
    add,
    batch_matmul,
    concatenation,
    fully_connected,
    gather,
    hard_swish,
    leaky_relu,
    mean,
    mul,
    quantize,
    relu,
    reshape,
    rsqrt,
    sigmoid,
    softmax,
    split,
    squared_difference,
    strided_slice,
    transpose,
)
from pipeline.compiler.ops.operator import Form, Operator

__all__ = ["ELEMENTWISE", "FORMS", "OPERATORS", "SUPPORTED", "operator_of"]

_MODULES = (
    *(add, batch_matmul, concatenation, fully_connected, gather, hard_swish, leaky_relu, mean, mul, quantize, relu),
    *(reshape, rsqrt, sigmoid, softmax, split, squared_difference, strided_slice, transpose),
)
OPERATORS: dict[tuple[str, str], Operator] = {
    (operator.kind, operator.dtype): operator for module in _MODULES for operator in module.OPERATORS
}
SUPPORTED: tuple[str, ...] = tuple(sorted({kind for kind, _ in OPERATORS}))
"""The kinds, for either type."""
FORMS: dict[str, Form] = {kind: operator.form for (kind, _), operator in OPERATORS.items()}
"""What a .tflite may say of each kind."""
ELEMENTWISE: dict[str, Operator] = {
    kind: operator for (kind, dtype), operator in OPERATORS.items() if operator.evaluate and dtype == "INT8"
}
"""The int8 operators that compute each element by itself."""


def operator_of(kind: str, dtype: str) -> Operator | None:
    """The operator for a type of activations; None where there is none."""
    return OPERATORS.get((kind, dtype))
