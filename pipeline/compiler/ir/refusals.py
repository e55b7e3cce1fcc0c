"""What is said of a model that is whole, and not of the form that the compiler knows."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.compiler.ir.graph import Graph, Op
from pipeline.errors import UnsupportedModel

__all__ = ["refused_together", "unsupported"]

_MOST = 30


def unsupported(graph: Graph, op: Op, what: str, supported: str) -> UnsupportedModel:
    """The error of an operator in a form that no kernel has."""
    name = graph.tensors[op.outputs[0]].name
    return UnsupportedModel(f"operator {op.kind} (tensor {name!r}): {what}", f"supported is {supported}")


def refused_together(errors: Sequence[UnsupportedModel]) -> UnsupportedModel:
    """One error of all, of which there is at least one; what is said twice is said once."""
    told = list({str(error): error for error in errors}.values())
    if len(told) == 1:
        return told[0]
    lines = "".join(f"\n  {error.what}; {error.remedy}" for error in told[:_MOST])
    if len(told) > _MOST:
        lines += f"\n  and {len(told) - _MOST:,} more"
    return UnsupportedModel(
        f"the .tflite has {len(told)} things that are not supported{lines}",
        "change each of these in the model that the .tflite is made from; docs/bring-your-own-model.md has "
        "decode steps to begin with",
    )
