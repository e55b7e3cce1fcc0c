"""FULLY_CONNECTED with constant weights, for one row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler import arithmetic, arithmetic_s16
from pipeline.compiler.arithmetic import product_multiplier
from pipeline.compiler.encodings.choose import ENCODINGS, encoding_of
from pipeline.compiler.encodings.encoding import ProductInput
from pipeline.compiler.encodings.int16 import by_fours, fits_pairs, fits_rows, high_word_multipliers, pack_pairs, reach
from pipeline.compiler.ir.graph import Op, Tensor
from pipeline.compiler.ir.program import Address, Argument, Constant, Value, View
from pipeline.compiler.lowering import Lowering, block_size, parameters
from pipeline.compiler.ops.checks import require_constant_weights, require_int16
from pipeline.compiler.ops.operator import Operator
from pipeline.compiler.product import Product, normalize_dead_rows
from pipeline.numerics import fixed_point as fp
from pipeline.targets.cores import WeightLayout

__all__ = ["OPERATORS", "product_of"]

_INT32 = 2  # TensorType of a bias, in the options


def product_of(ctx: Lowering, op: Op) -> Product:
    """The int8 product's weights and scales, checked.

    Raises:
        ThimbleError: it is in a form that no kernel has.
    """
    x, weights, out_tensor = (ctx.tensor(index) for index in (op.inputs[0], op.inputs[1], op.outputs[0]))
    bias = require_constant_weights(ctx, op)
    if (weights.zero_points != 0).any() or x.scales.size != 1:
        raise ctx.unsupported(op, "weights with a zero point", "symmetric weights")
    pairs = _scales(x, weights, out_tensor)
    ctx.check_shift(op, max(pair[1] for pair in pairs))
    product = Product(
        np.asarray(weights.data, np.int8),
        None if bias is None else np.asarray(bias.data, np.int32).reshape(-1),
        np.array([pair[0] for pair in pairs], np.int32),
        -np.array([pair[1] for pair in pairs], np.int64),
    )
    return normalize_dead_rows(product, out_tensor.zero_point)


def _scales(x: Tensor, weights: Tensor, out: Tensor) -> list[tuple[int, int]]:
    """(multiplier, shift) of each row."""
    rows = weights.shape[0]
    if weights.scales.size == 1:
        return [product_multiplier(x, weights, out)] * rows
    scales = np.broadcast_to(weights.scales, (rows,))
    return [fp.quantize_multiplier(x.scale * float(scale) / out.scale) for scale in scales]


def _lower(ctx: Lowering, op: Op) -> None:
    x, out_tensor = ctx.tensor(op.inputs[0]), ctx.tensor(op.outputs[0])
    name = op.name
    product, form, plain = ctx.choices[out_tensor.index]
    rows, depth = product.weights.shape
    limits = arithmetic.activation_range(out_tensor, op.activation)
    kernel = encoding_of(form).prepare(ctx, ProductInput(name, x, product, limits), form)
    own = parameters(kernel.ctype, name, {**kernel.fields, "out_zero_point": out_tensor.zero_point})
    out = ctx.allocate(out_tensor)
    arguments: list[Argument | View | int] = [Address(name), kernel.input, out]
    if kernel.in_block is not None:
        arguments.append(block_size(kernel.in_block))
    ctx.call(
        kernel.kernel,
        arguments,
        [kernel.input.view],
        [out],
        [own],
        product=name,
        form=form,
        plain=plain,
        block=bool(kernel.in_block),
        macs=rows * depth,
        weight_bytes=form.weight_bytes,
        some_rows=kernel.some_rows,
        kind="fully_connected",
    )
    if not kernel.clamps and limits != (-128, 127):
        ctx.call("thimble_limit_s8", (out, rows, *limits), [out], [out], product=name, kind="fully_connected")


def _lower_s16(ctx: Lowering, op: Op) -> None:
    x, weights, out_tensor = (ctx.tensor(index) for index in (op.inputs[0], op.inputs[1], op.outputs[0]))
    require_int16(ctx, op, x, out_tensor)
    bias = require_constant_weights(ctx, op)
    if weights.dtype != "INT8" or (weights.zero_points != 0).any():
        raise ctx.unsupported(op, "weights with a zero point", "symmetric int8 weights")
    rows, depth = weights.shape
    pairs = _scales(x, weights, out_tensor)
    values = np.asarray(weights.data, np.int8)
    biases = None if bias is None else np.asarray(bias.data).astype(np.int64).reshape(-1)
    narrow = bias.dtype == "INT32" if bias is not None else op.options.get("quantizedBiasType") == _INT32
    wide = narrow and (reach(values, biases) >= 1 << 31).any()
    if max(shift for _, shift in pairs) > arithmetic_s16.MAX_SHIFT or wide:
        raise ctx.unsupported(op, "an output scale far below the inputs'", "an output that int16 can hold")
    name = op.name
    source = ctx.aligned(x.index)
    out = ctx.allocate(out_tensor)
    low, high = arithmetic_s16.activation_range(out_tensor, op.activation)
    kernel, stored, arrays = _held_s16(ctx.layout, values, biases, pairs, narrow)
    constant = Constant(f"{name}_weights", f"{stored.dtype}_t", stored, weights=True, raw=values.nbytes)
    fields: dict[str, Value] = {
        "weights": ctx.constant(constant),
        **{
            field: None if array is None else ctx.constant(Constant(f"{name}_{field}", f"{array.dtype}_t", array))
            for field, array in arrays.items()
        },
        "depth": depth,
        "rows": rows,
        "out_min": low,
        "out_max": high,
    }
    if kernel == "thimble_fully_connected_plain_s16":
        fields["narrow"] = int(narrow)
    facts = {"macs": rows * depth, "weight_bytes": stored.nbytes, "kind": "fully_connected", "product": name}
    own = parameters(f"{kernel}_params", name, fields)
    ctx.call(kernel, (Address(name), source, out), [source], [out], [own], some_rows=_SOME_ROWS_S16[kernel], **facts)


_SOME_ROWS_S16 = {
    "thimble_fully_connected_s16": "thimble_some_packed_rows_s16",
    "thimble_fully_connected_rows_s16": "thimble_some_rows_s16",
    "thimble_fully_connected_plain_s16": "thimble_some_plain_rows_s16",
}


def _held_s16(
    layout: WeightLayout,
    values: NDArray[np.int8],
    biases: NDArray[np.int64] | None,
    pairs: list[tuple[int, int]],
    narrow: bool,
) -> tuple[str, NDArray[np.generic], dict[str, NDArray[np.generic] | None]]:
    """The kernel that computes the product exactly, the weights as it reads them, and its other constants."""
    high_words = None if narrow else high_word_multipliers(pairs)
    arrays: dict[str, NDArray[np.generic] | None]
    interleaved = layout is WeightLayout.INTERLEAVED_2
    if high_words is not None and interleaved and fits_pairs(values, biases):
        arrays = {"multiplier": high_words, "bias": None if biases is None else biases.astype(np.int32)}
        return "thimble_fully_connected_s16", pack_pairs(values), arrays
    if high_words is not None and not interleaved and fits_rows(values, biases):
        summed = None if biases is None else by_fours(biases.astype(np.int32))
        arrays = {"multiplier": by_fours(high_words), "bias": summed}
        return "thimble_fully_connected_rows_s16", by_fours(values).reshape(-1), arrays
    multipliers = [multiplier if narrow else arithmetic_s16.reduced(multiplier) for multiplier, _ in pairs]
    arrays = {
        "multiplier": np.array(multipliers, np.int32),
        "shift": np.array([shift for _, shift in pairs], np.int8),
        "bias": biases,
    }
    return "thimble_fully_connected_plain_s16", values.reshape(-1), arrays


OPERATORS = (
    Operator(
        "FULLY_CONNECTED",
        "INT8",
        _lower,
        (*(kernel for encoding in ENCODINGS for kernel in encoding.kernels), "thimble_limit_s8"),
    ),
    Operator(
        "FULLY_CONNECTED",
        "INT16",
        _lower_s16,
        ("thimble_fully_connected_s16", "thimble_fully_connected_rows_s16", "thimble_fully_connected_plain_s16"),
    ),
)
