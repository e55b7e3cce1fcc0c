"""int16 to another scale, within a range: what RELU, RELU6 and QUANTIZE are."""

from __future__ import annotations

import numpy as np

from pipeline.compiler.ir.graph import Op
from pipeline.compiler.lowering import Lowering, parameters
from pipeline.numerics import fixed_point as fp

__all__ = ["scale_s16", "scaled_s16"]

_MAX_SHIFT = 14


def scaled_s16(x: fp.Int, ratio: float, limits: tuple[int, int]) -> fp.Int | None:
    """Values of int16 times a ratio, limited; None where the ratio is 2^14 or more."""
    multiplier, shift = fp.quantize_multiplier(ratio)
    return None if shift > _MAX_SHIFT else np.clip(fp.multiply(x, multiplier, shift), *limits)


def scale_s16(ctx: Lowering, op: Op, ratio: float, limits: tuple[int, int]) -> None:
    """Multiplies by a ratio and limits.

    Raises:
        UnsupportedModel: the ratio is 2^14 or more.
    """
    out_tensor = ctx.tensor(op.outputs[0])
    multiplier, shift = fp.quantize_multiplier(ratio)
    if shift > _MAX_SHIFT:
        raise ctx.unsupported(op, "an output scale far below the input's", "an output that int16 can hold")
    out = ctx.allocate(out_tensor)
    operands, rows, columns = ctx.operands(op, out)
    name = f"scale_{out_tensor.index}"
    fields = {"multiplier": multiplier, "shift": shift, "out_min": limits[0], "out_max": limits[1]}
    own = parameters("thimble_scale_s16_params", name, fields)
    ctx.element_call(own, operands, out, (rows, columns))
