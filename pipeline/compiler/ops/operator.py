"""What an operator is: which tensors it takes, what it computes, and how it becomes kernel calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.lowering import Lowering
from pipeline.errors import UnsupportedModel
from pipeline.numerics import fixed_point as fp

__all__ = ["Compute", "Evaluate", "Form", "Operator", "always", "by_table", "one_row"]

Check = Callable[[Graph, Op], Iterator[UnsupportedModel]]
"""What of an operator, whose inputs and outputs are there and of a known type, is not supported."""

Evaluate = Callable[[Op, Sequence[Tensor], Tensor, Sequence[fp.Int]], fp.Int | None]
"""What an element-wise operator computes, exactly: of the operator, its operands, its output, and the operands' values
as int64 arrays, the output's values. None where the scales are beyond what TensorFlow Lite Micro or the kernels take:
`lower` refuses these."""

Compute = Callable[[Op, Sequence[Tensor], Sequence[Tensor], Sequence[fp.Int]], list[fp.Int]]
"""What any other operator computes, exactly: of the operator, its inputs (absent ones left out), its outputs, and the
values of all inputs, constants among them, as int64 arrays of their shapes, the values of all outputs, each of as many
elements as its tensor. The scales are ones that `lower` takes."""


@dataclass(frozen=True)
class Form:
    """What a .tflite may say of an operator (`frontend.check`).

    `check` gives what else must hold, of shapes, types, options and constants; what depends on scales is `lower`'s.
    `options` is the schema's name of its options, and `needs_options` says that these have no usual values. There are
    `inputs` of it, least and most, the last ones optional, and `outputs`. `version` is the highest that is known;
    `activation`: whether RELU, RELU6 or RELU_N1_TO_1 may be fused into it. `integers` are the inputs that are int32 or
    int64 constants or indices, `per_channel` the one that may have several scales, which it has for its first axis.
    """

    check: Check
    options: str = ""
    inputs: tuple[int, int] = (1, 1)
    outputs: tuple[int, int] = (1, 1)
    version: int = 1
    activation: bool = False
    needs_options: bool = False
    integers: tuple[int, ...] = ()
    per_channel: int = -1


def _fusion(graph: Graph, op: Op) -> Iterator[UnsupportedModel]:
    """Of a fusion, which is in no .tflite."""
    yield from ()


@dataclass(frozen=True)
class Operator:
    """An operator for one type of activations, INT8 or INT16.

    `kind` is the .tflite's name, or that of a fusion. `lower` checks it and adds its calls, of the `kernels` (none
    where it is layout alone, or where a table computes it). What it computes is `evaluate` of an element-wise operator,
    which has `arity` operands, and `compute` of any other; `results` asks either. `writes_rows` says whether it can
    leave gaps between the rows of its output, as the inputs of a concatenation lie. `deferred`: it is computed where it
    is first read. `form` is the same for both types.
    """

    kind: str
    dtype: str
    lower: Callable[[Lowering, Op], None]
    kernels: tuple[str, ...] = ()
    evaluate: Evaluate | None = None
    arity: int = 0
    writes_rows: Callable[[Graph, Op], bool] | None = None
    deferred: bool = False
    form: Form = Form(_fusion)
    compute: Compute | None = None

    def results(
        self, op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]
    ) -> list[fp.Int] | None:
        """What it computes, as `Compute` has it; None where its scales are refused, or it is a fusion."""
        if self.compute is not None:
            return self.compute(op, inputs, outputs, values)
        if self.evaluate is None:
            return None
        flat = [each.reshape(-1) for each in np.broadcast_arrays(*values)]
        found = self.evaluate(op, inputs, outputs[0], flat)
        return None if found is None else [found]


def always(graph: Graph, op: Op) -> bool:
    """Of operators that can write into a part of each row."""
    return True


def one_row(graph: Graph, op: Op) -> bool:
    """Of operators that write one row after the other without gaps."""
    return graph.tensors[op.outputs[0]].rows == 1


def by_table(ctx: Lowering, op: Op) -> None:
    """Of operators that `fusions.table` computes wherever it can: what comes here is refused.

    Raises:
        ThimbleError: always.
    """
    raise ctx.unsupported(
        op,
        "its input is constant or quantized by channel, or its output's scale is far below the input's",
        "one int8 tensor with one scale",
    )
