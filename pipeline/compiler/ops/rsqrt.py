"""RSQRT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.compiler.ir.graph import Op, Tensor
from pipeline.compiler.ops.checks import same_shape_check
from pipeline.compiler.ops.operator import Form, Operator, always, by_table
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]

_MAX_SHIFT = 29  # a root of 1 as 2^20 stays below 2^30


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    (tensor,), (x,) = operands, values
    root = np.sqrt(np.float32(tensor.scales[0])) * np.float32(out.scales[0])
    multiplier, shift = fp.quantize_multiplier(1.0 / float(root))
    if shift > _MAX_SHIFT:
        return None
    result = np.full(x.shape, 127, np.int64)
    for index, value in enumerate((x - tensor.zero_point).tolist()):
        if value > 0:
            inverse, inverse_shift = fp.inverse_sqrt_multiplier(value)
            data = int(fp.multiply(1, inverse, inverse_shift + 20))
            result[index] = np.clip(int(fp.multiply(data, multiplier, shift - 20)) + out.zero_point, -128, 127)
    return result


_FORM = Form(same_shape_check, version=3)
OPERATORS = (Operator("RSQRT", "INT8", by_table, (), _evaluate, 1, always, form=_FORM),)
