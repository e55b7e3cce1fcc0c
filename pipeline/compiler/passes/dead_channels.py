"""Takes out of a graph what a pruned matrix does not read: feed-forward channels and heads whose weights are all zero.

A zero column of a FULLY_CONNECTED's weights adds 0 · (x − zero point) to every sum, exactly nothing, so the channel
that it stands for need not be computed: not by the products before it, nor by what lies between. With a whole group of
heads go their rows of Q, K and V and their part of the KV cache. The logits stay the same to the byte.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler.fusions.attention import Attention, find_attentions
from pipeline.compiler.fusions.rotary import Rotary, find_rotaries
from pipeline.compiler.ir.graph import RESHAPE_OPS, Graph, Op, Tensor
from pipeline.compiler.ops.registry import ELEMENTWISE

__all__ = ["without_dead_channels"]


def without_dead_channels(graph: Graph) -> Graph:
    """Removes channels and heads whose outputs meet only zero columns; returns the same graph if there are none."""
    edit = _Edit(graph)
    for attention in find_attentions(graph):
        edit.drop_heads(attention)
    for op in graph.ops:
        if op.kind == "FULLY_CONNECTED":
            edit.drop_channels(op)
    return edit.done()


class _Edit:
    """Collects the changed tensors and operators, by the graph's indices."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.tensors = list(graph.tensors)
        self.ops = {id(op): op for op in graph.ops}
        self.rotaries = {rotary.out: rotary for rotary in find_rotaries(graph)}

    def done(self) -> Graph:
        ops = tuple(self.ops[id(op)] for op in self.graph.ops)
        return dataclasses.replace(self.graph, tensors=tuple(self.tensors), ops=ops)

    def drop_channels(self, product: Op) -> None:
        """Channels that the product's weights do not read, and that nothing else does."""
        columns = self._live_columns(product)
        if columns is None or columns.all():
            return
        cone = _Cone(self.graph, self.rotaries, len(columns), 1)
        if cone.trace(product.inputs[0]) and cone.is_read_by([product]):
            self._keep(cone, product, np.flatnonzero(columns) if columns.any() else np.array([0]))

    def drop_heads(self, attention: Attention) -> None:
        """Groups of heads whose output the product after the attention does not read."""
        graph, count = self.graph, self.graph.tensors[attention.q].shape[0]
        product = _reader(graph, attention.out)
        columns = None if product is None else self._live_columns(product)
        if product is None or columns is None or columns.size != graph.tensors[attention.out].size:
            return
        live = columns.reshape(count, -1).any(axis=1)
        if live.all():
            return
        cone = _Cone(graph, self.rotaries, columns.size // count, count)
        inside = [graph.ops[index] for index in attention.ops]
        roots = (attention.q, attention.k_new, attention.v_new)
        if not all(cone.trace(root) for root in roots) or not cone.is_read_by(inside, roots[1:]):
            return
        live_heads = np.flatnonzero(live) if live.any() else np.array([0])
        # All that lies between the caches and the product, and the way to the product, has the axis of heads.
        cone.tensors.update(
            (attention.k_cache, attention.v_cache, *(out for op in inside for out in op.outputs)),
        )
        cone.tensors.update(_way(graph, attention.out, product))
        self._keep(cone, product, live_heads)

    def _live_columns(self, product: Op) -> NDArray[np.bool_] | None:
        weights = self.tensors[product.inputs[1]]
        if weights.data is None or len(weights.shape) != 2 or (weights.zero_points != 0).any():
            return None
        live: NDArray[np.bool_] = (np.asarray(weights.data).reshape(weights.shape) != 0).any(axis=0)
        return live

    def _keep(self, cone: _Cone, product: Op, live_channels: NDArray[np.intp]) -> None:
        """Restricts every tensor of the cone to these channels, or groups of channels."""
        shapes = {index: cone.shape(self.tensors[index], len(live_channels)) for index in cone.tensors}
        if any(shape is None for shape in shapes.values()):
            return
        for index, shape in shapes.items():
            assert shape is not None
            self.tensors[index] = dataclasses.replace(self.tensors[index], shape=shape)
        for op, operand in cone.constants:
            self._operand(op, operand, self._chosen(self.tensors[op.inputs[operand]], live_channels, cone.groups, -1))
        for op, operand in cone.means:
            self._operand(op, operand, self._chosen(self.tensors[op.inputs[operand]], live_channels, cone.groups, 1))
        for leaf in cone.leaves:
            for operand, axis in ((1, 0), (2, 0)):
                if operand < len(leaf.inputs) and leaf.inputs[operand] >= 0:
                    tensor = self.tensors[self.ops[id(leaf)].inputs[operand]]
                    self._operand(leaf, operand, self._chosen(tensor, live_channels, cone.groups, axis))
        self._operand(
            product, 1, self._chosen(self.tensors[self.ops[id(product)].inputs[1]], live_channels, cone.groups, 1)
        )

    def _chosen(self, tensor: Tensor, live_channels: NDArray[np.intp], groups: int, axis: int) -> Tensor:
        """A new constant: the kept channels along the axis, with their scales where there is one each."""
        assert tensor.data is not None
        values = np.asarray(tensor.data).reshape(tensor.shape)
        size = values.shape[axis]
        every = np.arange(size).reshape(groups, -1)[live_channels].reshape(-1) if groups > 1 else live_channels
        data = np.take(values, every, axis=axis)
        per_channel = axis == 0 and tensor.scales.size == size > 1
        return dataclasses.replace(
            tensor,
            index=len(self.tensors),
            shape=data.shape,
            data=data,
            scales=tensor.scales[every] if per_channel else tensor.scales,
            zero_points=tensor.zero_points[every] if per_channel else tensor.zero_points,
        )

    def _operand(self, op: Op, position: int, tensor: Tensor) -> None:
        self.tensors.append(tensor)
        current = self.ops[id(op)]
        inputs = (*current.inputs[:position], tensor.index, *current.inputs[position + 1 :])
        self.ops[id(op)] = dataclasses.replace(current, inputs=inputs)


class _Cone:
    """Backward slice of a tensor of channels: the operators up to the matrix products that compute it and nothing else.

    Args:
        rotaries: rotary positions by their output.
        width: channels, or channels of a group.
        groups: how many groups of them the first axis, or a flat row, holds.
    """

    def __init__(self, graph: Graph, rotaries: Mapping[int, Rotary], width: int, groups: int) -> None:
        self.graph, self.rotaries = graph, rotaries
        self.pairs_first: set[int] = set()  # tensors whose second axis is that of heads
        self.width, self.groups = width, groups
        self.tensors: set[int] = set()
        self.ops: list[Op] = []
        self.leaves: list[Op] = []
        self.constants: list[tuple[Op, int]] = []
        self.means: list[tuple[Op, int]] = []

    def trace(self, tensor: int) -> bool:
        """Adds a tensor and its producers; False where an operator is not supported."""
        if tensor in self.tensors:
            return True
        op, output = self.graph.producer(tensor), self.graph.tensors[tensor]
        if op is None or self.shape(output, 1) is None:
            return False
        self.tensors.update(op.outputs)
        self.ops.append(op)
        if op.kind == "FULLY_CONNECTED":
            weights, bias = self.graph.tensors[op.inputs[1]], op.inputs[2] if len(op.inputs) > 2 else -1
            self.leaves.append(op)
            constant = bias < 0 or self.graph.tensors[bias].data is not None
            return weights.data is not None and len(weights.shape) == 2 and weights.shape[0] == output.size and constant
        if op.kind in RESHAPE_OPS or (op.kind in ELEMENTWISE and ELEMENTWISE[op.kind].arity == 1):
            return self.trace(op.inputs[0])
        if tensor in self.rotaries:
            return self._trace_rotary(self.rotaries[tensor])
        return op.kind in ELEMENTWISE and all(self._operand(op, position, output) for position in range(2))

    def _trace_rotary(self, rotary: Rotary) -> bool:
        for op in (self.graph.ops[index] for index in rotary.ops[:-1]):
            if rotary.rope_offset and rotary.rope_offset.row in op.inputs:
                continue  # makes the matrices, which all heads share
            self.pairs_first.update(op.outputs)
            self.ops.append(op)
            if rotary.rope_offset and rotary.rope_offset.means in op.inputs:
                self.means.append((op, op.inputs.index(rotary.rope_offset.means)))
        self.tensors |= self.pairs_first
        return self.groups > 1 and self.trace(rotary.x)

    def _operand(self, op: Op, position: int, output: Tensor) -> bool:
        operand = self.graph.tensors[op.inputs[position]]
        if operand.size == output.size and operand.data is None:
            return self.trace(operand.index)
        if self.groups == 1 and operand.data is not None and operand.size == output.size == operand.columns:
            self.constants.append((op, position))
            return True
        return operand.size == 1

    def is_read_by(self, readers: Sequence[Op], outputs: Sequence[int] = ()) -> bool:
        """Whether only the cone reads these tensors, and no graph output is among them besides those named."""
        known = {id(op) for op in (*self.ops, *readers)}
        read = all(id(op) in known for tensor in self.tensors for op in self.graph.consumers(tensor))
        return read and not (self.tensors & set(self.graph.outputs.values())) - set(outputs)

    def shape(self, tensor: Tensor, count: int) -> tuple[int, ...] | None:
        """The tensor's shape with that many channels or groups; None where it has no such axis."""
        shape = tensor.shape
        if self.groups == 1:
            flat = tensor.columns == tensor.size == self.width
            return (*shape[:-1], count) if flat else None
        if tensor.index in self.pairs_first:
            return (shape[0], shape[1] // self.groups * count, shape[2])
        if len(shape) == 3 and shape[0] % self.groups == 0:
            return (shape[0] // self.groups * count, *shape[1:])
        if tensor.columns == tensor.size and tensor.size % self.groups == 0:
            return (*shape[:-1], tensor.size // self.groups * count)
        return None


def _reader(graph: Graph, tensor: int) -> Op | None:
    """The product that alone reads the tensor, reshapes between them."""
    while True:
        consumers = graph.consumers(tensor)
        if len(consumers) != 1 or tensor in graph.outputs.values():
            return None
        if consumers[0].kind == "FULLY_CONNECTED" and consumers[0].inputs[0] == tensor:
            return consumers[0]
        if consumers[0].kind not in RESHAPE_OPS:
            return None
        tensor = consumers[0].outputs[0]


def _way(graph: Graph, tensor: int, product: Op) -> list[int]:
    """The tensors from one to the product that reads it."""
    way = [tensor]
    while way[-1] != product.inputs[0]:
        way.append(graph.consumers(way[-1])[0].outputs[0])
    return way
