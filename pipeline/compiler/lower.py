"""Lowers a graph to kernel calls: layout ops become views, the rest a call each, attention one call in all."""

from __future__ import annotations

import dataclasses
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler import arithmetic
from pipeline.compiler.block_sparse import blocks_bytes, pack_block_sparse
from pipeline.compiler.forms import Choice, Objective, Product, choose, normalize_dead_rows
from pipeline.compiler.graph import Graph, Op, Tensor
from pipeline.compiler.int4 import pack_s4
from pipeline.compiler.lower_s16 import Int16Ops
from pipeline.compiler.nm_sparse import nm_sparse_table_bytes, pack_nm_sparse, words_of_row
from pipeline.compiler.packing import columns_at_once, outputs_fit, pack, row_constants
from pipeline.compiler.patterns import (
    FUSED_SHIFTS,
    ONE_INPUT,
    RESHAPE_OPS,
    Attention,
    Gate,
    Norm,
    RopeOffset,
    Rotary,
    Unary,
    find_attentions,
    find_gates,
    find_norms,
    find_rotaries,
    find_unaries,
    group_products_by_input,
    name_matmuls,
)
from pipeline.compiler.patterns_s16 import find_roots
from pipeline.compiler.program import (
    POSITION,
    SLOT,
    SLOTS,
    TIME,
    TOKEN,
    TOKENS,
    CachePart,
    Call,
    Constant,
    Program,
    View,
)
from pipeline.errors import ThimbleError, UnsupportedModel
from pipeline.numerics import fixed_point as fp
from pipeline.numerics.kv_window import SlidingWindow, StridedWindow
from pipeline.numerics.rope import rope_frequencies_q32, rope_scale_q24, sine_table
from pipeline.targets.cores import WeightLayout

__all__ = ["SUPPORTED", "lower"]

SUPPORTED = (
    "ADD",
    "BATCH_MATMUL",
    "CONCATENATION",
    "FULLY_CONNECTED",
    "GATHER",
    "MEAN",
    "MUL",
    "SOFTMAX",
    "SPLIT",
    "SUB",
    "TRANSPOSE",
    *RESHAPE_OPS,
    *ONE_INPUT,
)
_INDICES = {"token": TOKEN, "position": TIME}
_ROTATION = "rotation"
_MAX_MUL_SHIFT = 13  # 255 * 255 * 2^13 stays below 2^30


def lower(graph: Graph, packing: WeightLayout, block: int, aim: Objective) -> Program:
    """Lowers the graph to kernel calls.

    Args:
        packing: the order of weights and caches.
        block: tokens of a prompt to process together, if the graph allows it.
        aim: what decides how a product's weights are held.

    Raises:
        ThimbleError: an op, a type or a shape that is not supported, named with its tensor.
    """
    real = {index for root in find_roots(graph) for index in root.ops}  # a norm's root is computed in float32
    for index, op in enumerate(graph.ops):
        if index not in real:
            _check(graph, op)
    return _Lowering(group_products_by_input(graph), packing).run(block, aim)


def _check(graph: Graph, op: Op) -> None:
    """Checks that the operator is supported and its tensors are int8 or int16 with scales, or biases and indices."""
    if op.kind not in SUPPORTED:
        raise UnsupportedModel(
            f"operator {op.kind} (tensor {graph.tensors[op.outputs[0]].name!r}) is not supported",
            f"use one of: {', '.join(sorted(SUPPORTED))}",
        )
    for tensor in (graph.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0):
        if tensor.dtype not in ("INT8", "INT16", "INT32", "INT64"):
            raise UnsupportedModel(
                f"operator {op.kind} has a {tensor.dtype} tensor {tensor.name!r}",
                "quantize the model to full integers: int8 or int16 activations, int8 weights, int32 or int64 biases",
            )
        if tensor.dtype in ("INT8", "INT16") and not _is_quantized(tensor):
            raise UnsupportedModel(
                f"tensor {tensor.name!r} has no usable scale and zero point", "quantize the model with calibration data"
            )


def _is_quantized(tensor: Tensor) -> bool:
    """Whether scales are positive numbers, with a zero point in int8 for each."""
    scales, zeros = tensor.scales, tensor.zero_points
    good = bool(np.isfinite(scales).all() and (scales > 0).all() and (zeros >= -128).all() and (zeros <= 127).all())
    return good and 0 < scales.size == zeros.size


class _Prepared(NamedTuple):
    """What a product's call needs: its input, whether that is so for a block of tokens, the structure of the kernel's
    parameters, and their fields."""

    source: View
    in_block: bool
    structure: str
    fields: dict[str, object]


class _RopeOffsetView(NamedTuple):
    """The means [heads, 2, head width / 2] and the drift's row for the token, as C, and how many `pairs` have any: the
    last ones."""

    means: str
    rope_offset: str
    pairs: int


class _Lowering:
    def __init__(self, graph: Graph, packing: WeightLayout) -> None:
        self.graph = graph
        self.packing = packing
        self.program = Program()
        self.views: dict[int, View] = {}
        self.widened: dict[tuple[int, bool], tuple[str, bool]] = {}
        self.compressed: dict[str, View] = {}
        self.chosen: dict[int, Choice] = {}
        attentions = find_attentions(graph)
        rotaries = find_rotaries(graph)
        self.int16 = Int16Ops(self, attentions, rotaries)
        self.attentions = {
            attention.ops[-1]: attention for attention in attentions if self._fits_fused_attention(attention)
        }
        self.fused = self.int16.fused | {op for attention in self.attentions.values() for op in attention.ops}
        self.unaries = find_unaries(graph)
        self.norms = {norm.op: norm for norm in find_norms(graph, self.unaries)}
        self.gates = {gate.op: gate for gate in find_gates(graph, self.unaries) if gate.op not in self.norms}
        self.rotaries = {match.ops[-1]: match for match in rotaries if self._fits_fused_rope(match)}
        self.fused |= {op for rotary in self.rotaries.values() for op in rotary.ops}
        self.fused |= {norm.mean for norm in self.norms.values()}
        self.products = name_matmuls(graph, [*self.attentions.values(), *self.int16.attentions.values()])
        self.targets = self._concat_targets()

    def _fits_fused_attention(self, attention: Attention) -> bool:
        """Whether it is of int8, and the fused kernel's scaled sums stay inside of 32 bits; only extreme scales violate
        this."""
        if self._tensor(attention.q).dtype != "INT8":
            return False
        q, k, scores = (self._tensor(index) for index in (attention.q, attention.k_cache, attention.scores))
        p, v, out = (self._tensor(index) for index in (attention.probabilities, attention.v_cache, attention.out))
        shifts = (arithmetic.product_multiplier(q, k, scores)[1], arithmetic.product_multiplier(p, v, out)[1])
        return q.columns <= 64 and k.shape[1] < 1024 and all(-31 <= shift <= -1 for shift in shifts)

    def _fits_fused_rope(self, rotary: Rotary) -> bool:
        """Whether it is of int8, and inside of what the fused kernel takes."""
        x, rotation, out = (self._tensor(index) for index in (rotary.x, rotary.rotation, rotary.out))
        return x.dtype == "INT8" and arithmetic.product_multiplier(x, rotation, out)[1] in FUSED_SHIFTS

    def run(self, block: int, aim: Objective) -> Program:
        self.program.kv_window = self._kv_window()
        products = {
            op.outputs[0]: self._product(op)
            for op in self.graph.ops
            if op.kind == "FULLY_CONNECTED" and self._tensor(op.inputs[0]).dtype == "INT8"
        }
        self.chosen = choose(products, self.packing, aim)
        self._place_inputs()
        if isinstance(self.program.kv_window, SlidingWindow):
            self._turn()
        elif self.program.kv_window:
            slots = np.array(self.program.kv_window.slots)
            kind = "uint8_t" if slots.max() < 256 else "uint16_t"
            self._constant(Constant(SLOTS, kind, slots.astype(np.uint8 if kind == "uint8_t" else np.uint16)))
        for index, op in enumerate(self.graph.ops):
            attention = self.attentions.get(index)
            if attention is not None:
                self._attention(attention)
            elif index in self.rotaries:
                self._rotary(self.rotaries[index])
            elif index in self.norms:
                self._norm(self.norms[index])
            elif index in self.gates:
                self._gate(self.gates[index])
            elif self.int16.lower(index, op):
                continue
            elif index not in self.fused:
                self._lower(op)
        caches = {self.graph.inputs[f"{kind}_cache_{layer}"] for kind, layer in self._cache_names()}
        fused = self._fused_caches()
        for kind, layer in self._cache_names():
            if self.graph.inputs[f"{kind}_cache_{layer}"] in caches - fused:
                self._append_row(kind, layer)
        if caches and caches == fused:
            # The kernels of int16 take one token: a block would cost memory and gain nothing.
            self.program.block, self.program.split_logits_tail = 1 if self.int16.attentions else block, True
        self.program.outputs = {name: self._output(index) for name, index in self.graph.outputs.items()}
        if not self.program.calls:
            raise UnsupportedModel("the .tflite computes nothing", "give a model with an operator that changes values")
        return self.program

    def _kv_window(self) -> SlidingWindow | StridedWindow | None:
        """The sliding window that the masks of all attentions describe, if any.

        Raises:
            ThimbleError: not all of them do, or `rotation` is no input of a model without an end.
        """
        fused = (*self.attentions.values(), *self.int16.attentions.values())
        windows = {attention.window for attention in fused}
        turned = self.graph.inputs.get(_ROTATION)
        if turned is None and windows <= {None}:
            return None
        caches = {self.graph.inputs[f"{kind}_cache_{layer}"] for kind, layer in self._cache_names()}
        alike = len({self._tensor(attention.k_cache).columns for attention in fused}) == 1 and len(windows) == 1
        window = next(iter(windows), None)
        matrices = turned is not None and self._tensor(turned).shape[1:] == (2, 2)
        if (
            window is None
            or matrices != isinstance(window, SlidingWindow)
            or not alike
            or caches != self._fused_caches()
        ):
            raise UnsupportedModel(
                "the .tflite has a sliding window in a form that is not supported",
                "one window for all layers, the mask of `pipeline.numerics.kv_window`, without a stride rotary "
                "positions with an input `rotation`, and head widths of a multiple of 4 up to 64",
            )
        return window

    def _turn(self) -> None:
        """Computes the rope matrices of the token's position, where the .tflite has them as an input."""
        index = self.graph.inputs[_ROTATION]
        view, tensor = self.views[index], self._tensor(index)
        pairs = tensor.shape[0]
        fields = {
            "rates": self._constant(Constant("turn_rates", "uint32_t", rope_frequencies_q32(2 * pairs))),
            "sines": self._constant(Constant("sines", "int16_t", sine_table())),
            "pairs": pairs,
            "multiplier": rope_scale_q24(tensor.scale),
            "zero_point": tensor.zero_point,
        }
        parameters = self._parameters("thimble_turn_params", "turn", fields)
        kernel = "thimble_turn_s16" if tensor.dtype == "INT16" else "thimble_turn_s8"
        self._call(f"{kernel}(&turn, {TIME}, {view.pointer});", [], [view], declaration=parameters)

    def _check_shift(self, op: Op, shift: int) -> None:
        if shift > 30:
            raise self._unsupported(op, "an output scale far below the inputs'", "an output that int8 can hold")

    def _unsupported(self, op: Op, what: str, supported: str) -> ThimbleError:
        name = self.graph.tensors[op.outputs[0]].name
        return ThimbleError(f"operator {op.kind} (tensor {name!r}): {what}", f"supported is {supported}")

    # --- places

    def _cache_names(self) -> list[tuple[str, int]]:
        layers = sum(name.startswith("k_cache_") for name in self.graph.inputs)
        return [(kind, layer) for layer in range(layers) for kind in ("k", "v")]

    def _place_inputs(self) -> None:
        for kind, layer in self._cache_names():
            tensor = self._tensor(self.graph.inputs[f"{kind}_cache_{layer}"])
            name = f"layer{layer}_{kind}_cache"
            read_empty = tensor.index not in self._fused_caches()
            self.program.cache.append(CachePart(name, self._cache_bytes(tensor), tensor.zero_point, read_empty))
            self.views[tensor.index] = View(
                "cache", name, tensor.rows, tensor.columns, tensor.columns, element=tensor.ctype
            )
        for name, index in self.graph.inputs.items():
            tensor = self._tensor(index)
            if index not in self.views and tensor.dtype in ("INT8", "INT16"):
                computed = self.program.kv_window is not None and name == _ROTATION
                view = self._allocate(tensor, _ROTATION if computed else f"input_{len(self.program.inputs)}")
                if not computed:
                    self.program.inputs[name] = view

    def _fused_caches(self) -> set[int]:
        """Caches of fused attentions, whose unwritten rows are never read."""
        attentions = (*self.attentions.values(), *self.int16.attentions.values())
        return {tensor for attention in attentions for tensor in (attention.k_cache, attention.v_cache)}

    def _cache_bytes(self, tensor: Tensor) -> int:
        """Bytes of a K or V cache; packed ones hold whole blocks of four rows."""
        heads, context, head_dim = tensor.shape
        packed = any(tensor.index in (a.k_cache, a.v_cache) for a in self.attentions.values())
        return heads * ((context + 3) // 4 * 4) * head_dim if packed else tensor.bytes

    def _tensor(self, index: int) -> Tensor:
        return self.graph.tensors[index]

    def _allocate(self, tensor: Tensor, name: str | None = None) -> View:
        """Allocates the output of an operator: inside a concatenation's output, or in a buffer of its own."""
        target = self.targets.get(tensor.index)
        if target is not None:
            out, offset = target
            whole = self.views.get(out.index) or self._allocate(out)
            view = View(whole.space, whole.buffer, tensor.rows, tensor.columns, out.columns, str(offset), tensor.ctype)
        else:
            name = name or self.products.get(tensor.index, f"t{tensor.index}")
            assert name not in self.program.buffers
            self.program.buffers[name] = tensor.buffer_bytes
            view = View("arena", name, tensor.rows, tensor.columns, tensor.columns, element=tensor.ctype)
        self.views[tensor.index] = view
        return view

    def _concat_targets(self) -> dict[int, tuple[Tensor, int]]:
        """Inputs of last-axis concatenations that their producers can write in place: tensor → (output, column)."""
        targets: dict[int, tuple[Tensor, int]] = {}
        for index, op in enumerate(self.graph.ops):
            if op.kind != "CONCATENATION" or index in self.fused:
                continue
            out = self._tensor(op.outputs[0])
            column = 0
            for tensor in map(self._tensor, op.inputs):
                producer = self.graph.producer(tensor.index)
                elementwise = producer is not None and producer.kind in ("ADD", "SUB", "MUL", *ONE_INPUT)
                alone = len(self.graph.consumers(tensor.index)) == 1 and tensor.index not in self.graph.outputs.values()
                if (
                    self._axis(op) == len(out.shape) - 1
                    and elementwise
                    and self.int16.written_in_place(tensor.index)
                    and alone
                    and op.inputs.count(tensor.index) == 1
                ):
                    targets[tensor.index] = (out, column)
                column += tensor.columns
        return targets

    def _axis(self, op: Op) -> int:
        axis = int(str(op.options.get("axis", 0)))
        return axis % max(len(self._tensor(op.outputs[0]).shape), 1)

    def _view(self, index: int) -> View:
        """View of a tensor; constants are placed in flash, functions of one value are computed on first use."""
        if index in self.views:
            return self.views[index]
        tensor = self._tensor(index)
        row = self.int16.table(index)
        if row is not None:
            self.views[index] = row
        elif tensor.data is not None:
            name = self._constant(Constant(f"constant_{index}", tensor.ctype, tensor.data.reshape(-1)))
            self.views[index] = View(
                "constant", name, tensor.rows, tensor.columns, tensor.columns, element=tensor.ctype
            )
        elif index in self.unaries:
            self._table(index, self.unaries[index])
        else:
            raise ThimbleError(
                f"tensor {tensor.name!r} is used before it is computed", "the .tflite is damaged: make it again"
            )
        return self.views[index]

    def _output(self, index: int) -> View:
        """View of an output: in the arena, contiguous."""
        view = self._contiguous(index)
        return view if view.space == "arena" else self._copied(index, view)

    def _contiguous(self, index: int) -> View:
        """The tensor without gaps between rows, copied if need be."""
        view = self._view(index)
        return view if view.contiguous else self._copied(index, view)

    def _copied(self, index: int, view: View) -> View:
        name = f"t{index}_copy"
        self.program.buffers[name] = self._tensor(index).buffer_bytes
        copy = View("arena", name, view.rows, view.columns, view.columns, element=view.element)
        self._copy(view, copy)
        self.views[index] = copy
        return copy

    def _constant(self, constant: Constant) -> str:
        """Adds the constant; equal tables are stored once."""
        for known in self.program.constants.values():
            same = known.ctype == constant.ctype and known.weights == constant.weights
            if same and np.array_equal(known.values, constant.values):
                return known.name
        self.program.constants[constant.name] = constant
        return constant.name

    def _call(self, text: str, reads: list[View], writes: list[View], **facts: object) -> None:
        def arena(views: list[View]) -> tuple[str, ...]:
            return tuple(view.buffer for view in views if view.space == "arena")

        self.program.calls.append(Call(text, arena(reads), arena(writes), **facts))  # type: ignore[arg-type]

    def _block_call(
        self,
        kernel: str,
        arguments: str,
        reads: list[View],
        out: View,
        declaration: str = "",
        kind: str = "elementwise",
    ) -> None:
        """A kernel that takes `tokens`: all tokens of a block where it can."""
        in_block = self._in_block(*reads, out)
        text = f"{kernel}({arguments}, {TOKENS if in_block else 1});"
        self._call(text, reads, [out], declaration=declaration, block=in_block, kind=kind)

    def _in_block(self, *views: View) -> bool:
        """Whether a block's tokens lie one behind the other in each view, without gaps."""
        return all(
            view.space == "arena"
            and view.contiguous
            and view.bytes == self.program.buffers[view.buffer]
            # The next token's place is rounded up to this.
            and view.bytes % 4 == 0
            for view in views
        )

    # --- ops

    def _lower(self, op: Op) -> None:
        if op.outputs[0] in self.unaries:
            return  # computed where it is used
        lowering = {
            "ADD": self._add,
            "SUB": self._add,
            "MUL": self._mul,
            "FULLY_CONNECTED": self._fully_connected,
            "BATCH_MATMUL": self._batch_matmul,
            "SOFTMAX": self._softmax,
            "MEAN": self._mean,
            "GATHER": self._gather,
            "SPLIT": self._split,
            "CONCATENATION": self._concatenation,
            "TRANSPOSE": self._transpose,
            **dict.fromkeys(RESHAPE_OPS, self._reshape),
        }.get(op.kind)
        if lowering is None:
            raise self._unsupported(
                op, "its input is constant or quantized by channel", "one int8 tensor with one scale"
            )
        lowering(op)

    def _table(self, index: int, unary: Unary) -> None:
        root = self._view(unary.root)
        out = self._allocate(self._tensor(index))
        name = self._constant(Constant(f"table_{index}", "int8_t", unary.table))
        x = root
        if root.contiguous and out.contiguous:
            x, rows, columns = root, 1, root.rows * root.columns
        elif (root.rows, root.columns) == (out.rows, out.columns):
            rows, columns = out.rows, out.columns
        else:
            x = self._contiguous(unary.root)
            rows, columns = out.rows, out.columns
        stride = columns if x.contiguous else x.stride
        operand = f"(thimble_operand){{{x.pointer}, {stride}, 1}}"
        self._call(f"thimble_table_s8({name}, {operand}, {out.pointer}, {out.stride}, {rows}, {columns});", [x], [out])

    def _operands(self, op: Op, out: View) -> tuple[list[str], list[View], int, int]:
        """The two operands as C, their views, and the rows and columns of the loop."""
        shape = self._tensor(op.outputs[0]).shape
        views = [self._view(index) for index in op.inputs]
        tensors = [self._tensor(index) for index in op.inputs]
        flat = out.contiguous and all(
            tensor.size == 1 or (tensor.shape == shape and view.contiguous)
            for tensor, view in zip(tensors, views, strict=True)
        )
        rows, columns = (1, out.rows * out.columns) if flat else (out.rows, out.columns)
        texts: list[str] = []
        for position, tensor in enumerate(tensors):
            padded = (1,) * (len(shape) - len(tensor.shape)) + tensor.shape
            view = views[position]
            if tensor.size == 1:
                row_stride, step = 0, 0
            elif padded == shape:
                row_stride, step = (columns if flat else view.stride), 1
            elif tensor.size == padded[-1]:
                row_stride, step = 0, 1
            elif padded[-1] == 1 and padded[:-1] == shape[:-1]:
                row_stride, step = view.stride, 0
            else:
                raise self._unsupported(
                    op,
                    f"shapes {tensors[0].shape} and {tensors[1].shape}",
                    "equal shapes, or one operand that is a number, one row, or one value a row",
                )
            kind = "thimble_operand_s16" if view.element == "int16_t" else "thimble_operand"
            texts.append(f"({kind}){{{view.pointer}, {row_stride}, {step}}}")
        return texts, views, rows, columns

    def _parameters(self, kind: str, name: str, values: dict[str, object]) -> str:
        """Text of a call's constant parameters; the emitter puts it before the function."""
        fields = ",\n    ".join(f".{key} = {value}" for key, value in values.items())
        return f"static const {kind} {name} = {{\n    {fields},\n}};\n"

    def _add(self, op: Op) -> None:
        a, b, out_tensor = (self._tensor(index) for index in (*op.inputs, op.outputs[0]))
        self._elementwise_int8(op)
        c = arithmetic.AddConstants.prepare(a, b, out_tensor, self._activation(op), 1 if op.kind == "ADD" else -1)
        if c.out[2] >= 0:
            raise self._unsupported(op, "an output scale far below the inputs'", "an output that int8 can hold")
        out = self._allocate(out_tensor)
        (first, second), views, rows, columns = self._operands(op, out)
        if c.swapped:
            first, second = second, first
        name = f"{'sum' if op.kind == 'ADD' else 'difference'}_{out_tensor.index}"
        parameters = self._parameters(
            "thimble_add_s8_params",
            name,
            {"scale": _sum_scale(c), **dict(zip(("out_min", "out_max"), c.range, strict=True))},
        )
        flat = rows == 1 and columns == a.size == b.size and columns % 2 == 0
        if flat and c.range == (-128, 127) and c.b_sign == 1 and c.a[1:] != c.b[1:] and c.out[2] >= -22:
            larger, smaller = reversed(views) if c.swapped else views
            fields = {"scale": _sum_scale(c), "columns": columns}
            arguments = f"&{name}, {larger.pointer}, {smaller.pointer}, {out.pointer}"
            parameters = self._parameters("thimble_sum_s8_params", name, fields)
            self._block_call("thimble_sum_s8", arguments, views, out, parameters)
            return
        call = f"thimble_add_s8(&{name}, {first}, {second}, {out.pointer}, {out.stride}, {rows}, {columns});"
        self._call(call, views, [out], declaration=parameters)

    def _mul(self, op: Op) -> None:
        a, b, out_tensor = (self._tensor(index) for index in (*op.inputs, op.outputs[0]))
        self._elementwise_int8(op)
        c = arithmetic.MulConstants.prepare(a, b, out_tensor, self._activation(op))
        if c.out[2] > _MAX_MUL_SHIFT:
            raise self._unsupported(op, "an output scale far below the product's", "an output that int8 can hold")
        out = self._allocate(out_tensor)
        texts, views, rows, columns = self._operands(op, out)
        name = f"product_{out_tensor.index}"
        parameters = self._parameters(
            "thimble_mul_s8_params",
            name,
            {
                "a_offset": c.a_offset,
                "b_offset": c.b_offset,
                **dict(zip(("out_zero_point", "out_multiplier", "out_shift"), c.out, strict=True)),
                **dict(zip(("out_min", "out_max"), c.range, strict=True)),
            },
        )
        call = f"thimble_mul_s8(&{name}, {texts[0]}, {texts[1]}, {out.pointer}, {out.stride}, {rows}, {columns});"
        self._call(call, views, [out], declaration=parameters)

    def _elementwise_int8(self, op: Op) -> None:
        for index in (*op.inputs, *op.outputs):
            if self._tensor(index).dtype != "INT8" or self._tensor(index).scales.size != 1:
                raise self._unsupported(op, f"a {self._tensor(index).dtype} operand", "int8 tensors with one scale")

    def _activation(self, op: Op) -> int:
        return int(str(op.options.get("fusedActivationFunction", 0)))

    def _product(self, op: Op) -> Product:
        """The product's weights and scales, checked."""
        x, weights, out_tensor = (self._tensor(index) for index in (op.inputs[0], op.inputs[1], op.outputs[0]))
        bias = self._tensor(op.inputs[2]) if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
        if weights.data is None or len(weights.shape) != 2 or (bias is not None and bias.data is None):
            raise self._unsupported(op, "weights or biases that are computed", "constant ones")
        if x.size != weights.shape[1]:
            raise self._unsupported(op, f"{x.size // weights.shape[1]} rows at once", "one row, as a decode step has")
        if (weights.zero_points != 0).any() or x.scales.size != 1:
            raise self._unsupported(op, "weights with a zero point", "symmetric weights")
        rows = weights.shape[0]
        scales = np.broadcast_to(weights.scales, (rows,))
        if weights.scales.size > 1:
            pairs = [fp.quantize_multiplier(x.scale * float(scale) / out_tensor.scale) for scale in scales]
        else:
            pairs = [arithmetic.product_multiplier(x, weights, out_tensor)] * rows
        self._check_shift(op, max(pair[1] for pair in pairs))
        product = Product(
            np.asarray(weights.data, np.int8),
            None if bias is None else np.asarray(bias.data, np.int32).reshape(-1),
            np.array([pair[0] for pair in pairs], np.int32),
            -np.array([pair[1] for pair in pairs], np.int64),
        )
        return normalize_dead_rows(product, out_tensor.zero_point)

    def _fully_connected(self, op: Op) -> None:
        x, out_tensor = self._tensor(op.inputs[0]), self._tensor(op.outputs[0])
        name = self.products[out_tensor.index]
        product, form, plain = self.chosen[out_tensor.index]
        rows, depth = product.weights.shape
        limits = arithmetic.activation_range(out_tensor, self._activation(op))
        if form.packing is WeightLayout.ROW_MAJOR:
            prepared = self._row_product(name, x, product, limits)
        elif form.packing is not None:
            prepared = self._packed_product(name, x, product, form.packing)
        elif form.columns:
            prepared = self._blocks_product(name, x, product, form.columns)
        elif form.nonzeros:
            prepared = self._nm_sparse_product(name, x, product, form.nonzeros)
        else:
            prepared = self._s4_product(name, x, product)
        source, in_block, structure, fields = prepared
        parameters = self._parameters(
            f"thimble_fully_connected_{structure}_s8_params",
            name,
            {**fields, "out_zero_point": out_tensor.zero_point},
        )
        out = self._allocate(out_tensor)
        kernel = f"thimble_fully_connected_{form.kernel}"
        tokens = f", {TOKENS if in_block else 1}"
        if form.packing is None:
            tokens = ""
        elif form.packing is not WeightLayout.ROW_MAJOR and int(str(fields["part"])) < depth:
            kernel, tokens = f"{kernel}_parts", ""
        self._call(
            f"{kernel}_s8(&{name}, {_INPUT[structure].format(source.pointer)}, {out.pointer}{tokens});",
            [source],
            [out],
            declaration=parameters,
            product=name,
            form=form,
            plain=plain,
            block=in_block,
            macs=rows * depth,
            weight_bytes=form.weight_bytes,
            kind="fully_connected",
        )
        if form.packing is not WeightLayout.ROW_MAJOR and limits != (-128, 127):
            limit = f"thimble_limit_s8({out.pointer}, {rows}, {limits[0]}, {limits[1]});"
            self._call(limit, [out], [out], product=name, kind="fully_connected")

    def _arrays(self, name: str, product: Product, arrays: dict[str, NDArray[np.generic]]) -> dict[str, object]:
        """Constants of a product, each by the field that points to it."""
        raw = product.weights.nbytes
        return {
            field: self._constant(
                Constant(f"{name}_{field}", f"{array.dtype}_t", array, weights=True, raw=raw)
                if field in ("weights", "stream")
                else Constant(f"{name}_{field}", f"{array.dtype}_t", array)
            )
            for field, array in arrays.items()
        }

    def _row_product(self, name: str, x: Tensor, product: Product, limits: tuple[int, int]) -> _Prepared:
        rows, depth = product.weights.shape
        source, shifts = self._contiguous(x.index), (-product.right_shifts).astype(np.int8)
        offsets = -x.zero_point * product.weights.astype(np.int64).sum(axis=1)
        total = offsets if product.bias is None else offsets + product.bias
        arrays: dict[str, NDArray[np.generic]] = {
            **{"weights": product.weights.reshape(-1), "bias": _wrapped(total)},
            **{"multiplier": product.multipliers, "shift": shifts},
        }
        fields = {
            **self._arrays(name, product, arrays),
            **{"depth": depth, "rows": rows, "largest_shift": int(shifts.max())},
            **{"out_min": limits[0], "out_max": limits[1]},
        }
        return _Prepared(source, self._in_block(source) and rows % 4 == 0, "rows", fields)

    def _packed_product(self, name: str, x: Tensor, product: Product, kind: WeightLayout) -> _Prepared:
        rows, depth = product.weights.shape
        part = columns_at_once(product.weights, kind)
        scales = product.bias, product.multipliers, product.right_shifts
        in_halfwords = kind is not WeightLayout.INTERLEAVED_2 or outputs_fit(product.weights, *scales)
        source, in_block = self._input_as_int16(x, alone=part < depth or not in_halfwords)
        constants = row_constants(*scales)
        fields = {
            **self._arrays(name, product, {"weights": pack(product.weights, kind), "constants": constants}),
            **{"biased": int(product.bias is not None), "depth": depth, "rows": rows, "part": part},
        }
        return _Prepared(source, in_block, "packed", fields)

    def _blocks_product(self, name: str, x: Tensor, product: Product, columns: int) -> _Prepared:
        stream = pack_block_sparse(product.weights, columns, product.bias, product.multipliers, product.right_shifts)
        size = blocks_bytes(x.size, columns)
        source = self._encoded_input(x, f"blocks{columns}", "thimble_widen_blocks_s8", size, columns)
        return _Prepared(source, False, "blocks", self._arrays(name, product, {"stream": stream}))

    def _s4_product(self, name: str, x: Tensor, product: Product) -> _Prepared:
        rows, depth = product.weights.shape
        source, _ = self._input_as_int16(x, alone=True)
        constants = row_constants(product.bias, product.multipliers, product.right_shifts)
        fields = {
            **self._arrays(name, product, {"weights": pack_s4(product.weights), "constants": constants}),
            **{"biased": int(product.bias is not None), "depth": depth, "rows": rows},
        }
        return _Prepared(source, False, "nibbles", fields)

    def _nm_sparse_product(self, name: str, x: Tensor, product: Product, nonzeros: int) -> _Prepared:
        rows, depth = product.weights.shape
        constants = row_constants(product.bias, product.multipliers, product.right_shifts)
        fields = {
            **self._arrays(
                name, product, {"weights": pack_nm_sparse(product.weights, nonzeros), "constants": constants}
            ),
            **{"biased": int(product.bias is not None), "rows": rows},
            **{"words": words_of_row(depth, nonzeros), "kept": nonzeros},
        }
        source = self._encoded_input(
            x, f"picked{nonzeros}", "thimble_widen_picked_s8", nm_sparse_table_bytes(depth, nonzeros), nonzeros
        )
        return _Prepared(source, False, "picked", fields)

    def _encoded_input(self, x: Tensor, kind: str, kernel: str, size: int, parameter: int) -> View:
        """The input in the encoding that compressed kernels read, computed once for all products that share it."""
        name = f"{kind}_{x.index}"
        if name not in self.compressed:
            source = self._contiguous(x.index)
            self.compressed[name] = View("arena", name, 1, size, size)
            self.program.buffers[name] = size
            target = f"(int32_t *)(void *)({self.compressed[name].pointer})"
            call = f"{kernel}({source.pointer}, {-x.zero_point}, {target}, {x.size}, {parameter});"
            self._call(call, [source], [self.compressed[name]], kind="fully_connected")
        return self.compressed[name]

    def _input_as_int16(self, x: Tensor, alone: bool) -> tuple[View, bool]:
        """The input as int16, made once for all products that read it, and whether it is so for a block of tokens.

        Args:
            alone: each token by itself, where a product takes no more.
        """
        columns = 2 * ((x.size + 3) // 4 * 4) + 4
        known = self.widened.get((x.index, alone))
        if known:
            return View("arena", known[0], 1, columns, columns), known[1]
        source = self._contiguous(x.index)
        if source.space == "constant" and x.size % 4:
            source = self._copied(x.index, source)  # what lies behind it is read
        wide = View("arena", f"wide_{x.index}{'_alone' if alone else ''}", 1, columns, columns)
        in_block = not alone and self._in_block(source)
        self.widened[x.index, alone] = wide.buffer, in_block
        self.program.buffers[wide.buffer] = columns
        target = f"(int16_t *)(void *)({wide.pointer})"
        arguments = f"{source.pointer}, {-x.zero_point}, {target}, {x.size}, {TOKENS if in_block else 1}"
        text = f"thimble_widen_s8({arguments});"
        self._call(text, [source], [wide], block=in_block, interleaved=in_block, kind="fully_connected")
        return wide, in_block

    def _batch_matmul(self, op: Op) -> None:
        a, b, out_tensor = (self._tensor(index) for index in (*op.inputs, op.outputs[0]))
        if op.options.get("adjX") or len(a.shape) < 2 or len(b.shape) < 2 or a.scales.size != 1 or b.scales.size != 1:
            raise self._unsupported(op, "a transposed left side or a vector", "matrices, the left one not transposed")
        batches, b_batches = prod(a.shape[:-2]), prod(b.shape[:-2])
        if b_batches not in (1, batches) or (b_batches != 1 and b.shape[:-2] != a.shape[:-2]):
            raise self._unsupported(
                op, f"batches {a.shape[:-2]} and {b.shape[:-2]}", "equal batches, or one right matrix"
            )
        rows, depth, columns = a.shape[-2], a.shape[-1], out_tensor.shape[-1]
        x, y = self._contiguous(a.index), self._contiguous(b.index)
        out = self._allocate(out_tensor)
        multiplier, shift = arithmetic.product_multiplier(a, b, out_tensor)
        self._check_shift(op, shift)
        name = f"matmul_{out_tensor.index}"
        parameters = self._parameters(
            "thimble_batch_matmul_s8_params",
            name,
            {
                "a_offset": -a.zero_point,
                "b_offset": -b.zero_point,
                "out_zero_point": out_tensor.zero_point,
                "out_multiplier": multiplier,
                "out_shift": shift,
                "batches": batches,
                "rows": rows,
                "depth": depth,
                "columns": columns,
                "a_batch_stride": rows * depth,
                "b_batch_stride": 0 if b_batches == 1 else depth * columns,
                "b_transposed": int(bool(op.options.get("adjY"))),
            },
        )
        call = f"thimble_batch_matmul_s8(&{name}, {x.pointer}, {y.pointer}, {out.pointer});"
        self._call(call, [x, y], [out], declaration=parameters, macs=batches * rows * depth * columns, kind="matmul")

    def _softmax(self, op: Op) -> None:
        tensor, out_tensor = self._tensor(op.inputs[0]), self._tensor(op.outputs[0])
        if out_tensor.zero_point != -128 or out_tensor.scale != 1 / 256:
            raise self._unsupported(op, "an output scale other than 1/256", "scale 1/256, zero point −128")
        x = self._contiguous(tensor.index)
        out = self._allocate(out_tensor)
        exp = self._exp(tensor, float(str(op.options.get("beta", 1.0))), out_tensor.index)
        self._call(
            f"thimble_softmax_s8({exp}, {x.pointer}, {out.pointer}, {tensor.rows}, {tensor.columns});", [x], [out]
        )

    def _exp(self, tensor: Tensor, beta: float, index: int) -> str:
        return self._constant(Constant(f"exp_{index}", "int32_t", arithmetic.softmax_exp(tensor.scale, beta)[::-1]))

    def _mean(self, op: Op) -> None:
        tensor, out_tensor = self._tensor(op.inputs[0]), self._tensor(op.outputs[0])
        axes = self._tensor(op.inputs[1]).data
        rank = len(tensor.shape)
        if axes is None or [int(axis) % rank for axis in axes.reshape(-1)] != [rank - 1]:
            raise self._unsupported(op, "axes other than the last", "the mean over the last axis")
        x = self._contiguous(tensor.index)
        out = self._allocate(out_tensor)
        multiplier, shift = self._mean_scale(op)
        name = f"mean_{out_tensor.index}"
        parameters = self._parameters(
            "thimble_mean_s8_params",
            name,
            {
                "in_zero_point": tensor.zero_point,
                "out_zero_point": out_tensor.zero_point,
                "multiplier": multiplier,
                "shift": shift,
            },
        )
        call = f"thimble_mean_s8(&{name}, {x.pointer}, {out.pointer}, {tensor.rows}, {tensor.columns});"
        self._call(call, [x], [out], declaration=parameters, kind="norm")

    def _mean_scale(self, op: Op) -> tuple[int, int]:
        """(multiplier, shift) of a mean, 1 / columns included, as TensorFlow Lite Micro folds it in."""
        tensor, out_tensor = self._tensor(op.inputs[0]), self._tensor(op.outputs[0])
        multiplier, shift = fp.quantize_multiplier(tensor.scale / out_tensor.scale)
        self._check_shift(op, shift)
        steps = min(tensor.columns.bit_length() - 1, 32, 31 + shift)
        return (multiplier << steps) // tensor.columns, shift - steps

    def _gather(self, op: Op) -> None:
        table, out = self._tensor(op.inputs[0]), self._tensor(op.outputs[0])
        names = {self.graph.inputs[name]: name for name in _INDICES if name in self.graph.inputs}
        index = names.get(op.inputs[1])
        if table.data is None or index is None or int(str(op.options.get("axis", 0))) != 0 or len(table.shape) != 2:
            raise self._unsupported(op, "this look-up", "a row of a constant table, by `token` or `position`")
        fused = {attention.mask for attention in self.attentions.values()}
        fused |= {rotary.rope_offset.row for rotary in self.rotaries.values() if rotary.rope_offset}
        if fused & self._aliases(out.index):
            return  # the mask is part of the attention, and the drift of the rotary positions
        values = np.asarray(table.data, np.int8).reshape(-1)
        name = self._constant(Constant(f"{index}_table_{out.index}", "int8_t", values, weights=True))
        row = View("constant", name, 1, table.columns, table.columns, f"{_INDICES[index]} * {table.columns}")
        readers = {consumer.outputs for alias in self._aliases(out.index) for consumer in self.graph.consumers(alias)}
        if index == "token" and len(readers - {op.outputs}) > 1:
            # What the first layer reads and adds to lies where the others' does: one loop can do them all.
            self._copy(row, self._allocate(out))
        else:
            self.views[out.index] = row

    def _aliases(self, index: int) -> set[int]:
        """The tensor and those that are only reshapes of it."""
        aliases = {index}
        for op in self.graph.ops:
            if op.kind in RESHAPE_OPS and op.inputs[0] in aliases:
                aliases.add(op.outputs[0])
        return aliases

    def _reshape(self, op: Op) -> None:
        source, out = self._tensor(op.inputs[0]), self._tensor(op.outputs[0])
        if source.index not in self.views and source.index not in self.unaries and source.data is None:
            return  # a row that the attention or the rotary positions hold
        view = self._contiguous(source.index)
        self.views[out.index] = dataclasses.replace(view, rows=out.rows, columns=out.columns, stride=out.columns)

    def _transpose(self, op: Op) -> None:
        source = self._tensor(op.inputs[0])
        permutation = self._tensor(op.inputs[1]).data
        moved_axes = (
            []
            if permutation is None
            else [int(axis) for axis in permutation.reshape(-1) if source.shape[int(axis)] != 1]
        )
        if permutation is None or moved_axes != sorted(moved_axes):
            raise self._unsupported(op, "axes that change places", "moving axes of length 1")
        self._reshape(op)

    def _split(self, op: Op) -> None:
        axis = self._tensor(op.inputs[0]).data
        source = self._tensor(op.inputs[1])
        split_axis = 0 if axis is None else int(axis.reshape(-1)[0]) % len(source.shape)
        outer = prod(source.shape[:split_axis])
        view = self._view(source.index)
        if axis is None or (split_axis != len(source.shape) - 1 and outer != 1):
            raise self._unsupported(
                op, f"axis {split_axis} of {source.shape}", "the last axis, or the first that is longer than 1"
            )
        offset = 0
        for index in op.outputs:
            out = self._tensor(index)
            start = f"{view.offset} + {offset}" if view.offset != "0" else str(offset)
            stride = view.stride if split_axis == len(source.shape) - 1 else out.columns
            self.views[index] = View(view.space, view.buffer, out.rows, out.columns, stride, start, view.element)
            offset += out.columns if split_axis == len(source.shape) - 1 else out.size

    def _concatenation(self, op: Op) -> None:
        out_tensor = self._tensor(op.outputs[0])
        for index in op.inputs:
            tensor = self._tensor(index)
            if tensor.scale != out_tensor.scale or tensor.zero_point != out_tensor.zero_point:
                raise self._unsupported(op, "inputs of different scales", "inputs quantized like the output")
        out = self.views.get(out_tensor.index) or self._allocate(out_tensor)
        inner = prod(out_tensor.shape[self._axis(op) + 1 :])
        outer = prod(out_tensor.shape[: self._axis(op)])
        width, offset = out_tensor.size // outer, 0
        for index in op.inputs:
            tensor = self._tensor(index)
            part = tensor.size // outer
            if self.targets.get(index, (None, 0))[0] is not out_tensor:
                view = self._contiguous(index)
                target = View(out.space, out.buffer, outer, part, width, str(offset), out.element)
                self._copy(dataclasses.replace(view, rows=outer, columns=part, stride=part), target)
            elif index in self.unaries:
                self._view(index)  # a function of one value that nothing else asked for
            offset += part
        assert offset == width and inner >= 1

    def _copy(self, source: View, target: View) -> None:
        if source.element == "int16_t":
            texts = (f"(const int8_t *)({source.pointer})", f"(int8_t *)({target.pointer})")
            strides = (2 * source.stride, 2 * target.stride, 2 * target.columns)
        else:
            texts, strides = (source.pointer, target.pointer), (source.stride, target.stride, target.columns)
        self._call(
            f"thimble_copy_s8({texts[0]}, {strides[0]}, {texts[1]}, {strides[1]}, {target.rows}, {strides[2]});",
            [source],
            [target],
            appends=target.space == "cache",
        )

    def _append_row(self, kind: str, layer: int) -> None:
        """Writes a new K or V row to its cache, where no fused attention does."""
        cache = self._tensor(self.graph.inputs[f"{kind}_cache_{layer}"])
        heads, context, head_dim = cache.shape
        row = self._contiguous(self.graph.outputs[f"{kind}_new_{layer}"])
        source = dataclasses.replace(row, rows=heads, columns=head_dim, stride=head_dim)
        target = View(
            "cache",
            f"layer{layer}_{kind}_cache",
            heads,
            head_dim,
            context * head_dim,
            f"{POSITION} * {head_dim}",
            cache.ctype,
        )
        self._copy(source, target)

    def _attention(self, attention: Attention) -> None:
        q, cache = self._tensor(attention.q), self._tensor(attention.k_cache)
        scores, masked = self._tensor(attention.scores), self._tensor(attention.masked_scores)
        mask, values = self._tensor(attention.mask), self._tensor(attention.v_cache)
        out_tensor = self._tensor(attention.out)
        kv_heads, group, head_dim = q.shape
        context = cache.shape[1]
        c = arithmetic.AddConstants.prepare(scores, mask, masked, attention.activation, 1)
        every = np.arange(-128, 128, dtype=np.int64)
        table = arithmetic.add(c, every, np.full_like(every, attention.unmasked)).astype(np.int8)
        empty = np.array([scores.zero_point], np.int64)  # the score of a row that holds the zero point
        name = f"layer{attention.layer}_attention"
        score_scale = arithmetic.product_multiplier(q, cache, scores)
        probabilities = self._tensor(attention.probabilities)
        out_scale = arithmetic.product_multiplier(probabilities, values, out_tensor)
        views = [self._contiguous(index) for index in (attention.q, attention.k_new, attention.v_new)]
        parameters = self._parameters(
            "thimble_attention_s8_params",
            name,
            {
                "mask": self._constant(Constant(f"{name}_mask", "int8_t", table)),
                "exp": self._exp(masked, attention.beta, attention.probabilities),
                "kv_heads": kv_heads,
                "group": group,
                "context": context,
                "head_dim": head_dim,
                "q_offset": -q.zero_point,
                "k_offset": -cache.zero_point,
                "score": _product_scale(*score_scale, scores.zero_point),
                "masked_score": int(arithmetic.add(c, empty, np.array([attention.masked], np.int64))[0]),
                "v_offset": -values.zero_point,
                "out": _product_scale(*out_scale, out_tensor.zero_point),
            },
        )
        k_part, v_part = (self._view(index).pointer for index in (attention.k_cache, attention.v_cache))
        q_place, k_place, v_place = (view.pointer for view in views)
        in_block = self._in_block(*views[1:])
        kind = WeightLayout.ROW_MAJOR if self.packing is WeightLayout.ROW_MAJOR else WeightLayout.INTERLEAVED_2
        capacity = (context + 3) // 4 * 4
        self._call(
            f"thimble_append_{kind}_s8(&{name}, {k_place}, {v_place}, {k_part}, {v_part}, {SLOT}, "
            f"{TOKENS if in_block else 1});",
            views[1:],
            [],
            declaration=parameters,
            block=in_block,
            appends=True,
            kind="cache",
            group=f"layer{attention.layer}_cache",
        )
        out = self._allocate(out_tensor, f"layer{attention.layer}_mixed")
        size = capacity if kind is WeightLayout.ROW_MAJOR else 2 * (head_dim + capacity)
        scratch = View("arena", f"{name}_scratch", 1, size, size)
        self.program.buffers[scratch.buffer] = size
        self.program.scratch.add(scratch.buffer)
        in_block = self._in_block(views[0], out)
        call = (
            f"thimble_attention_{kind}_s8(&{name}, {q_place}, {k_part}, {v_part}, {POSITION}, "
            f"{out.pointer}, {scratch.pointer}, {TOKENS if in_block else 1});"
        )
        macs = 2 * kv_heads * group * head_dim * (context // 2)
        self._call(call, [views[0]], [out, scratch], macs=macs, kind="attention", group=name, block=in_block)

    def _norm(self, norm: Norm) -> None:
        op, mean = self.graph.ops[norm.op], self.graph.ops[norm.mean]
        x, root, out_tensor = self._tensor(norm.x), self._tensor(norm.root), self._tensor(op.outputs[0])
        squares, means = self._tensor(mean.inputs[0]), self._tensor(mean.outputs[0])
        c = arithmetic.MulConstants.prepare(x, root, out_tensor, self._activation(op))
        source = self._contiguous(x.index)
        out = self._allocate(out_tensor)
        multiplier, shift = self._mean_scale(mean)
        name = f"norm_{out_tensor.index}"
        parameters = self._parameters(
            "thimble_norm_s8_params",
            name,
            {
                "square": self._constant(Constant(f"square_{squares.index}", "int8_t", norm.square)),
                "inverse_root": self._constant(Constant(f"inverse_root_{root.index}", "int8_t", norm.inverse_root)),
                "sum_start": -squares.zero_point * x.columns,
                "mean": _scaler(multiplier, shift),
                "mean_zero_point": means.zero_point,
                "x_offset": c.a_offset,
                "root_offset": c.b_offset,
                "out": _product_scale(c.out[1], c.out[2], c.out[0]),
                "columns": x.columns,
            },
        )
        self._block_call(
            "thimble_norm_s8", f"&{name}, {source.pointer}, {out.pointer}", [source], out, parameters, "norm"
        )

    def _gate(self, gate: Gate) -> None:
        op = self.graph.ops[gate.op]
        inner, up, out_tensor = (self._tensor(index) for index in (gate.activated, gate.up, op.outputs[0]))
        c = arithmetic.MulConstants.prepare(inner, up, out_tensor, self._activation(op))
        left, right = self._contiguous(gate.gate), self._contiguous(gate.up)
        out = self._allocate(out_tensor)
        name = f"gate_{out_tensor.index}"
        parameters = self._parameters(
            "thimble_gate_s8_params",
            name,
            {
                "table": self._constant(Constant(f"table_{inner.index}", "int8_t", gate.table)),
                "gate_offset": c.a_offset,
                "up_offset": c.b_offset,
                "out": _product_scale(c.out[1], c.out[2], c.out[0]),
                "columns": out_tensor.size,
            },
        )
        arguments = f"&{name}, {left.pointer}, {right.pointer}, {out.pointer}"
        self._block_call("thimble_gate_s8", arguments, [left, right], out, parameters)

    def _rotary(self, rotary: Rotary) -> None:
        x, rotation, out_tensor = (self._tensor(index) for index in (rotary.x, rotary.rotation, rotary.out))
        heads, _, half = x.shape
        source, matrices = self._contiguous(x.index), self._contiguous(rotation.index)
        out = self._allocate(out_tensor)
        multiplier, shift = arithmetic.product_multiplier(x, rotation, out_tensor)
        moved = self._rope_offset(rotary.rope_offset) if rotary.rope_offset else None
        name = f"rotary_{out_tensor.index}"
        fields: dict[str, object] = {
            "offset": -x.zero_point,
            "rotation_offset": -rotation.zero_point,
            "heads": heads,
            "half": half,
            "pairs": half - (moved.pairs if moved else 0),
            "out": _product_scale(multiplier, shift, out_tensor.zero_point),
        }
        kernel, rope_offset = "thimble_rotary_s8", ""
        if moved:
            kernel, rope_offset = "thimble_rotary_moved_s8", f"{moved.rope_offset}, "
            turned = ", ".join(f".{key} = {value}" for key, value in fields.items())
            fields = {"turned": f"{{{turned}}}", "means": moved.means}
        parameters = self._parameters(f"{kernel}_params", name, fields)
        by_position = matrices.offset == f"{TIME} * {rotation.size}"
        in_block = by_position and self._in_block(source, out)
        operands = f"{source.pointer}, {matrices.pointer}, {rope_offset}{out.pointer}"
        text = f"{kernel}(&{name}, {operands}, {TOKENS if in_block else 1});"
        self._call(text, [source, matrices], [out], declaration=parameters, block=in_block)

    def _rope_offset(self, rope_offset: RopeOffset) -> _RopeOffsetView | None:
        """The means and the drift where any are not zero."""
        constant, row = self._tensor(rope_offset.means), self._tensor(rope_offset.row)
        pairs = row.shape[0]
        means = np.asarray(constant.data, np.int8).reshape(constant.shape)
        cells = rope_offset.table.reshape(len(rope_offset.table), pairs, 4)
        moving = (means != constant.zero_point).any(axis=(1, 2)) & (cells != row.zero_point).any(axis=(0, 2))
        if not moving.any():
            return None
        moved = pairs - int(moving.argmax())
        table = self._constant(
            Constant(f"drift_table_{rope_offset.row}_{moved}", "int8_t", cells[:, -moved:].reshape(-1), weights=True)
        )
        values = np.ascontiguousarray(means.transpose(1, 2, 0)).reshape(-1)
        name = self._constant(Constant(f"means_{rope_offset.means}", "int8_t", values, weights=True))
        return _RopeOffsetView(name, f"{table} + {TIME} * {4 * moved}", moved)


_INPUT = {
    "rows": "{}",
    "packed": "(const int16_t *)(const void *)({})",
    "blocks": "(const int32_t *)(const void *)({})",
    "nibbles": "(const int16_t *)(const void *)({})",
    "picked": "(const int32_t *)(const void *)({})",
}
"""The input of a product's kernel, as C, by the structure of its parameters."""


def _product_scale(multiplier: int, shift: int, zero_point: int) -> str:
    """A thimble_product_scale, as C."""
    return f"{{{multiplier}, {-shift - 1}, {2 * zero_point + 1}}}"


def _scaler(multiplier: int, shift: int) -> str:
    """A thimble_scaler, as C."""
    right = max(-shift, 0)
    return f"{{{multiplier}, {max(shift, 0) + 1}, {right}, {1 << right >> 1}, {-1 if right else 0}}}"


def _sum_scale(c: arithmetic.AddConstants) -> str:
    """A thimble_sum_scale, as C."""
    return f"{{{', '.join(map(str, _sum_numbers(c)))}, {_product_scale(c.out[1], c.out[2], c.out[0])}}}"


def _sum_numbers(c: arithmetic.AddConstants) -> tuple[int, ...]:
    """A thimble_sum_scale up to its `out`; x is the operand of the larger scale."""
    (x_offset, _, _), (y_offset, y_multiplier, y_shift) = (c.b, c.a) if c.swapped else (c.a, c.b)
    x_sign, y_sign = (c.b_sign, 1) if c.swapped else (1, c.b_sign)
    equal = y_shift == 0  # both multipliers are 1/2 then, and the shift of 1 is made up for on the left
    y_factor, y_right = (1 << 22, 1) if equal else (1 << 21, -y_shift)
    return y_factor, y_offset * y_factor, y_multiplier, y_right - 1, y_sign, x_offset * x_sign << 20, x_sign << 20


def _wrapped(values: NDArray[np.int64]) -> NDArray[np.int32]:
    """As int32, modulo 2^32."""
    return (values & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
