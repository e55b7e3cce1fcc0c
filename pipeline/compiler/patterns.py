"""What the compiler recognizes in a graph: attention over a KV cache, functions of one value, and the layers' names."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.compiler import arithmetic
from pipeline.compiler.graph import Graph, Op, Tensor
from pipeline.numerics import fixed_point as fp
from pipeline.numerics.kv_window import SlidingWindow, StridedWindow, window_from_mask

__all__ = [
    "FUSED_SHIFTS",
    "Attention",
    "Gate",
    "Norm",
    "RopeOffset",
    "Rotary",
    "Unary",
    "find_attentions",
    "find_gates",
    "find_norms",
    "find_rotaries",
    "find_unaries",
    "group_products_by_input",
    "name_matmuls",
]

RESHAPE_OPS = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
ONE_INPUT = ("LOGISTIC", "TANH", "RSQRT", "RELU", "RELU6", "QUANTIZE")
FUSED_SHIFTS = range(-22, 0)
"""By which the fused kernels' scales round: to the right by 1 to 22."""
_MAX_MEAN_SHIFT = 8  # 255 · 8192 · 2^8 stays below 2^30
_ALL = np.arange(-128, 128, dtype=np.int64)


@dataclass(frozen=True)
class Attention:
    """CONCAT of cache and new row, BATCH_MATMUL, ADD of the mask, SOFTMAX, BATCH_MATMUL; tensors by index.

    `unmasked` and `masked` are the mask's two quantized values; `ops` all the operators that are replaced. `window` is
    None where the cache has a row for each token, else how tokens take the rows (`pipeline.numerics.kv_window`).
    """

    layer: int
    q: int
    k_new: int
    v_new: int
    k_cache: int
    v_cache: int
    scores: int
    mask: int
    masked_scores: int
    probabilities: int
    out: int
    unmasked: int
    masked: int
    beta: float
    activation: int
    ops: tuple[int, ...]
    window: SlidingWindow | StridedWindow | None = None


@dataclass(frozen=True)
class Unary:
    """A tensor that is a function of one other: `table[x + 128]` for each x of `root`."""

    root: int
    table: NDArray[np.int8]


@dataclass(frozen=True)
class Norm:
    """x · inverse_root[mean(square[x])]; `op` is the MUL, `mean` the MEAN, by their places, the tensors by index."""

    op: int
    mean: int
    x: int
    root: int
    square: NDArray[np.int8]
    inverse_root: NDArray[np.int8]


@dataclass(frozen=True)
class Gate:
    """table[gate] · up; `op` is the MUL, `activated` the tensor table[gate]."""

    op: int
    gate: int
    activated: int
    up: int
    table: NDArray[np.int8]


@dataclass(frozen=True)
class RopeOffset:
    """What further terms of rotary positions are made of (`pipeline.network.key_centering`): constant `means`
    [pairs, heads, 2] and the position's `row` of matrices [pairs, 2, 2], both tensors by index; `table` holds the rows
    of all positions."""

    means: int
    row: int
    table: NDArray[np.int8]


@dataclass(frozen=True)
class Rotary:
    """Pairs of each head times 2 × 2 matrices: TRANSPOSE, BATCH_MATMUL and TRANSPOSE, whose places are `ops`.

    `x` and `out` are [heads, 2, pairs], `rotation` [pairs, 2, 2], all of them int8 or all int16. With a `rope_offset`
    its means are concatenated to the pairs, its matrices to theirs.
    """

    x: int
    rotation: int
    out: int
    ops: tuple[int, ...]
    rope_offset: RopeOffset | None = None


def group_products_by_input(graph: Graph) -> Graph:
    """The same graph with matrix products of one input in a row, so that the input is prepared once."""
    ops = list(graph.ops)
    index = 0
    while index < len(ops):
        op = ops[index]
        if op.kind == "FULLY_CONNECTED":
            target = index + 1
            for later in range(index + 1, len(ops)):
                if ops[later].kind == "FULLY_CONNECTED" and ops[later].inputs[0] == op.inputs[0]:
                    ops.insert(target, ops.pop(later))
                    target += 1
            index = target
        else:
            index += 1
    return dataclasses.replace(graph, ops=tuple(ops))


def find_attentions(graph: Graph) -> list[Attention]:
    """All attentions that the fused kernel can compute, in order."""
    attentions: list[Attention] = []
    for op in graph.ops:
        if op.kind == "SOFTMAX":
            attention = _attention(graph, op)
            if attention is not None:
                attentions.append(attention)
    return attentions


def _attention(graph: Graph, softmax: Op) -> Attention | None:
    tensors = graph.tensors
    add = _sole_producer(graph, softmax.inputs[0], "ADD")
    if add is None:
        return None
    score_product = mask_row = None
    for left, right in (add.inputs, add.inputs[::-1]):
        product = graph.producer(left)
        if product is not None and product.kind == "BATCH_MATMUL":
            score_product, mask_row = product, right
    consumers = graph.consumers(softmax.outputs[0])
    if score_product is None or mask_row is None or len(consumers) != 1 or consumers[0].kind != "BATCH_MATMUL":
        return None
    value_product = consumers[0]
    keys = _sole_producer(graph, score_product.inputs[1], "CONCATENATION")
    values = _sole_producer(graph, value_product.inputs[1], "CONCATENATION")
    q = tensors[score_product.inputs[0]]
    if (
        keys is None
        or values is None
        or value_product.inputs[0] != softmax.outputs[0]
        or len(graph.consumers(score_product.outputs[0])) != 1
        or {score_product.outputs[0], softmax.outputs[0]} & set(graph.outputs.values())
        or not score_product.options.get("adjY")
        or score_product.options.get("adjX")
        or value_product.options.get("adjX")
        or value_product.options.get("adjY")
        or len(q.shape) != 3
        or q.shape[2] % 4
    ):
        return None
    k_parts, v_parts = _caches(graph, keys), _caches(graph, values)
    mask = _mask(graph, mask_row)
    if k_parts is None or v_parts is None or mask is None:
        return None
    (k_cache, k_new), (v_cache, v_new) = k_parts, v_parts
    layer = _layer(graph, k_cache)
    context = tensors[k_cache].shape[1]
    if layer is None or mask[0] != context or tensors[k_cache].shape != (q.shape[0], context, q.shape[2]):
        return None
    replaced = (keys, values, score_product, add, softmax, value_product)
    return Attention(
        layer=layer,
        q=q.index,
        k_new=k_new,
        v_new=v_new,
        k_cache=k_cache,
        v_cache=v_cache,
        scores=score_product.outputs[0],
        mask=mask_row,
        masked_scores=add.outputs[0],
        probabilities=softmax.outputs[0],
        out=value_product.outputs[0],
        unmasked=mask[1],
        masked=mask[2],
        beta=float(str(softmax.options.get("beta", 1.0))),
        activation=int(str(add.options.get("fusedActivationFunction", 0))),
        ops=tuple(graph.ops.index(op) for op in replaced),
        window=mask[3],
    )


def _caches(graph: Graph, concat: Op) -> tuple[int, int] | None:
    """(cache, new row) of a concatenation that appends a new row, which is an output of the step, to a cache with the
    same quantization."""
    if len(concat.inputs) != 2 or int(str(concat.options.get("axis"))) not in (1, -2):
        return None
    cache, new = concat.inputs
    name = next((name for name, index in graph.inputs.items() if index == cache), "")
    given_out = "_cache_" in name and graph.outputs.get(name.replace("_cache_", "_new_")) == new
    cached, added, out = (graph.tensors[index] for index in (cache, new, concat.outputs[0]))
    alike = cached.scale == added.scale == out.scale and cached.zero_point == added.zero_point == out.zero_point
    if not given_out or not alike or len(added.shape) != 3 or added.shape[1] != 1:
        return None
    return cache, new


def _layer(graph: Graph, k_cache: int) -> int | None:
    """The layer that the cache's signature name `k_cache_{layer}` gives."""
    name = next(name for name, index in graph.inputs.items() if index == k_cache)
    number = name.removeprefix("k_cache_")
    return int(number) if number.isdecimal() else None


def _mask(graph: Graph, row: int) -> tuple[int, int, int, SlidingWindow | StridedWindow | None] | None:
    """(rows of the cache, unmasked value, masked value, order of the rows) of a mask row that is looked up by position;
    the values are the table's, int8 also where the row is widened to int16."""
    table = _looked_up(graph, row)
    if table is None or not 2 <= table.shape[1] <= table.shape[0] + 1:
        return None
    rows = table.shape[1] - 1
    unmasked, masked = int(table[0, rows]), int(table[0, 0])
    window: SlidingWindow | StridedWindow | None = None
    if table.shape[0] > rows:
        unbounded = "rotation" in graph.inputs and table.shape[0] <= 2 * rows
        window = SlidingWindow(rows, 2 * rows - table.shape[0]) if unbounded else window_from_mask(table == unmasked)
        if window is None:
            return None
    visible = (window or SlidingWindow(rows)).visible()[: table.shape[0]]
    return (rows, unmasked, masked, window) if np.array_equal(table, np.where(visible, unmasked, masked)) else None


def _looked_up(graph: Graph, row: int) -> NDArray[np.generic] | None:
    """The constant table [positions, columns] of which the tensor, perhaps widened to int16, is a row, by position."""
    op = graph.producer(row)
    while op is not None and (
        op.kind in RESHAPE_OPS or (op.kind == "QUANTIZE" and graph.tensors[row].dtype == "INT16")
    ):
        row = op.inputs[0]
        op = graph.producer(row)
    if op is None or op.kind != "GATHER" or op.inputs[1] != graph.inputs.get("position"):
        return None
    table = graph.tensors[op.inputs[0]].data
    rows = table is not None and table.ndim == 2 and int(str(op.options.get("axis", 0))) == 0
    return table if rows else None


def _sole_producer(graph: Graph, tensor: int, kind: str) -> Op | None:
    op = graph.producer(tensor)
    single = len(graph.consumers(tensor)) == 1 and tensor not in graph.outputs.values()
    return op if op is not None and op.kind == kind and single else None


def find_unaries(graph: Graph) -> dict[int, Unary]:
    """Tensors that are functions of one other tensor of the same shape, each traced to the farthest such root.

    Besides the ops of one input these are sums and products with a constant number, and of two functions of one root:
    x·x, or g·logistic(g).
    """
    unaries: dict[int, Unary] = {}
    for op in graph.ops:
        if op.kind in ONE_INPUT:
            tensor, out = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
            if tensor.data is None and _int8(tensor, out):
                source = unaries.get(tensor.index, Unary(tensor.index, _ALL.astype(np.int8)))
                unaries[out.index] = Unary(
                    source.root, _table(arithmetic.unary(op, tensor, out, source.table.astype(np.int64)))
                )
        elif op.kind in ("ADD", "SUB", "MUL"):
            unary = _binary(graph, op, unaries)
            if unary is not None:
                unaries[op.outputs[0]] = unary
    return unaries


def _binary(graph: Graph, op: Op, unaries: dict[int, Unary]) -> Unary | None:
    a, b, out = (graph.tensors[index] for index in (*op.inputs, op.outputs[0]))
    if not _int8(a, b, out) or (a.data is not None and b.data is not None):
        return None
    sources: list[Unary | None] = []
    for tensor in (a, b):
        if tensor.data is not None:
            if tensor.size != 1:
                return None
            sources.append(Unary(-1, np.full(256, tensor.data.reshape(-1)[0], np.int8)))
        else:
            sources.append(unaries.get(tensor.index, Unary(tensor.index, _ALL.astype(np.int8))))
    roots = {source.root for source in sources if source is not None and source.root >= 0}
    if len(roots) != 1:
        return None
    root = roots.pop()
    if graph.tensors[root].size != out.size:
        return None
    x, y = (source.table.astype(np.int64) for source in sources if source is not None)
    activation = int(str(op.options.get("fusedActivationFunction", 0)))
    if op.kind == "MUL":
        result = arithmetic.mul(arithmetic.MulConstants.prepare(a, b, out, activation), x, y)
    else:
        sign = 1 if op.kind == "ADD" else -1
        result = arithmetic.add(arithmetic.AddConstants.prepare(a, b, out, activation, sign), x, y)
    return Unary(root, _table(result))


def find_norms(graph: Graph, unaries: dict[int, Unary]) -> list[Norm]:
    """The norms of one row that one kernel computes."""
    norms = [_norm(graph, unaries, index, op) for index, op in enumerate(graph.ops) if op.kind == "MUL"]
    return [norm for norm in norms if norm is not None]


def _norm(graph: Graph, unaries: dict[int, Unary], index: int, op: Op) -> Norm | None:
    out = graph.tensors[op.outputs[0]]
    for x_index, root_index in (op.inputs, op.inputs[::-1]):
        x, root = graph.tensors[x_index], graph.tensors[root_index]
        unary = unaries.get(root_index)
        mean = None if unary is None else graph.producer(unary.root)
        if unary is None or mean is None or mean.kind != "MEAN" or not _int8(x, root, out):
            continue
        square, axes = unaries.get(mean.inputs[0]), graph.tensors[mean.inputs[1]].data
        alone = _alone(graph, mean.inputs[0]) and _leads_to(graph, unary.root, root_index) and _alone(graph, root_index)
        last = axes is not None and [int(axis) % len(x.shape) for axis in axes.reshape(-1)] == [len(x.shape) - 1]
        if square is None or square.root != x_index or not alone or not last or x.rows != 1 or out.size != x.size:
            continue
        means = graph.tensors[mean.outputs[0]]
        small = fp.quantize_multiplier(graph.tensors[mean.inputs[0]].scale / means.scale)[1] <= _MAX_MEAN_SHIFT
        if (
            small
            and x.columns <= 8192
            and x.columns % 2 == 0
            and _fits(arithmetic.MulConstants.prepare(x, root, out, _activation(op)))
        ):
            return Norm(index, graph.ops.index(mean), x_index, root_index, square.table, unary.table)
    return None


def find_gates(graph: Graph, unaries: dict[int, Unary]) -> list[Gate]:
    """Products of a function of one tensor with another tensor of the same size."""
    gates = [_gate(graph, unaries, index, op) for index, op in enumerate(graph.ops) if op.kind == "MUL"]
    return [gate for gate in gates if gate is not None]


def _gate(graph: Graph, unaries: dict[int, Unary], index: int, op: Op) -> Gate | None:
    out = graph.tensors[op.outputs[0]]
    if out.index in unaries:
        return None
    for activated, up in (op.inputs, op.inputs[::-1]):
        unary, up_tensor = unaries.get(activated), graph.tensors[up]
        inner = graph.tensors[activated]
        if (
            unary is None
            or not _alone(graph, activated)
            or up_tensor.data is not None
            or not _int8(inner, up_tensor, out)
        ):
            continue
        sizes = {graph.tensors[unary.root].size, inner.size, up_tensor.size, out.size}
        if (
            len(sizes) == 1
            and out.size % 2 == 0
            and _fits(arithmetic.MulConstants.prepare(inner, up_tensor, out, _activation(op)))
        ):
            return Gate(index, unary.root, activated, up, unary.table)
    return None


def find_rotaries(graph: Graph) -> list[Rotary]:
    """The rotary positions of the form that one kernel computes."""
    rotaries = [_rotary(graph, op) for op in graph.ops if op.kind == "BATCH_MATMUL"]
    return [rotary for rotary in rotaries if rotary is not None]


def _rotary(graph: Graph, product: Op) -> Rotary | None:
    left, right = _joined(graph, product.inputs[0], -1), _joined(graph, product.inputs[1], 1)
    pairs = left[0] if left else product.inputs[0]
    matrices = right[0] if right else product.inputs[1]
    rope_offset = _match_rope_offset(graph, left, right) if left and right else None
    before = _sole_producer(graph, pairs, "TRANSPOSE")
    consumers = graph.consumers(product.outputs[0])
    if before is None or not _alone(graph, product.outputs[0]) or consumers[0].kind != "TRANSPOSE":
        return None
    after = consumers[0]
    x, rotation, out = (graph.tensors[i] for i in (before.inputs[0], matrices, after.outputs[0]))
    orders = [_order(graph, transpose) for transpose in (before, after)]
    alike = x.dtype == rotation.dtype == out.dtype and all(tensor.scales.size == 1 for tensor in (x, rotation, out))
    if (
        orders != [[2, 0, 1], [1, 2, 0]]
        or product.options.get("adjX")
        or product.options.get("adjY")
        or x.data is not None
        or x.shape != out.shape
        or x.shape[1] != 2
        or rotation.shape != (x.shape[2], 2, 2)
        or not alike
        or ((left or right) and rope_offset is None)
    ):
        return None
    joins = [op for op in map(graph.producer, product.inputs) if rope_offset and op]
    op_indices = tuple(graph.ops.index(op) for op in (before, *joins, product, after))
    return Rotary(x.index, rotation.index, out.index, op_indices, rope_offset)


def _match_rope_offset(graph: Graph, left: tuple[int, int], right: tuple[int, int]) -> RopeOffset | None:
    """What is concatenated to the pairs, and to the matrices."""
    (pairs, means), (rotation, row) = ([graph.tensors[index] for index in side] for side in (left, right))
    table = _looked_up(graph, row.index)
    shaped = means.shape == pairs.shape and row.shape == rotation.shape
    if not shaped or means.data is None or table is None or table.dtype != np.int8:
        return None
    return RopeOffset(means.index, row.index, table.astype(np.int8))


def _joined(graph: Graph, tensor: int, axis: int) -> tuple[int, int] | None:
    """The two tensors that are concatenated along the axis, of three, and quantized alike."""
    op = graph.producer(tensor)
    if op is None or op.kind != "CONCATENATION" or len(op.inputs) != 2:
        return None
    left, right, out = (graph.tensors[index] for index in (*op.inputs, tensor))
    alike = left.scale == right.scale == out.scale and left.zero_point == right.zero_point == out.zero_point
    along = int(str(op.options.get("axis"))) % 3 == axis % 3
    return (left.index, right.index) if alike and along and len(out.shape) == 3 else None


def _order(graph: Graph, transpose: Op) -> list[int]:
    order = graph.tensors[transpose.inputs[1]].data
    return [] if order is None else [int(axis) for axis in order.reshape(-1)]


def _activation(op: Op) -> int:
    return int(str(op.options.get("fusedActivationFunction", 0)))


def _fits(c: arithmetic.MulConstants) -> bool:
    """Whether the fused kernels' scales hold these constants: their shift, and no activation."""
    return c.out[2] in FUSED_SHIFTS and c.range == (-128, 127)


def _alone(graph: Graph, tensor: int) -> bool:
    """Whether one op reads the tensor, and nothing else."""
    return len(graph.consumers(tensor)) == 1 and tensor not in graph.outputs.values()


def _leads_to(graph: Graph, tensor: int, end: int) -> bool:
    """Whether each tensor from the one to the other has one reader."""
    while tensor != end:
        if not _alone(graph, tensor):
            return False
        tensor = graph.consumers(tensor)[0].outputs[0]
    return True


def _int8(*tensors: Tensor) -> bool:
    return all(tensor.dtype == "INT8" and tensor.scales.size == 1 for tensor in tensors)


def _table(values: NDArray[np.int64]) -> NDArray[np.int8]:
    return values.astype(np.int8)


def name_matmuls(graph: Graph, attentions: list[Attention]) -> dict[int, str]:
    """A name for the output of each FULLY_CONNECTED: `layer0_q`, `layer0_ffn_down`, `head`; `product3` where the graph
    is no transformer's."""
    products = [op for op in graph.ops if op.kind == "FULLY_CONNECTED"]
    names = {op.outputs[0]: f"product{number}" for number, op in enumerate(products)}
    if not attentions:
        return names
    after: dict[int, list[Op]] = {attention.layer: [] for attention in attentions}
    layer_of_op = {op: attention.layer for attention in attentions for op in attention.ops}
    layer = -1
    for index, op in enumerate(graph.ops):
        layer = max(layer, layer_of_op.get(index, layer))
        if op.kind != "FULLY_CONNECTED":
            continue
        role = _role(graph, op.outputs[0], attentions)
        if role:
            names[op.outputs[0]] = role
        elif op.outputs[0] == graph.outputs.get("logits"):
            names[op.outputs[0]] = "head"
        elif layer >= 0:
            after[layer].append(op)
    for number, ops in after.items():
        labels = {3: ["attention_out", "ffn_up", "ffn_down"], 4: ["attention_out", "ffn_gate", "ffn_up", "ffn_down"]}
        for op_index, op in enumerate(ops):
            label = labels.get(len(ops), [])
            names[op.outputs[0]] = f"layer{number}_{label[op_index] if label else f'product{op_index}'}"
    return names


def _role(graph: Graph, tensor: int, attentions: list[Attention]) -> str | None:
    """`layer{i}_{q,k,v}` if the tensor reaches an attention without another product between."""
    visited, front = {tensor}, [tensor]
    while front:
        current = front.pop()
        for attention in attentions:
            for role, index in (("q", attention.q), ("k", attention.k_new), ("v", attention.v_new)):
                if index == current:
                    return f"layer{attention.layer}_{role}"
        for op in graph.consumers(current):
            if op.kind in (*RESHAPE_OPS, "MUL", "ADD", "SUB", "QUANTIZE", "CONCATENATION", "TRANSPOSE", "BATCH_MATMUL"):
                front.extend(out for out in op.outputs if out not in visited)
                visited.update(op.outputs)
    return None
