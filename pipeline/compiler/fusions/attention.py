"""Attention over a KV cache: CONCAT of cache and new row (or the cache with the row put in), BATCH_MATMUL, perhaps MUL
by a number, ADD of the mask, SOFTMAX, BATCH_MATMUL."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from pipeline.compiler import arithmetic_s16
from pipeline.compiler.arithmetic import product_multiplier
from pipeline.compiler.encodings.int16 import high_word_multipliers
from pipeline.compiler.fusions.cache_update import KIND as UPDATE
from pipeline.compiler.fusions.lookup import find_rows
from pipeline.compiler.fusions.rows import looked_up
from pipeline.compiler.ir.graph import Graph, Op, is_int8, is_int16
from pipeline.compiler.ir.names import layer_part
from pipeline.compiler.ir.program import Address, Constant, Index, Record, Value, View
from pipeline.compiler.lowering import Lowering, block_size, parameters, product_scale
from pipeline.compiler.ops.add import AddConstants, AddConstantsS16, add, add_s16
from pipeline.compiler.ops.operator import Operator
from pipeline.compiler.ops.registry import ELEMENTWISE
from pipeline.compiler.ops.softmax import MAX_SHIFT_S16, exp_table, softmax_fields_s16, softmax_scale_s16
from pipeline.numerics import fixed_point as fp
from pipeline.numerics.kv_window import SlidingWindow, StridedWindow
from pipeline.targets.cores import WeightLayout

__all__ = [
    "KIND",
    "OPERATORS",
    "Attention",
    "find_attentions",
    "fitting_attentions",
    "fuse_attentions",
    "missed_attentions",
]

KIND = "attention"
_EVERY = np.arange(-128, 128, dtype=np.int64)


@dataclass(frozen=True)
class Attention:
    """An attention; tensors by index.

    `unmasked` and `masked` are the mask's two quantized values; `ops` all the operators that are replaced. `window` is
    None where the cache has a row for each token, else how tokens take the rows (`pipeline.numerics.kv_window`).
    `scalings` multiply the scores by numbers before the mask is added, to `scaled_scores`; without any these are the
    scores. `keys` and `values` are the caches with the token's own row: `columns` rows, one more than the cache has
    where it is concatenated, as many where it is put in.
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
    window: SlidingWindow | StridedWindow | None
    scaled_scores: int
    scalings: tuple[Op, ...]
    keys: int
    values: int
    columns: int

    @property
    def caches(self) -> tuple[int, int]:
        """Of keys and values."""
        return self.k_cache, self.v_cache


def fuse_attentions(graph: Graph) -> Graph:
    """Makes one operator of each attention that a kernel computes."""
    matches = fitting_attentions(graph)
    rows = find_rows(graph) if any(graph.tensors[match.q].dtype == "INT16" for match in matches) else {}
    replacements = {}
    for match in matches:
        found = match
        if match.mask in rows:
            table = rows[match.mask].table
            found = dataclasses.replace(match, unmasked=int(table[0, -1]), masked=int(table[0, 0]))
        inputs = (match.q, match.k_new, match.v_new, match.k_cache, match.v_cache)
        replacements[match.ops[-1]] = Op(KIND, inputs, (match.out,), fusion=found)
    return graph.rewritten(replacements, (op for match in matches for op in match.ops))


def fitting_attentions(graph: Graph) -> list[Attention]:
    """The attentions that a kernel computes; those of int8 first."""
    matches = find_attentions(graph)
    narrow = [match for match in matches if not _beyond(graph, match)]
    return [*narrow, *(match for match in matches if _fits_s16(graph, match))]


def _beyond(graph: Graph, attention: Attention) -> str:
    """Why the fused kernel of int8 does not compute it, empty where it does: its scaled sums stay inside of 32 bits,
    which only extreme scales violate."""
    q, k, scores = (graph.tensors[index] for index in (attention.q, attention.keys, attention.scores))
    p, v, out = (graph.tensors[index] for index in (attention.probabilities, attention.values, attention.out))
    context = graph.tensors[attention.k_cache].shape[1]
    if q.dtype != "INT8":
        return "its tensors are not int8"
    if q.columns > 64 or context >= 1024:
        return f"a head is {q.columns} wide (at most 64), and the context {context} long (below 1,024)"
    if attention.columns == context and context % 4 == 1:
        return f"a context of {context}, one more than a multiple of 4, whose rows are put into whole caches"
    shifts = (product_multiplier(q, k, scores)[1], product_multiplier(p, v, out)[1])
    added = AddConstants.prepare(
        graph.tensors[attention.scaled_scores],
        graph.tensors[attention.mask],
        graph.tensors[attention.masked_scores],
        attention.activation,
        1,
    )
    scaled = _scaled(graph, attention, _EVERY) is not None and added.out[2] < 0
    if not scaled or not all(-31 <= shift <= -1 for shift in shifts):
        return "the scale of a product's output is far from that of its inputs"
    return ""


def _fits_s16(graph: Graph, attention: Attention) -> bool:
    """Whether it is one of int16, and inside of what the fused kernel takes."""
    q, k, scores = (graph.tensors[index] for index in (attention.q, attention.k_cache, attention.scores))
    p, v, out = (graph.tensors[index] for index in (attention.probabilities, attention.v_cache, attention.out))
    mask, masked = graph.tensors[attention.mask], graph.tensors[attention.masked_scores]
    if not is_int16(q, k, scores, p, v, out, mask, masked) or k.shape[1] >= 1024:
        return False
    if len(attention.scalings) > 1 or any(_factor_s16(graph, op)[2] > 0 for op in attention.scalings):
        return False
    if attention.columns == k.shape[1]:  # its kernel counts on a column that is masked
        return False
    # A score's sum is below head_dim * 2^30, and what comes of it is to fit 32 bits.
    score_fits = q.columns.bit_length() + 30 + product_multiplier(q, k, scores)[1] <= 30
    out_fits = high_word_multipliers([product_multiplier(p, v, out)]) is not None
    softmax = softmax_scale_s16(masked.scale, attention.beta)
    scaled = graph.tensors[attention.scaled_scores]
    c = AddConstantsS16.prepare(scaled, mask, masked, attention.activation, 1)
    return score_fits and out_fits and softmax[1] <= MAX_SHIFT_S16 and c.out[1] < 0


def find_attentions(graph: Graph) -> list[Attention]:
    """All attentions that the fused kernel can compute, in order."""
    found = [_attention(graph, op) for op in graph.ops if op.kind == "SOFTMAX"]
    return [attention for attention in found if isinstance(attention, Attention)]


def missed_attentions(graph: Graph) -> dict[int, str]:
    """By its output each SOFTMAX that is computed by itself, with the condition that failed."""
    missed: dict[int, str] = {}
    for op in graph.ops:
        if op.kind == "SOFTMAX":
            found = _attention(graph, op)
            reason = found if isinstance(found, str) else _beyond(graph, found)
            if reason and not (isinstance(found, Attention) and _fits_s16(graph, found)):
                missed[op.outputs[0]] = reason
    return missed


def _attention(graph: Graph, softmax: Op) -> Attention | str:
    """The attention of a SOFTMAX, or why it is none."""
    tensors = graph.tensors
    add = graph.sole_producer(softmax.inputs[0], "ADD")
    if add is None:
        return "its input is no sum of scores and a mask, which nothing else reads"
    found = None
    for left, mask_row in (add.inputs, add.inputs[::-1]):
        scaled = _scaled_product(graph, left)
        if scaled is not None:
            found = (*scaled, left, mask_row)
    if found is None:
        return "neither operand of the sum is a product of queries and keys, perhaps times a number"
    score_product, scalings, scaled_scores, mask_row = found
    consumers = graph.consumers(softmax.outputs[0])
    if len(consumers) != 1 or consumers[0].kind != "BATCH_MATMUL" or consumers[0].inputs[0] != softmax.outputs[0]:
        return "the probabilities are not the left side of one product with values"
    value_product = consumers[0]
    operands = score_product.inputs[1], value_product.inputs[1]
    joined = [[graph.sole_producer(index, kind) for index in operands] for kind in ("CONCATENATION", UPDATE)]
    keys, values = joined[0] if None not in joined[0] else joined[1]
    q = tensors[score_product.inputs[0]]
    if keys is None or values is None:
        return "keys and values are not each the cache and the new row, concatenated, which nothing else reads"
    if len(graph.consumers(score_product.outputs[0])) != 1 or {score_product.outputs[0], softmax.outputs[0]} & set(
        graph.outputs.values()
    ):
        return "scores or probabilities are read elsewhere"
    options = score_product.options, value_product.options
    if not options[0].get("adjY") or options[0].get("adjX") or options[1].get("adjX") or options[1].get("adjY"):
        return "not the keys, or others than the keys, are transposed: matmul(q, k, transpose_b=True), matmul(p, v)"
    if len(q.shape) != 3 or q.shape[2] % 4:
        return f"queries are {list(q.shape)}, and not [heads, queries of a head, a width that 4 divides]"
    k_parts, v_parts = _caches(graph, keys), _caches(graph, values)
    if k_parts is None or v_parts is None:
        return "a cache and its new row are no k_cache_i, k_new_i or v_cache_i, v_new_i of one quantization"
    mask = _mask(graph, mask_row) if keys.kind == "CONCATENATION" else _whole_mask(graph, mask_row)
    if mask is None:
        return "the mask is no row, looked up by `position`, of a table that hides what was not yet written"
    (k_cache, k_new), (v_cache, v_new) = k_parts, v_parts
    layer = _layer(graph, k_cache)
    context = tensors[k_cache].shape[1]
    if layer is None or mask[0] != context or tensors[k_cache].shape != (q.shape[0], context, q.shape[2]):
        return f"queries of {list(q.shape)} do not go with keys of {list(tensors[k_cache].shape)}"
    replaced = (keys, values, score_product, *scalings, add, softmax, value_product)
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
        beta=softmax.float_option("beta", 1.0),
        activation=add.activation,
        ops=tuple(graph.place(op) for op in replaced),
        window=mask[3],
        scaled_scores=scaled_scores,
        scalings=scalings,
        keys=keys.outputs[0],
        values=values.outputs[0],
        columns=tensors[score_product.outputs[0]].columns,
    )


def _scaled_product(graph: Graph, tensor: int) -> tuple[Op, tuple[Op, ...]] | None:
    """The product that the tensor is, and the multiplications with numbers that come after it, in order."""
    scalings: list[Op] = []
    op = graph.producer(tensor)
    while op is not None and op.kind == "MUL" and graph.reads_alone(tensor):
        scores = [index for index in op.inputs if graph.tensors[index].data is None]
        numbers = [graph.tensors[index] for index in op.inputs if graph.tensors[index].data is not None]
        operands = (graph.tensors[tensor], *(graph.tensors[index] for index in op.inputs))
        if len(scores) != 1 or numbers[0].size != 1 or not (is_int8(*operands) or is_int16(*operands)):
            return None
        scalings.insert(0, op)
        tensor = scores[0]
        op = graph.producer(tensor)
    return (op, tuple(scalings)) if op is not None and op.kind == "BATCH_MATMUL" else None


def _factor_s16(graph: Graph, op: Op) -> tuple[int, int, int]:
    """(number, multiplier, shift) of a MUL of int16 scores."""
    a, b, out = (graph.tensors[index] for index in (*op.inputs, op.outputs[0]))
    number = a if b.data is None else b
    assert number.data is not None
    return int(number.data.reshape(-1)[0]), *fp.quantize_multiplier(a.scale * b.scale / out.scale)


def _scaled(graph: Graph, attention: Attention, scores: fp.Int) -> fp.Int | None:
    """Scores after what they are multiplied with; None where a scale is beyond what MUL takes."""
    values = scores
    evaluate = ELEMENTWISE["MUL"].evaluate
    assert evaluate is not None
    for op in attention.scalings:
        operands = [graph.tensors[index] for index in op.inputs]
        of_each = [
            values if tensor.data is None else np.full(values.shape, int(tensor.data.reshape(-1)[0]), np.int64)
            for tensor in operands
        ]
        scaled = evaluate(op, operands, graph.tensors[op.outputs[0]], of_each)
        if scaled is None:
            return None
        values = scaled
    return values


def _caches(graph: Graph, concat: Op) -> tuple[int, int] | None:
    """(cache, new row) of a concatenation that appends a new row, which is an output of the step, to a cache with the
    same quantization."""
    along = concat.kind == UPDATE or concat.int_option("axis") in (1, -2)
    if len(concat.inputs) != 2 or not along or len(graph.consumers(concat.inputs[0])) != 1:
        return None
    cache, new = concat.inputs
    name = next((name for name, index in graph.inputs.items() if index == cache), "")
    given_out = "_cache_" in name and graph.outputs.get(name.replace("_cache_", "_new_")) == new
    cached, added, out = (graph.tensors[index] for index in (cache, new, concat.outputs[0]))
    alike = cached.scale == added.scale == out.scale and cached.zero_point == added.zero_point == out.zero_point
    if not given_out or not (alike or concat.kind == UPDATE) or len(added.shape) != 3 or added.shape[1] != 1:
        return None
    return cache, new


def _layer(graph: Graph, k_cache: int) -> int | None:
    """The layer that the cache's signature name `k_cache_{layer}` gives."""
    name = next(name for name, index in graph.inputs.items() if index == k_cache)
    number = name.removeprefix("k_cache_")
    return int(number) if number.isdecimal() else None


def _mask(graph: Graph, row: int) -> tuple[int, int, int, SlidingWindow | StridedWindow | None] | None:
    """(rows of the cache, unmasked value, masked value, order of the rows) of a mask row that is looked up by position,
    which must be that of the window that the .tflite says; the values are the table's, int8 also where the row is
    widened to int16."""
    table, window = looked_up(graph, row), graph.kv_window
    if table is None or table.shape[1] < 2:
        return None
    rows = table.shape[1] - 1
    unmasked, masked = int(table[0, rows]), int(table[0, 0])
    visible = SlidingWindow(rows).visible()[:rows] if window is None else window.visible()
    if visible.shape[1] != rows + 1 or len(table) < len(visible):
        return None
    wanted = np.where(visible, unmasked, masked)
    return (rows, unmasked, masked, window) if np.array_equal(table[: len(visible)], wanted) else None


def _whole_mask(graph: Graph, row: int) -> tuple[int, int, int, None] | None:
    """As `_mask`, of a table [positions, rows] for caches that the token's own row was put into."""
    table = looked_up(graph, row)
    if table is None or not 2 <= table.shape[1] <= table.shape[0]:
        return None
    rows = table.shape[1]
    unmasked, masked = int(table[0, 0]), int(table[0, -1])
    visible = np.arange(rows)[None, :] <= np.arange(rows)[:, None]
    return (rows, unmasked, masked, None) if np.array_equal(table[:rows], np.where(visible, unmasked, masked)) else None


def _matched(op: Op) -> Attention:
    assert isinstance(op.fusion, Attention)
    return op.fusion


def _lower(ctx: Lowering, op: Op) -> None:
    attention = _matched(op)
    q, keys = ctx.tensor(attention.q), ctx.tensor(attention.keys)
    scores, masked = ctx.tensor(attention.scores), ctx.tensor(attention.masked_scores)
    mask, values = ctx.tensor(attention.mask), ctx.tensor(attention.values)
    out_tensor = ctx.tensor(attention.out)
    kv_heads, group, head_dim = q.shape
    context = ctx.tensor(attention.k_cache).shape[1]
    c = AddConstants.prepare(ctx.tensor(attention.scaled_scores), mask, masked, attention.activation, 1)
    every = _scaled(ctx.graph, attention, _EVERY)
    empty = _scaled(ctx.graph, attention, np.array([scores.zero_point]))  # of a row that holds the zero point
    assert every is not None and empty is not None, "an attention that does not fit is not fused"
    table = add(c, every, np.full_like(every, attention.unmasked)).astype(np.int8)
    name = layer_part(attention.layer, "attention")
    score_scale = product_multiplier(q, keys, scores)
    out_scale = product_multiplier(ctx.tensor(attention.probabilities), values, out_tensor)
    query, *new = (ctx.contiguous(index) for index in (attention.q, attention.k_new, attention.v_new))
    own = parameters(
        "thimble_attention_s8_params",
        name,
        {
            "mask": ctx.constant(Constant(f"{name}_mask", "int8_t", table)),
            "exp": exp_table(ctx, masked, attention.beta, attention.probabilities),
            "kv_heads": kv_heads,
            "group": group,
            "context": attention.columns - 1,  # so many less those that are seen are masked
            "head_dim": head_dim,
            "q_offset": -q.zero_point,
            "k_offset": -keys.zero_point,
            "score": product_scale(*score_scale, scores.zero_point),
            "masked_score": int(add(c, empty, np.array([attention.masked], np.int64))[0]),
            "v_offset": -values.zero_point,
            "out": product_scale(*out_scale, out_tensor.zero_point),
        },
    )
    caches = [ctx.view(index) for index in attention.caches]
    in_block = ctx.in_block(*new)
    kind = WeightLayout.ROW_MAJOR if ctx.layout is WeightLayout.ROW_MAJOR else WeightLayout.INTERLEAVED_2
    ctx.call(
        f"thimble_append_{kind}_s8",
        (Address(name), *new, *caches, Index.SLOT, block_size(in_block)),
        new,
        [],
        [own],
        block=in_block,
        appends=True,
        kind="cache",
        group=layer_part(attention.layer, "cache"),
    )
    out = ctx.allocate(out_tensor, layer_part(attention.layer, "mixed"))
    capacity = (context + 3) // 4 * 4
    size = capacity if kind is WeightLayout.ROW_MAJOR else 2 * (head_dim + capacity)
    scratch = View("arena", f"{name}_scratch", 1, size, size)
    ctx.program.buffers[scratch.name] = size
    ctx.program.scratch.add(scratch.name)
    in_block = ctx.in_block(query, out)
    ctx.call(
        f"thimble_attention_{kind}_s8",
        (Address(name), query, *caches, Index.POSITION, out, scratch, block_size(in_block)),
        [query],
        [out, scratch],
        macs=2 * kv_heads * group * head_dim * (context // 2),
        kind="attention",
        group=name,
        block=in_block,
    )


def _lower_s16(ctx: Lowering, op: Op) -> None:
    attention = _matched(op)
    q, cache = ctx.tensor(attention.q), ctx.tensor(attention.k_cache)
    scores, masked = ctx.tensor(attention.scores), ctx.tensor(attention.masked_scores)
    values, out_tensor = ctx.tensor(attention.v_cache), ctx.tensor(attention.out)
    kv_heads, group, head_dim = q.shape
    context = cache.shape[1]
    scaled = ctx.tensor(attention.scaled_scores)
    c = AddConstantsS16.prepare(scaled, ctx.tensor(attention.mask), masked, attention.activation, 1)
    score_multiplier, score_shift = product_multiplier(q, cache, scores)
    out_scale = product_multiplier(ctx.tensor(attention.probabilities), values, out_tensor)
    high_words = high_word_multipliers([out_scale])
    assert high_words is not None, "an attention that does not fit is not fused"
    query, *new = (ctx.aligned(index) for index in (attention.q, attention.k_new, attention.v_new))
    name = layer_part(attention.layer, "attention")
    softmax = softmax_fields_s16(ctx, masked, attention.beta)
    keeps = attention.unmasked == 0 and c.keeps_a
    inner = [] if keeps else [parameters("thimble_add_s16_params", f"{name}_mask", c.fields)]
    fields: dict[str, Value] = {
        "mask": None if keeps else Address(f"{name}_mask"),
        "softmax": Record(tuple(softmax.values()), tuple(softmax)),
        "kv_heads": kv_heads,
        "group": group,
        "context": context,
        "head_dim": head_dim,
        "score_multiplier": arithmetic_s16.reduced(score_multiplier),
        "score_shift": score_shift,
        "unmasked": attention.unmasked,
        "unmasked_first": int(c.swapped),
        # The score of a row of zeros is 0.
        "masked_score": int(add_s16(c, np.array([0]), np.array([attention.masked]))[0]),
        "out_multiplier": int(high_words[0]),
    }
    for product in attention.scalings:
        factor, multiplier, shift = _factor_s16(ctx.graph, product)
        low, high = arithmetic_s16.activation_range(scaled, product.activation)
        limits = {"out_multiplier": multiplier, "out_shift": shift, "out_min": low, "out_max": high}
        inner.append(parameters("thimble_mul_s16_params", f"{name}_scaling", limits))
        fields |= {"scaling": Address(f"{name}_scaling"), "factor": factor}
    caches = [ctx.view(index) for index in attention.caches]
    ctx.call(
        "thimble_append_s16",
        (Address(name), *new, *caches, Index.SLOT),
        new,
        [],
        [*inner, parameters("thimble_attention_s16_params", name, fields)],
        appends=True,
        kind="cache",
        group=layer_part(attention.layer, "cache"),
    )
    out = ctx.allocate(out_tensor, f"{name}_mixed")
    scratch = View("arena", f"{name}_scratch", 1, (context + 1) // 2 * 2, 0, element="int16_t")
    ctx.program.buffers[scratch.name] = 2 * scratch.columns
    ctx.call(
        "thimble_attention_s16",
        (Address(name), query, *caches, Index.POSITION, out, scratch),
        [query],
        [out, scratch],
        macs=2 * kv_heads * group * head_dim * (context // 2),
        kind="attention",
        group=name,
    )


OPERATORS = (
    Operator(
        KIND,
        "INT8",
        _lower,
        (
            "thimble_append_pairs_s8",
            "thimble_append_rows_s8",
            "thimble_attention_pairs_s8",
            "thimble_attention_rows_s8",
        ),
    ),
    Operator(KIND, "INT16", _lower_s16, ("thimble_append_s16", "thimble_attention_s16")),
)
