"""HARD_SWISH: x · min(max(x + 3, 0), 6) / 6; TensorFlow Lite Micro has it for int8 alone.

The arithmetic is that of its reference kernel, in int16 and with roundings of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.compiler.arithmetic_s16 import HIGH, LOW, reduced
from pipeline.compiler.ir.graph import Op, Tensor
from pipeline.compiler.ops.checks import same_shape_check
from pipeline.compiler.ops.operator import Form, Operator, always, by_table
from pipeline.numerics import fixed_point as fp

__all__ = ["OPERATORS"]


def _scale(real: np.float32) -> tuple[int, int]:
    multiplier, exponent = fp.quantize_multiplier(float(real))
    return reduced(multiplier), exponent


def _truncated(product: fp.Int) -> fp.Int:
    """product / 2^15 towards zero, within int16."""
    return np.asarray(np.minimum(np.sign(product) * (np.abs(product) >> 15), HIGH))


def _high(x: fp.Int, multiplier: int) -> fp.Int:
    """gemmlowp's rounding, doubling high product of int16 values."""
    product = x * multiplier
    return _truncated(product + np.where(product >= 0, 1 << 14, 1 - (1 << 14)))


def _evaluate(op: Op, operands: Sequence[Tensor], out: Tensor, values: Sequence[fp.Int]) -> fp.Int | None:
    (tensor,), (x,) = operands, values
    fine = np.float32(1 / 128) * np.float32(tensor.scales[0])
    multiplier, exponent = _scale(fine / np.float32(out.scales[0]))
    relu_multiplier, relu_exponent = _scale(fine / (np.float32(3.0) / np.float32(32768.0)))
    if exponent > 0 or relu_exponent > 30:
        return None  # TensorFlow Lite Micro refuses it
    shifted = (x - tensor.zero_point) * 128
    share = shifted  # of x: 0 to 1 as 0 to 2^15
    if relu_exponent > 0:
        share = np.clip(share << (relu_exponent - 1), LOW, HIGH)
    share = _high(share, relu_multiplier)
    if relu_exponent > 0:
        share = np.clip(share << 1, LOW, HIGH)
    elif relu_exponent < 0:
        share = fp.rounding_divide(share, -relu_exponent)
    share = (share + (1 << 15)) >> 1
    y = fp.rounding_divide(_truncated(share * _high(shifted, multiplier)), -exponent)
    return np.clip(y + out.zero_point, -128, 127)


_FORM = Form(same_shape_check, "HardSwishOptions")
OPERATORS = (Operator("HARD_SWISH", "INT8", by_table, (), _evaluate, 1, always, form=_FORM),)
