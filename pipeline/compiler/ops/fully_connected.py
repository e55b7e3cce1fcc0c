"""FULLY_CONNECTED with constant weights, for one row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler import arithmetic, arithmetic_s16
from pipeline.compiler.arithmetic import product_multiplier
from pipeline.compiler.encodings.choose import ENCODINGS, encoding_of
from pipeline.compiler.encodings.encoding import ProductInput
from pipeline.compiler.encodings.int16 import by_fours, fits_pairs, fits_rows, high_word_multipliers, pack_pairs, reach
from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.program import Address, Argument, Constant, Value, View
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.lowering import Lowering, block_size, parameters
from pipeline.compiler.ops.checks import Found, one_type_check, operand
from pipeline.compiler.ops.operator import Form, Operator
from pipeline.compiler.product import Product, largest_sums, normalize_dead_rows
from pipeline.numerics import fixed_point as fp
from pipeline.targets.cores import WeightLayout

__all__ = ["OPERATORS", "product_of"]

_INT32, _INT64 = 2, 4  # TensorType of a bias, in the options
_BIAS_TOLERANCE = 0.02  # of an output's step


def _bias(graph: Graph, op: Op) -> Tensor | None:
    return operand(graph, op, 2) if len(op.inputs) > 2 and op.inputs[2] >= 0 else None


def _check(graph: Graph, op: Op) -> Found:
    yield from one_type_check(graph, op, [0])
    x, weights, out, bias = operand(graph, op, 0), operand(graph, op, 1), graph.tensors[op.outputs[0]], _bias(graph, op)
    if weights.data is None or (bias is not None and bias.data is None):
        yield unsupported(graph, op, "weights or biases that are computed", "constant ones")
        return
    if weights.dtype != "INT8" or (weights.zero_points != 0).any():
        yield unsupported(graph, op, "weights of another type, or with a zero point", "symmetric int8 weights")
    if len(weights.shape) != 2 or x.size % weights.columns:
        told = f"an input of shape {list(x.shape)} and weights of {list(weights.shape)}"
        yield unsupported(graph, op, told, "weights [rows, columns], and an input of as many columns")
        return
    rows, depth = weights.shape
    if x.size != depth:
        yield unsupported(graph, op, f"{x.size // depth} rows at once", "one row, as a decode step has")
    elif out.size != rows or out.columns != rows:
        yield unsupported(
            graph, op, f"weights of {rows} rows, and an output of shape {list(out.shape)}", "an output for each row"
        )
    if op.int_option("weightsFormat") or op.options.get("asymmetricQuantizeInputs") or op.options.get("quantSpec"):
        told = "weightsFormat, asymmetric_quantize_inputs or quant_spec set"
        yield unsupported(graph, op, told, "weights in plain rows, and inputs that are int8 or int16 already")
    yield from _bias_check(graph, op, rows, bias)


def _bias_check(graph: Graph, op: Op, rows: int, bias: Tensor | None) -> Found:
    """As TensorFlow Lite Micro checks it: with one scale for all weights the bias's is close to input × weights."""
    x, weights, out = operand(graph, op, 0), operand(graph, op, 1), graph.tensors[op.outputs[0]]
    bias_type = op.int_option("quantizedBiasType")
    if bias_type not in (0, _INT32, _INT64):
        yield unsupported(graph, op, f"biases of type {bias_type}", "int32, or int64 with int16 activations")
    if bias is None:
        return
    if bias.dtype not in (("INT32", "INT64") if x.dtype == "INT16" else ("INT32",)):
        yield unsupported(graph, op, f"biases of type {bias.dtype}", "int32, or int64 with int16 activations")
    if bias.size != rows or len(bias.shape) != 1:
        yield unsupported(graph, op, f"biases of shape {list(bias.shape)} for {rows} rows", "one for each row")
    scale = float(bias.scales[0]) if bias.scales.size == 1 else 0.0
    checked = weights.scales.size == 1 and bias.scales.size <= 1 and x.dtype == "INT8"
    if checked and not abs(x.scale * weights.scale - scale) / out.scale <= _BIAS_TOLERANCE:
        told = f"a bias scale of {scale:g}, and {x.scale * weights.scale:g} of input times weights"
        yield unsupported(graph, op, told, "equal ones, as TensorFlow Lite Micro wants them")


def _compute(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], values: Sequence[fp.Int]) -> list[fp.Int]:
    (x, weights, *bias), (out,) = inputs, outputs
    sums = values[1] @ (values[0].reshape(-1) - x.zero_point) + (values[2] if bias else 0)
    each = zip(sums, _scales(x, weights, out), strict=True)
    if out.dtype == "INT8":
        limits = arithmetic.activation_range(out, op.activation)
        scaled = [int(fp.multiply(sum_, *scale)) + out.zero_point for sum_, scale in each]
    else:
        limits = arithmetic_s16.activation_range(out, op.activation)
        scale_of = fp.multiply if _is_narrow(op, bias[0] if bias else None) else arithmetic_s16.requantized
        scaled = [int(scale_of(sum_, *scale)) for sum_, scale in each]
    return [np.clip(np.array(scaled, np.int64), *limits)]


def _is_narrow(op: Op, bias: Tensor | None) -> bool:
    """Whether an int16 product is summed in 32 bits."""
    return bias.dtype == "INT32" if bias is not None else op.options.get("quantizedBiasType") == _INT32


def product_of(ctx: Lowering, op: Op) -> Product:
    """The int8 product's weights and scales.

    Raises:
        UnsupportedModel: its sums do not fit 32 bits.
    """
    x, weights, out_tensor = (ctx.tensor(index) for index in (op.inputs[0], op.inputs[1], op.outputs[0]))
    bias = _bias(ctx.graph, op)
    pairs = _scales(x, weights, out_tensor)
    reach = largest_sums(np.asarray(weights.data, np.int8), None if bias is None else np.asarray(bias.data, np.int32))
    for largest, shift in sorted({(int(sum_), pair[1]) for sum_, pair in zip(reach, pairs, strict=True)}):
        ctx.check_reach(op, largest, shift)
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
    bias = _bias(ctx.graph, op)
    rows, depth = weights.shape
    pairs = _scales(x, weights, out_tensor)
    values = np.asarray(weights.data, np.int8)
    biases = None if bias is None else np.asarray(bias.data).astype(np.int64).reshape(-1)
    narrow = _is_narrow(op, bias)
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


_FORM = Form(
    _check,
    "FullyConnectedOptions",
    (2, 3),
    version=14,
    activation=True,
    integers=(2,),
    per_channel=1,
)
OPERATORS = (
    Operator(
        "FULLY_CONNECTED",
        "INT8",
        _lower,
        (*(kernel for encoding in ENCODINGS for kernel in encoding.kernels), "thimble_limit_s8"),
        form=_FORM,
        compute=_compute,
    ),
    Operator(
        "FULLY_CONNECTED",
        "INT16",
        _lower_s16,
        ("thimble_fully_connected_s16", "thimble_fully_connected_rows_s16", "thimble_fully_connected_plain_s16"),
        form=_FORM,
        compute=_compute,
    ),
)
