"""The order of the calls, and where their buffers lie, when a prompt is taken in blocks of tokens.

Only the last token of a prompt needs logits; of the others the KV cache alone matters. So the calls fall into a body,
which every token needs for the cache, and a tail, which runs for the last token of a block, and not at all where no
logits are asked for. Of the last layer's attention and feed-forward nothing but K and V is in the body.

A buffer holds the activations of a block's tokens one behind the other, the last token's first: there the tail finds
them, and may use what the other tokens' occupied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from pipeline.compiler.memory_plan import Buffer, aligned, plan_memory
from pipeline.compiler.program import Call, Program

__all__ = ["Arena", "buffers_can_alias", "place_buffers", "split_logits_tail"]

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Arena:
    """Offsets of buffers, the bytes from a token's part of each to the next token's, the arena's bytes in all, and the
    most bytes of activations that are alive at once."""

    offsets: dict[str, int]
    token_bytes: dict[str, int]
    bytes: int
    largest_live_set: int


def split_logits_tail(calls: Sequence[Call], block: int) -> list[Call]:
    """Reorders calls: first those that the KV cache needs, layer by layer; the rest is the tail. Each layer computes
    its keys and values before its queries. Interleaved buffers are recomputed for the tail's single token.
    """
    left = list(calls)
    body: list[Call] = []
    while (index := next((i for i, call in enumerate(left) if call.appends), None)) is not None:
        needed = set(left[index].reads)
        needed_calls = [index]
        for earlier in range(index - 1, -1, -1):
            if needed & set(left[earlier].writes):
                needed.update(left[earlier].reads)
                needed_calls.append(earlier)
        body += [left[i] for i in reversed(needed_calls)]
        left = [call for i, call in enumerate(left) if i not in needed_calls]
    read = {name for call in left for name in call.reads}
    recomputed = [call for call in body if call.interleaved and block > 1 and read & set(call.writes)]
    return [
        *body,
        *(
            dataclasses.replace(call, logits_only=True, recomputed_for_tail=True, macs=0, weight_bytes=0)
            for call in recomputed
        ),
        *(dataclasses.replace(call, logits_only=True) for call in left),
    ]


def buffers_can_alias(program: Program, calls: Sequence[Call], same: Mapping[str, str]) -> bool:
    """Whether buffers that share memory have disjoint lifetimes."""
    spans = _spans(program, calls, same).values()
    return all(earlier[1] < later[0] for of_place in spans for earlier, later in pairwise(of_place))


def _spans(program: Program, calls: Sequence[Call], same: Mapping[str, str]) -> dict[str, list[tuple[int, int]]]:
    """When what lies at each place is alive: from first use to last; inputs from the start, outputs to the end."""
    end = len(calls)
    inputs = {view.buffer for view in program.inputs.values()}
    # A decode step's new rows are in the cache by then; only its logits are asked for.
    read_outputs = ["logits"] if program.cache and "logits" in program.outputs else list(program.outputs)
    outputs = {program.outputs[name].buffer for name in read_outputs}
    spans: dict[str, list[tuple[int, int]]] = {}
    for name in program.buffers:
        uses = [step for step, call in enumerate(calls) if name in call.reads or name in call.writes]
        first = 0 if name in inputs or not uses else uses[0]
        last = end if name in outputs else uses[-1] if uses else 0
        spans.setdefault(same.get(name, name), []).append((first, last))
    return {name: sorted(of_place) for name, of_place in spans.items()}


def place_buffers(program: Program, calls: Sequence[Call], same: Mapping[str, str] = _NONE) -> Arena:
    """The offsets of all buffers.

    Args:
        same: maps a buffer to the one whose memory it uses.
    """
    sizes: dict[str, int] = {}
    for name, size in program.buffers.items():
        target = same.get(name, name)
        sizes[target] = max(size, sizes.get(target, 0))
    spans = _spans(program, calls, same)
    buffers = [Buffer(name, size, tuple(spans[name])) for name, size in sizes.items()]
    token_bytes = {name: 0 if name in program.scratch else aligned(size) for name, size in program.buffers.items()}
    body = sum(not call.logits_only for call in calls)
    of_body = [
        dataclasses.replace(b, size=b.size + (program.block - 1) * token_bytes[b.name])
        for b in buffers
        if b.spans[0][0] < body
    ]
    first_plan = plan_memory(of_body)
    plan = plan_memory(buffers, first_plan.offsets)
    return Arena(
        {name: plan.offsets[same.get(name, name)] for name in program.buffers},
        token_bytes,
        max(first_plan.bytes, plan.bytes),
        max(first_plan.largest_live_set, plan.largest_live_set),
    )
