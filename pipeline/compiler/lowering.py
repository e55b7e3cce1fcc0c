"""What the lowering of an operator is written with: places of tensors, constants, and calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.compiler.ir.graph import Graph, Op, Tensor
from pipeline.compiler.ir.program import (
    Address,
    Argument,
    BlockSize,
    Call,
    Constant,
    Index,
    Number,
    Operand,
    Parameters,
    Pointer,
    Program,
    Record,
    Scaled,
    Table,
    Value,
    View,
)
from pipeline.compiler.ir.refusals import unsupported
from pipeline.compiler.product import Choice
from pipeline.compiler.tied_embedding import TiedEmbedding
from pipeline.errors import UnsupportedModel
from pipeline.targets.cores import WeightLayout

__all__ = ["INDICES", "Lowering", "block_size", "parameters", "product_scale", "scaler"]

INDICES = {"token": Index.TOKEN, "position": Index.TIME}
"""The inputs of a decode step that are no tensors to a kernel."""


class Lowering:
    """A lowering under way.

    `views` says where each tensor lies; `deferred` lowers what is computed at its first use, by the tensor that it
    makes; `targets` are the tensors that their makers can write into a concatenation's output, which is given with the
    column; `choices` says how a product's weights are held, `tied` which look-ups are computed from such weights, and
    `prepared` which inputs of products were prepared already.
    """

    def __init__(self, graph: Graph, layout: WeightLayout) -> None:
        self.graph = graph
        self.layout = layout
        self.program = Program()
        self.views: dict[int, View] = {}
        self.deferred: dict[int, Callable[[], None]] = {}
        self.targets: dict[int, tuple[Tensor, int]] = {}
        self.choices: Mapping[int, Choice] = {}
        self.tied: Mapping[int, TiedEmbedding] = {}
        self.prepared: dict[tuple[object, ...], tuple[View, bool]] = {}
        self.names = {op.outputs[0]: op.name for op in graph.ops if op.name}

    def tensor(self, index: int) -> Tensor:
        """A tensor of the graph."""
        return self.graph.tensors[index]

    # --- places

    def view(self, index: int) -> View:
        """Where a tensor lies; constants are placed in flash, and what is deferred is computed on first use."""
        if index in self.views:
            return self.views[index]
        tensor = self.tensor(index)
        if tensor.data is not None:
            table = self.constant(Constant(f"constant_{index}", tensor.ctype, tensor.data.reshape(-1)))
            self.views[index] = View(
                "constant", table.name, tensor.rows, tensor.columns, tensor.columns, element=tensor.ctype
            )
        elif index in self.deferred:
            self.deferred.pop(index)()
        else:
            raise AssertionError(f"tensor {tensor.name!r} is used before it is computed")
        return self.views[index]

    def contiguous(self, index: int) -> View:
        """The tensor without gaps between rows, copied if need be."""
        view = self.view(index)
        return view if view.contiguous else self.copied(index, view)

    def aligned(self, index: int) -> View:
        """An int16 tensor at a multiple of four bytes, and with memory behind it up to a multiple of four elements."""
        view, size = self.contiguous(index), self.tensor(index).size
        whole = not view.offset and view.space == "arena"
        shifted = len(view.offset) == 1 and isinstance(view.offset[0], int) and view.offset[0] % 2 == 0
        row = view.space == "constant" and size % 4 == 0 and self.is_row(index)
        if whole or row or (shifted and view.space == "arena" and size % 4 == 0):
            return view
        return self.copied(index, view)

    def is_row(self, index: int) -> bool:
        """Whether the tensor is the row of a constant table at a token or position."""
        offset = self.views[index].offset
        return len(offset) == 1 and isinstance(offset[0], Scaled)

    def copied(self, index: int, view: View) -> View:
        """A contiguous copy of the tensor, in the arena."""
        name = f"t{index}_copy"
        self.program.buffers[name] = self.tensor(index).buffer_bytes
        copy = View("arena", name, view.rows, view.columns, view.columns, element=view.element)
        self.copy(view, copy)
        self.views[index] = copy
        return copy

    def allocate(self, tensor: Tensor, name: str | None = None) -> View:
        """Allocates the output of an operator: inside a concatenation's output, or in a buffer of its own."""
        target = self.targets.get(tensor.index)
        if target is not None:
            out, offset = target
            whole = self.views.get(out.index) or self.allocate(out)
            offsets = (offset,) if offset else ()
            view = View(whole.space, whole.buffer, tensor.rows, tensor.columns, out.columns, offsets, tensor.ctype)
        else:
            name = name or self.names.get(tensor.index, f"t{tensor.index}")
            assert name not in self.program.buffers
            self.program.buffers[name] = tensor.buffer_bytes
            view = View("arena", name, tensor.rows, tensor.columns, tensor.columns, element=tensor.ctype)
        self.views[tensor.index] = view
        return view

    def in_block(self, *views: View) -> bool:
        """Whether a block's tokens lie one behind the other in each view, without gaps."""
        return all(
            view.space == "arena"
            and view.contiguous
            and view.bytes == self.program.buffers[view.name]
            # The next token's place is rounded up to this.
            and view.bytes % 4 == 0
            for view in views
        )

    # --- constants and calls

    def constant(self, constant: Constant) -> Table:
        """Adds the constant; equal tables are stored once."""
        for known in self.program.constants.values():
            same = known.ctype == constant.ctype and known.weights == constant.weights
            if same and np.array_equal(known.values, constant.values):
                return Table(known.name)
        self.program.constants[constant.name] = constant
        return Table(constant.name)

    def call(
        self,
        kernel: str,
        arguments: Sequence[Argument | View | int],
        reads: Sequence[View],
        writes: Sequence[View],
        own: Sequence[Parameters] = (),
        **facts: Any,
    ) -> None:
        """Adds a kernel call.

        Args:
            kernel: the name of the C function.
            arguments: a view stands for the address of its first element, an integer for itself.
            reads: all that the kernel reads.
            writes: all that it writes.
            own: the constant parameters that come with the call.
            facts: further fields of the Call.
        """

        def arena(views: Sequence[View]) -> tuple[str, ...]:
            return tuple(view.name for view in views if view.space == "arena")

        typed = tuple(map(_argument, arguments))
        self.program.calls.append(Call(kernel, typed, arena(reads), arena(writes), tuple(own), **facts))

    def block_call(
        self,
        kernel: str,
        arguments: Sequence[Argument | View | int],
        reads: Sequence[View],
        out: View,
        own: Sequence[Parameters] = (),
        kind: str = "elementwise",
    ) -> None:
        """A kernel that takes `tokens`: all tokens of a block where it can."""
        in_block = self.in_block(*reads, out)
        self.call(kernel, (*arguments, block_size(in_block)), reads, [out], own, block=in_block, kind=kind)

    def element_call(self, own: Parameters, operands: Sequence[Operand], out: View, shape: tuple[int, int]) -> None:
        """An element-wise kernel over rows and columns, which is named as its parameters' type."""
        numbers = map(Number, (out.stride, *shape))
        arguments: tuple[Argument, ...] = (Address(own.name), *operands, Pointer(out), *numbers)
        reads = [operand.view for operand in operands]
        self.call(own.ctype.removesuffix("_params"), arguments, reads, [out], [own])

    def copy(self, source: View, target: View) -> None:
        """Copies rows."""
        arguments: tuple[Argument | int, ...]
        if source.element == "int16_t":
            arguments = (
                *(Pointer(source, "const int8_t *"), 2 * source.stride),
                *(Pointer(target, "int8_t *"), 2 * target.stride, target.rows, 2 * target.columns),
            )
        else:
            arguments = (
                *(Pointer(source), source.stride),
                *(Pointer(target), target.stride, target.rows, target.columns),
            )
        self.call("thimble_copy_s8", arguments, [source], [target], appends=target.space == "cache")

    def operands(self, op: Op, out: View) -> tuple[list[Operand], int, int]:
        """The operands of an element-wise operator, and the rows and columns of the loop.

        Raises:
            UnsupportedModel: shapes that are not broadcast in one of the ways that the kernels have.
        """
        shape = self.tensor(op.outputs[0]).shape
        views = [self.view(index) for index in op.inputs]
        tensors = [self.tensor(index) for index in op.inputs]
        flat = out.contiguous and all(
            tensor.size == 1 or (tensor.shape == shape and view.contiguous)
            for tensor, view in zip(tensors, views, strict=True)
        )
        rows, columns = (1, out.rows * out.columns) if flat else (out.rows, out.columns)
        operands: list[Operand] = []
        for view, tensor in zip(views, tensors, strict=True):
            padded = (1,) * (len(shape) - len(tensor.shape)) + tensor.shape
            if tensor.size == 1:
                row_stride, step = 0, 0
            elif padded == shape:
                row_stride, step = (columns if flat else view.stride), 1
            elif tensor.size == padded[-1]:
                row_stride, step = 0, 1
            elif padded[-1] == 1 and padded[:-1] == shape[:-1]:
                row_stride, step = view.stride, 0
            else:
                raise unsupported(
                    self.graph,
                    op,
                    f"shapes {tensors[0].shape} and {tensors[1].shape}",
                    "equal shapes, or one operand that is a number, one row, or one value a row",
                )
            operands.append(Operand(view, row_stride, step))
        return operands, rows, columns

    # --- refusals

    def unsupported(self, op: Op, what: str, supported: str) -> UnsupportedModel:
        """The error of an operator in a form that no kernel has."""
        return unsupported(self.graph, op, what, supported)

    def check_reach(self, op: Op, reach: int, shift: int) -> None:
        """Refuses sums that 32 bits cannot hold, also after the shift of the output's scale.

        Args:
            op: the operator.
            reach: what the absolute value of a sum cannot exceed.
            shift: of the scale, to the left.

        Raises:
            UnsupportedModel: it may be 2^31 or more.
        """
        if reach >= 1 << 31:
            raise self.unsupported(op, "sums beyond 32 bits", "fewer columns, or smaller weights and biases")
        if reach << min(max(shift, 0), 31) >= 1 << 31:
            raise self.unsupported(op, "an output scale far below the inputs'", "an output that int8 can hold")


def block_size(in_block: bool) -> Argument:
    """The number of tokens that a call takes: the block's, or one."""
    return BlockSize() if in_block else Number(1)


def parameters(ctype: str, name: str, fields: Mapping[str, Value]) -> Parameters:
    """The constant parameters of a call."""
    return Parameters(ctype, name, tuple(fields.items()))


def _argument(argument: Argument | View | int) -> Argument:
    if isinstance(argument, View):
        return Pointer(argument)
    return Number(int(argument)) if isinstance(argument, int | np.integer) else argument


def product_scale(multiplier: int, shift: int, zero_point: int) -> Record:
    """A thimble_product_scale."""
    return Record((multiplier, -shift - 1, 2 * zero_point + 1))


def scaler(multiplier: int, shift: int) -> Record:
    """A thimble_scaler."""
    right = max(-shift, 0)
    return Record((multiplier, max(shift, 0) + 1, right, 1 << right >> 1, -1 if right else 0))
