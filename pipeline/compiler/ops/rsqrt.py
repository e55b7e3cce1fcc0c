"""RSQRT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.compiler.ir.graph import Op, Tensor
from pipeline.compiler.ops.operator import Operator, always, by_table
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int:
    (tensor,), (x,) = operands, values
    root = np.sqrt(np.float32(tensor.scales[0])) * np.float32(out.scales[0])
    multiplier, shift = fp.quantize_multiplier(1.0 / float(root))
    result = np.full(x.shape, 127, np.int64)
    for index, value in enumerate((x - tensor.zero_point).tolist()):
        if value > 0:
            inverse, inverse_shift = fp.inverse_sqrt_multiplier(value)
            data = int(fp.multiply(1, inverse, inverse_shift + 20))
            result[index] = np.clip(int(fp.multiply(data, multiplier, shift - 20)) + out.zero_point, -128, 127)
    return result


OPERATORS = (Operator("RSQRT", "INT8", by_table, (), _evaluate, 1, always),)
