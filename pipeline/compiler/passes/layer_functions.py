"""Groups kernel calls into layer functions: what a reader would call one layer is one C function."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import groupby

from pipeline.compiler.ir.names import in_layer, layer_of, layer_part
from pipeline.compiler.ir.program import Call, Program

__all__ = ["group_calls"]

_GROUPS = {**dict.fromkeys("qkv", "qkv"), **dict.fromkeys(("ffn_gate", "ffn_up"), "ffn_up")}
"""The function of a product of a layer, where it has not the product's name."""
_BASES = {**dict.fromkeys(("qkv", "cache"), "attention"), "ffn_up": "ffn"}
"""What the norm and the positions before a function are named after, where it is not the function."""


def group_calls(program: Program) -> Program:
    """The same program, each of its calls with the name of its function.

    A matrix product or an attention is an anchor. What stands before an anchor from the first step of a norm on is that
    anchor's norm; what stands between the products and their attention turns positions; all else belongs to the anchor
    before it.
    """
    named = [dataclasses.replace(call, group=call.group or _product_group(call)) for call in program.calls]
    anchors = [index for index, call in enumerate(named) if call.group]
    result = list(named)
    for index, call in enumerate(named):
        if call.group:
            continue
        before = next((named[anchor] for anchor in reversed(anchors) if anchor < index), None)
        after = next((anchor for anchor in anchors if anchor > index), None)
        following = None if after is None else named[after]
        norm = _norm_start(named, index, after)
        if call.kind == "fully_connected" and following is not None:
            group, kind = following.group, following.kind  # an input being widened
        elif norm and following is not None:
            group, kind = f"{_base(following.group)}_norm", "norm"
        elif following is not None and following.kind in ("attention", "cache"):
            group, kind = f"{_base(following.group)}_positions", "elementwise"
        elif before is not None:
            group, kind = before.group, before.kind
        else:
            group, kind = "embed", "elementwise"
        result[index] = dataclasses.replace(call, group=group, kind=kind)
    runs = (list(run) for _, run in groupby(result, key=lambda call: call.group))
    return dataclasses.replace(program, calls=[call for run in runs for call in _narrowed(run)])


def _narrowed(run: list[Call]) -> list[Call]:
    """`layer2_kv` and `layer2_q` where a layer's queries are apart from its keys and values."""
    group = run[0].group
    if not group.endswith("_qkv"):
        return run
    products = {call.product[-1:] for call in run}
    letters = "".join(letter for letter in "qkv" if letter in products)
    return [dataclasses.replace(call, group=group.removesuffix("qkv") + letters) for call in run]


def _product_group(call: Call) -> str:
    """The function of a matrix product, from the product's name."""
    layer = layer_of(call.product)
    if layer is None:
        return "logits" if call.product == "head" else call.product
    part = in_layer(call.product)
    return layer_part(layer, _GROUPS.get(part, part))


def _base(group: str) -> str:
    """`layer0_qkv` → `layer0_attention`, `layer0_ffn_up` → `layer0_ffn`, `logits` → `final`."""
    layer = layer_of(group)
    if layer is None:
        return "final" if group == "logits" else group
    return layer_part(layer, _BASES.get(in_layer(group), in_layer(group)))


def _norm_start(calls: Sequence[Call], position: int, anchor: int | None) -> bool:
    """Whether the call at `position` is part of a norm that ends at the anchor."""
    if anchor is None:
        return False
    means = [index for index in range(position, anchor) if calls[index].kind == "norm"]
    earlier = [index for index in range(_previous(calls, position), position) if calls[index].kind == "norm"]
    if earlier:
        return True
    # A norm begins at its mean, or at the table of squares that only the mean reads.
    if not means:
        return False
    first = means[0]
    squares = calls[position].kernel == "thimble_table_s8" and calls[position].writes[0] in calls[first].reads
    return position == first or (position == first - 1 and squares)


def _previous(calls: Sequence[Call], position: int) -> int:
    return next((index for index in range(position - 1, -1, -1) if calls[index].group), -1) + 1
