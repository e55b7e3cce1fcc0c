"""Where the calls' buffers lie.

A buffer holds the activations of a block's tokens one behind the other, the last token's first: there the tail finds
them, and may use what the other tokens' occupied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from pipeline.compiler.ir.layout import Arena
from pipeline.compiler.ir.program import Program
from pipeline.compiler.passes.memory_plan import Buffer, aligned, plan_memory

__all__ = ["buffers_can_alias", "place_buffers"]

_NONE: Mapping[str, str] = MappingProxyType({})


def buffers_can_alias(program: Program, same: Mapping[str, str]) -> bool:
    """Whether buffers that share memory have disjoint lifetimes."""
    spans = _spans(program, same).values()
    return all(earlier[1] < later[0] for of_place in spans for earlier, later in pairwise(of_place))


def _spans(program: Program, same: Mapping[str, str]) -> dict[str, list[tuple[int, int]]]:
    """When what lies at each place is alive: from first use to last; inputs from the start, outputs to the end."""
    end = len(program.calls)
    inputs = {view.buffer for view in program.inputs.values()}
    # A decode step's new rows are in the cache by then; only its logits are asked for.
    read_outputs = ["logits"] if program.cache and "logits" in program.outputs else list(program.outputs)
    outputs = {program.outputs[name].buffer for name in read_outputs}
    spans: dict[str, list[tuple[int, int]]] = {}
    for name in program.buffers:
        uses = [step for step, call in enumerate(program.calls) if name in call.reads or name in call.writes]
        first = 0 if name in inputs or not uses else uses[0]
        last = end if name in outputs else uses[-1] if uses else 0
        spans.setdefault(same.get(name, name), []).append((first, last))
    return {name: sorted(of_place) for name, of_place in spans.items()}


def place_buffers(program: Program, same: Mapping[str, str] = _NONE) -> Arena:
    """The offsets of all buffers.

    Args:
        same: maps a buffer to the one whose memory it uses.
    """
    sizes: dict[str, int] = {}
    for name, size in program.buffers.items():
        target = same.get(name, name)
        sizes[target] = max(size, sizes.get(target, 0))
    spans = _spans(program, same)
    buffers = [Buffer(name, size, tuple(spans[name])) for name, size in sizes.items()]
    token_bytes = {name: 0 if name in program.scratch else aligned(size) for name, size in program.buffers.items()}
    body = sum(not call.logits_only for call in program.calls)
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
