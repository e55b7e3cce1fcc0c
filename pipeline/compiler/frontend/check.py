"""Checks a graph once, after it was read: what passes this is no surprise to any later pass.

What holds of every operator stands here, and what else holds of one in its file in `ops` (`ops.operator.Form`). All
that is not supported is told at once. What depends on scales alone is refused where an operator is lowered.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

import numpy as np

from pipeline.compiler.frontend.decode_step import check_caches, is_decode_step
from pipeline.compiler.fusions.cache_update import fuse_cache_updates, missed_updates
from pipeline.compiler.fusions.real import fuse_reals
from pipeline.compiler.fusions.registry import FUSED
from pipeline.compiler.fusions.root import fuse_roots
from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.refusals import refused_together, unsupported
from pipeline.compiler.ir.verify import graph_contradictions
from pipeline.compiler.lowering import INDICES
from pipeline.compiler.ops.operator import Form
from pipeline.compiler.ops.registry import FORMS, OPERATORS, SUPPORTED
from pipeline.errors import ThimbleError, UnsupportedModel

__all__ = ["all_unsupported", "check_graph", "require_consistent"]

_MASKS = "compute masks as a constant table, and look up its row by `position`"
_LOOK_UPS = (
    "for a look-up by Keras 3, whose Embedding and take() count negative ids from the end, write "
    "tf.gather(table, token)"
)
_COMPARISON = f"{_MASKS}; {_LOOK_UPS}"
_SELECTION = f"add a constant mask: a table looked up by `position`; {_LOOK_UPS}"
_ONE_SHAPE = "multiply by, add or concatenate what has the shape already; one axis of 1 is broadcast by ADD and MUL"
_INSTEAD = {
    "GELU": "TensorFlow Lite Micro has none; write its tanh form with tensors and constant numbers, x * 0.5 * "
    "(1 + tanh(0.7978845608 * (x + 0.044715 * x * x * x))): MUL, ADD and TANH, which become one table "
    "(with x**3 in place of x * x * x the converter makes it GELU again)",
    "NEG": "write a subtraction, a * c - b * s instead of a * c + (-b) * s",
    "SQUARE": "write x * x",
    "POW": "write x * x, or x * x * x",
    "DIV": "multiply by a constant, or by tf.math.rsqrt",
    "SQRT": "write tf.math.rsqrt(x), and multiply by it",
    "EXP": "use softmax or sigmoid",
    "L2_NORMALIZATION": "write x * tf.math.rsqrt(tf.reduce_mean(x * x, -1, keepdims=True) + epsilon)",
    "SUM": "write tf.reduce_mean, and multiply by the number of elements where that matters",
    "DEQUANTIZE": "an operator around it is float: let the converter quantize all (TFLITE_BUILTINS_INT8), and write "
    "what it cannot with other operators",
    "CAST": _MASKS,
    "RANGE": _MASKS,
    **dict.fromkeys(("LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL"), _COMPARISON),
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT"), _MASKS),
    "SHAPE": "convert with a fixed batch of 1: tf.TensorSpec([1], tf.int32)",
    "PACK": "convert with a fixed batch of 1, or write tf.reshape",
    **dict.fromkeys(("SELECT", "SELECT_V2", "WHERE"), _SELECTION),
    **dict.fromkeys(("BROADCAST_TO", "TILE"), _ONE_SHAPE),
    "MAXIMUM": "write tf.nn.relu(x - low) + low",
    "MINIMUM": "write high - tf.nn.relu(high - x)",
    "ELU": "use tf.nn.leaky_relu or tf.tanh, or the SiLU x * tf.sigmoid(x)",
    "ONE_HOT": "TensorFlow Lite Micro has none; look up the row of an identity matrix by `position`, or return the new "
    "row as `k_new_0`: the runtime puts it into the cache",
    "DYNAMIC_UPDATE_SLICE": "put one row into `k_cache_0` at [0, position, 0], or return it as `k_new_0`: the runtime "
    "puts it into the cache",
    "SCATTER_ND": "TensorFlow Lite Micro has none; return the new row as `k_new_0`: the runtime puts it into the cache",
    "SLICE": "write tf.split along the last axis",
    "SIN": "compute sines of positions as a constant table, and look up its row by `position`",
    "COS": "compute cosines of positions as a constant table, and look up its row by `position`",
    "ARG_MAX": "return the logits; the runtime chooses",
}
"""What to write for operators that people have in their models."""
_FULL_INTEGERS = "quantize the model to full integers: int8 or int16 activations, int8 weights, int32 or int64 biases"
_NOT_OF_INDICES = (
    "nothing is computed with `token` and `position` but look-ups: make what depends on them a constant table, and "
    f"write tf.gather(table, position); {_LOOK_UPS}"
)
_INDEX_TYPES = ("INT32", "INT64", "BOOL")
_TYPES = ("INT8", "INT16")
_MOST_AXES = 6
_MOST_ELEMENTS = 1 << 24
_SMALLEST_SCALE, _LARGEST_SCALE = 2.0**-64, 2.0**64
_ACTIVATIONS = range(4)  # none, RELU, RELU_N1_TO_1, RELU6


def check_graph(graph: Graph) -> None:
    """Checks all that passes rely on.

    Raises:
        ThimbleError: the graph contradicts itself.
        UnsupportedModel: all operators, types, shapes, options and constants that are not supported.
    """
    require_consistent(graph)
    errors = all_unsupported(graph)
    if errors:
        raise refused_together(errors)


def all_unsupported(graph: Graph) -> list[UnsupportedModel]:
    """An error for each thing that is not supported, of a graph that does not contradict itself."""
    fused = fuse_roots(fuse_reals(fuse_cache_updates(graph)))  # of operators and types that are refused elsewhere
    errors = [UnsupportedModel(f"{name!r}: {why}", remedy) for name, (why, remedy) in missed_updates(fused).items()]
    errors += [*_faulty(graph), *_unknown_operators(fused), *_tensors(fused)]
    errors += _ends(fused)
    known = [op for op in fused.ops if op.kind in FORMS]
    for op in known:
        errors += _operator(fused, op)
    if is_decode_step(graph):
        errors += check_caches(fused)
    return errors


def require_consistent(graph: Graph) -> None:
    """Refuses a graph whose operators and names do not stand for tensors that are there by then.

    Raises:
        ThimbleError: the graph contradicts itself.
    """
    contradictions = graph_contradictions(graph)
    if contradictions:
        raise ThimbleError(
            f"the .tflite contradicts itself: {'; '.join(contradictions[:3])}",
            "make it again: with the `quantize` stage and --force, or with the program that wrote it",
        )


def _unknown_operators(graph: Graph) -> Iterator[UnsupportedModel]:
    """An error for each kind of operator that is not known, with its tensors."""
    named: dict[str, list[str]] = {}
    made_by_fusion = {kind for kind, _ in FUSED}
    for op in graph.ops:
        if op.kind not in FORMS and op.kind not in made_by_fusion:
            named.setdefault(op.kind, []).append(repr(graph.tensors[op.outputs[0]].name))
    for kind, tensors in named.items():
        more = f" and {len(tensors) - 3} more" if len(tensors) > 3 else ""
        told = f"tensor{'s' if len(tensors) > 1 else ''} {', '.join(tensors[:3])}{more}"
        remedy = _INSTEAD.get(kind, f"use one of: {', '.join(SUPPORTED)}")
        yield UnsupportedModel(f"operator {kind} ({told}) is not supported", remedy)


def _used(graph: Graph, kinds: Container[str] | None = None) -> list[int]:
    """The tensors that come in and go out, and those of operators: of these kinds, or of all."""
    used = {*graph.inputs.values(), *graph.outputs.values()}
    for op in graph.ops:
        if kinds is None or op.kind in kinds:
            used.update(index for index in (*op.inputs, *op.outputs) if index >= 0)
    return sorted(used)


def _faulty(graph: Graph) -> Iterator[UnsupportedModel]:
    """Tensors that could not be read, of the graph as it came: those of operators that a fusion takes away too."""
    for index in _used(graph):
        if fault := graph.tensors[index].fault:
            yield UnsupportedModel(
                f"tensor {graph.tensors[index].name!r} has {fault}",
                "convert the model with plain constants of int8, int16, int32 or int64, all inside of the flatbuffer",
            )


def _tensors(graph: Graph) -> Iterator[UnsupportedModel]:
    """What is wrong with tensors that operators of known kinds read and make, or that come in and go out."""
    for index in _used(graph, FORMS):
        tensor = graph.tensors[index]
        shape = list(tensor.shape)
        if tensor.fault:
            continue
        if any(size < 0 for size in shape):
            yield UnsupportedModel(
                f"tensor {tensor.name!r} has the shape {shape}, of which a part is open", "convert with fixed shapes"
            )
        elif len(shape) > _MOST_AXES or tensor.size > _MOST_ELEMENTS:
            yield UnsupportedModel(
                f"tensor {tensor.name!r} has the shape {shape}",
                f"at most {_MOST_AXES} axes and {_MOST_ELEMENTS:,} elements",
            )
        elif tensor.size == 0 and tensor.dtype in _TYPES:
            yield UnsupportedModel(f"tensor {tensor.name!r} has no elements: {shape}", "give each axis a length")


def _ends(graph: Graph) -> Iterator[UnsupportedModel]:
    """What is wrong with indices, and with inputs and outputs that no operator reads or makes."""
    touched = {index for op in graph.ops for index in (*op.inputs, *op.outputs)}
    for name, index in {**graph.inputs, **graph.outputs}.items():
        tensor = graph.tensors[index]
        if name in INDICES and index == graph.inputs.get(name):
            if tensor.dtype != "INT32" or tensor.size != 1:
                yield UnsupportedModel(f"{name!r} is {tensor.dtype} {list(tensor.shape)}", "int32 [1]")
        elif index in touched:
            continue
        elif tensor.dtype not in _TYPES:
            yield UnsupportedModel(f"{name!r}, an input or output, is {tensor.dtype}", "int8 or int16")
        else:
            yield from _quantization(tensor, False)


def _operator(graph: Graph, op: Op) -> Iterator[UnsupportedModel]:
    form = FORMS[op.kind]
    wrong = _wrong_form(graph, op, form)
    if wrong:
        yield unsupported(graph, op, *wrong)
        return
    tensors = [graph.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0]
    errors = [*_operands(graph, op, form)]
    yield from errors
    if errors or any(tensor.fault for tensor in tensors):
        return
    if (op.kind, graph.dtype_of(op)) not in OPERATORS:
        yield unsupported(graph, op, "int16 activations", "int8 for this operator, as in TensorFlow Lite Micro")
    yield from form.check(graph, op)


def _wrong_form(graph: Graph, op: Op, form: Form) -> tuple[str, str] | None:
    """What is wrong with an operator's options, or the number of its inputs and outputs, and what is right."""
    least, most = form.inputs
    optional = sum(index >= 0 for index in op.inputs[:least])
    if not least <= len(op.inputs) <= most or optional < least:
        return f"{len(op.inputs)} inputs", f"{least} inputs" if least == most else f"{least} to {most} inputs"
    if not form.outputs[0] <= len(op.outputs) <= form.outputs[1]:
        return f"{len(op.outputs)} outputs", f"{form.outputs[0]} to {form.outputs[1]}"
    if not 1 <= op.version <= form.version:
        return f"version {op.version}", f"version 1 to {form.version}"
    if op.options_kind not in ("", form.options):
        return f"options of another kind, {op.options_kind}", form.options or "none"
    if form.needs_options and not op.options_kind:
        return "no options", form.options
    if op.activation and not (form.activation and op.activation in _ACTIVATIONS):
        known = "RELU, RELU6 or RELU_N1_TO_1, or none" if form.activation else "none"
        return f"the fused activation {op.activation}", known
    reals = [value for value in op.options.values() if isinstance(value, float)]
    return None if np.isfinite(reals).all() else ("options that are no numbers", "finite ones")


def _operands(graph: Graph, op: Op, form: Form) -> Iterator[UnsupportedModel]:
    """What is wrong with the types and quantization of an operator's tensors."""
    per_channel = op.inputs[form.per_channel] if form.per_channel >= 0 else -1
    integers = {op.inputs[position] for position in form.integers if position < len(op.inputs)}
    foreign: dict[str, list[str]] = {}
    for index in dict.fromkeys((*op.inputs, *op.outputs)):
        if index < 0 or graph.tensors[index].fault:
            continue
        tensor = graph.tensors[index]
        if tensor.dtype not in (("INT32", "INT64") if index in integers else _TYPES):
            foreign.setdefault(tensor.dtype, []).append(repr(tensor.name))
        elif index not in integers:
            yield from _quantization(tensor, index == per_channel)

    for dtype, names in foreign.items():
        told = f"operator {op.kind} has a {dtype} tensor {' and '.join(names)}"
        yield UnsupportedModel(told, _NOT_OF_INDICES if dtype in _INDEX_TYPES else _FULL_INTEGERS)


def _quantization(tensor: Tensor, may_be_per_channel: bool) -> Iterator[UnsupportedModel]:
    scales, zeros = tensor.scales, tensor.zero_points
    several = scales.size > 1
    good = bool(np.isfinite(scales).all() and (scales > 0).all())
    if not good or not 0 < scales.size == zeros.size:
        told = f"tensor {tensor.name!r} has no usable scale and zero point"
        yield UnsupportedModel(told, "quantize the model with calibration data")
    elif several and not (may_be_per_channel and tensor.shape and tensor.axis == 0 and scales.size == tensor.shape[0]):
        told = f"tensor {tensor.name!r} has {scales.size} scales along axis {tensor.axis} of {list(tensor.shape)}"
        remedy = "one scale for each row, axis 0, of a FULLY_CONNECTED's weights; one scale in all other tensors"
        yield UnsupportedModel(told, remedy)
    elif not several and not _SMALLEST_SCALE <= scales[0] <= _LARGEST_SCALE:
        told = f"tensor {tensor.name!r} has a scale of {scales[0]:g}"
        yield UnsupportedModel(told, f"a scale of {_SMALLEST_SCALE:g} to {_LARGEST_SCALE:g}")
    elif tensor.dtype == "INT8" and not ((zeros >= -128) & (zeros <= 127)).all():
        yield UnsupportedModel(f"tensor {tensor.name!r} has a zero point of {zeros[0]}", "one of −128 to 127")
    elif tensor.dtype == "INT16" and (zeros != 0).any():
        told = f"tensor {tensor.name!r} is int16 with a zero point of {zeros[0]}"
        yield UnsupportedModel(told, "zero point 0, as TensorFlow Lite Micro wants it of int16")
