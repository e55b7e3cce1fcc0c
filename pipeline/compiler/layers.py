"""Groups kernel calls into layer functions: what a reader would call one layer is one C function."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from itertools import groupby

from pipeline.compiler.program import Call

__all__ = ["group_calls"]

_GROUPS = (
    (re.compile(r"(layer\d+)_[qkv]"), r"\1_qkv"),
    (re.compile(r"(layer\d+)_ffn_(gate|up)"), r"\1_ffn_up"),
    (re.compile(r"head"), "logits"),
)


def group_calls(calls: Sequence[Call]) -> list[Call]:
    """The same calls, each with the name of its function.

    A matrix product or an attention is an anchor. What stands before an anchor from the first step of a norm on is that
    anchor's norm; what stands between the products and their attention turns positions; all else belongs to the anchor
    before it.
    """
    named = [dataclasses.replace(call, group=call.group or _product_group(call)) for call in calls]
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
    return [call for _, run in groupby(result, key=lambda call: call.group) for call in _narrowed(list(run))]


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
    if not call.product:
        return ""
    for pattern, group in _GROUPS:
        match = pattern.fullmatch(call.product)
        if match:
            return match.expand(group)
    return call.product


def _base(group: str) -> str:
    """`layer0_qkv` → `layer0_attention`, `layer0_ffn_up` → `layer0_ffn`, `logits` → `final`."""
    if group == "logits":
        return "final"
    return re.sub(r"_(qkv?|kv|cache)$", "_attention", group).replace("_ffn_up", "_ffn")


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
    squares = calls[position].text.startswith("thimble_table_s8") and calls[position].writes[0] in calls[first].reads
    return position == first or (position == first - 1 and squares)


def _previous(calls: Sequence[Call], position: int) -> int:
    return next((index for index in range(position - 1, -1, -1) if calls[index].group), -1) + 1
